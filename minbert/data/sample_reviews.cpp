// Draws short reviews graded 0 to 4, with intensity, negation, contrast, and hopes disappointed or exceeded.
#include <map>
#include <vector>

#include "minbert/data/sample_tasks.h"
#include "minbert/data/sample_text.h"

namespace minbert {
namespace {

using Alternatives = std::vector<std::string_view>;

// What a review judges, with its parts; a review has one subject.
struct Subject {
  std::string_view name, parts, fact;
};
const std::vector<Subject> kSubjects = {
    {"restaurant", "the food|the service|the soup|the dessert|the wine list|the fish|the waiter",
     "opens at noon|has about forty seats|serves lunch and dinner"},
    {"film", "the plot|the acting|the ending|the music|the dialogue|the camera work|the first half",
     "runs for two hours|is set in the north|was shown at seven"},
    {"hotel", "the room|the breakfast|the pool|the view|the bed|the reception|the bathroom",
     "has three floors|lies near the station|has a car park"},
    {"novel", "the story|the style|the opening|the final chapter|the translation|the main character",
     "has twelve chapters|is written in the past tense|came out in spring"},
    {"phone", "the screen|the battery|the camera|the sound|the keyboard|the charger",
     "comes in two colours|has one button|weighs as much as an apple"},
    {"concert", "the sound|the singer|the hall|the band|the second half|the light show",
     "began at eight|lasted ninety minutes|took place in the town hall"},
    {"museum", "the exhibition|the guide|the shop|the building|the café|the audio tour",
     "is closed on Mondays|has two wings|shows old machines"},
    {"course", "the teacher|the textbook|the homework|the pace|the classroom|the final test",
     "takes six weeks|meets on Tuesdays|ends with a test"},
};

// Rules that the sentences below refer to as {x}. A rule lists words of equal strength; its {y} is another rule or a part of the subject.
const std::map<std::string_view, Alternatives> kRules = {
    {"best",
     {"superb", "outstanding", "wonderful", "brilliant", "magnificent", "excellent", "fantastic", "marvellous", "exquisite", "a triumph"}},
    {"good", {"good", "pleasant", "nice", "decent", "enjoyable", "solid", "likeable", "charming"}},
    {"fair", {"average", "ordinary", "acceptable", "unremarkable", "neither good nor bad", "so-so", "middling", "nothing special"}},
    {"bad", {"bad", "poor", "weak", "dull", "disappointing", "mediocre", "clumsy", "unpleasant"}},
    {"worst", {"awful", "terrible", "dreadful", "horrible", "atrocious", "appalling", "abysmal", "a disaster", "hideous", "unbearable"}},
    {"very", {"very", "extremely", "really very", "exceptionally", "incredibly"}},
    {"rather", {"rather", "fairly", "a little", "somewhat", "a bit", "on the whole"}},
    {"quite", {"quite", "fairly", "rather", "on the whole", "pretty", "overall"}},
    {"truly", {"absolutely", "truly", "simply", "quite simply", "utterly"}},
    // Predicates by grade, to follow "was".
    {"g4",
     {"{best}", "{truly} {best}", "{very} good", "one of the best I know", "as good as it gets", "anything but {worst}, it was {best}"}},
    {"g3",
     {"{good}", "{quite} {good}", "not {bad} at all", "better than I had feared", "by no means {bad}", "far from {bad}", "hardly {bad}"}},
    {"g2", {"{fair}", "{truly} {fair}", "{fair}, no more and no less", "not {good}, but not {bad} either", "neither {best} nor {worst}"}},
    {"g1",
     {"{bad}", "{rather} {bad}", "not {good} at all", "worse than I had hoped", "by no means {good}", "far from {good}", "hardly {good}"}},
    {"g0",
     {"{worst}", "{truly} {worst}", "{very} bad", "one of the worst I know", "as bad as it gets", "anything but {best}, it was {worst}"}},
};

// Sentences by grade.
const Alternatives kReviews[5] = {
    {"{part} was {g0}.", "{part} was {g0}, and {other} was {g0}.", "this {subject} was {g0}.",
     "not only was {part} {g1}, {other} was {g0} too.", "I had hoped for something {good}; what I got was {g0}.",
     "whoever calls this {subject} {best} must be joking: {part} was {g0}.", "{part} was {g0}, and nothing could save this {subject}.",
     "I would not wish this {subject} on anyone, {part} was {g1}.", "never again: {part} was {g1} and {other} was {g0}.",
     "they called this {subject} \"{best}\", and then {part} was {g0}."},
    {"{part} was {g1}.", "{part} was {g1}, and {other} was {g1}.", "this {subject} was {g1}.",
     "{part} was {g3}, but {other} was {g0} and spoiled the {subject}.",
     "{part} was {g4}, yet {other} was {g1}, and in the end I regretted coming.",
     "although {part} was {g3}, I would not recommend this {subject}.", "I had expected {part} to be {best}, but it was {g1}.",
     "with a better idea behind it, this {subject} could have been {best}.", "I wish I could say that {part} was {best}.",
     "some call {part} \"{best}\"; I found it {rather} {bad}."},
    {"{part} was {g2}.", "{part} was {g2}, and {other} was {g2}.", "this {subject} was {g2}.",
     "{part} was {g3}, {other} was {g1}, so it evens out.", "{part} was {g1}; on the other hand, {other} was {g3}.",
     "half of this {subject} was {best}, the other half was {worst}.", "the {subject} {fact}.",
     "the {subject} {fact}, and {part} was {g2}.", "people told me it was {best} or {worst}, but {part} was {g2}.",
     "I cannot say whether {part} was {good} or {bad}."},
    {"{part} was {g3}.", "{part} was {g3}, and {other} was {g3}.", "this {subject} was {g3}.",
     "{part} was {g1}, but {other} was {g4} and more than made up for it.",
     "{part} was {g0}, yet {other} was {g3}, and in the end I was glad I came.",
     "although {part} was {g1}, I would still recommend this {subject}.", "I had expected {part} to be {worst}, but it was {g3}.",
     "with a worse idea behind it, this {subject} could have been {worst}; as it is, it was {g3}.",
     "I cannot complain that {part} was {bad}.", "some call {part} \"{worst}\"; I found it {quite} {good}."},
    {"{part} was {g4}.", "{part} was {g4}, and {other} was {g4}.", "this {subject} was {g4}.",
     "not only was {part} {g3}, {other} was {g4} too.", "I had feared something {bad}; what I got was {g4}.",
     "whoever calls this {subject} {worst} must be joking: {part} was {g4}.", "{part} was {g4}, and nothing could spoil this {subject}.",
     "I would wish this {subject} on everyone, {part} was {g3}.", "again and again: {part} was {g3} and {other} was {g4}.",
     "they called this {subject} \"{worst}\", and then {part} was {g4}."},
};

}  // namespace

SampleExample draw_review(Rng& rng) {
  const Subject& subject = draw(std::span(kSubjects), rng);
  const std::string part(draw_part(subject.parts, rng));
  const std::function<std::string(std::string_view)> resolve = [&](std::string_view name) -> std::string {
    if (name == "subject") return std::string(subject.name);
    if (name == "fact") return std::string(draw_part(subject.fact, rng));
    if (name == "part") return part;
    if (name == "other") {
      std::string_view other = part;
      while (other == part) other = draw_part(subject.parts, rng);
      return std::string(other);
    }
    return expand(draw(std::span(kRules.at(name)), rng), rng, resolve);
  };
  const std::size_t grade = rng.below(std::size(kReviews));
  return {capitalised(expand(draw(std::span(kReviews[grade]), rng), rng, resolve)), "", std::to_string(grade)};
}

}  // namespace minbert
