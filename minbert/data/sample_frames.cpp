// The word lists and frames of the sample pairs. Every meaning has at least two phrases, so that a pair may differ in any word
// whether it is a paraphrase or not; phrases of one slot share their small words, so that no small word gives the answer away.
#include "minbert/data/sample_frames.h"

namespace minbert {
namespace {

using Words = const std::string_view[];

constexpr Words kRoles = {
    "the doctor|the physician",
    "the lawyer|the attorney",
    "the manager|the boss",
    "the police officer|the cop",
    "the chef|the cook",
    "the writer|the author",
    "the child|the kid",
    "the tenant|the lodger",
    "the reporter|the journalist",
    "the thief|the burglar",
    "the cab driver|the taxi man",
    "the footballer|the soccer player",
    "the tourist|the sightseer",
    "the scientist|the researcher",
    "the accountant|the bookkeeper",
    "the sailor|the seaman",
    "the trainer|the coach",
    "the priest|the clergyman",
    "the guard|the watchman",
    "the professor|the lecturer",
    "the shop assistant|the salesperson",
    "the film star|the movie actor",
};
constexpr Words kHousehold = {
    "the tenant|the lodger",
    "the landlord|the house owner",
    "my father|my dad",
    "my mother|my mum",
    "my grandmother|my granny",
    "the nanny|the babysitter",
    "the housekeeper|the maid",
    "the boy|the lad",
    "the visitor|the guest",
    "my grandfather|my grandpa",
    "the handyman|the odd-job man",
    "my husband|my spouse",
};
constexpr Words kHandle = {
    "repaired|fixed",
    "cleaned|washed",
    "damaged|harmed",
    "hid/hidden|concealed",
    "found|discovered",
    "moved|shifted",
    "threw away/thrown away|discarded",
    "inspected|examined",
    "covered|wrapped up",
    "photographed|took a photo of/captured in a photo",
};
constexpr Words kFurniture = {
    "the couch|the sofa",        "the fridge|the refrigerator", "the television|the TV",
    "the rug|the carpet",        "the stove|the cooker",        "the closet|the wardrobe",
    "the trash can|the dustbin", "the curtain|the drape",       "the pillow|the cushion",
    "the flashlight|the torch",  "the tap|the faucet",          "the photo|the picture",
    "the bicycle|the bike",      "the vase|the flowerpot",      "the doll's house|the toy house",
};
constexpr Words kRooms = {
    "in the basement|in the cellar", "in the attic|in the loft",     "in the living room|in the lounge", "in the hallway|in the corridor",
    "in the garden|in the yard",     "in the apartment|in the flat", "in the bathroom|in the washroom",  "in the shed|in the hut",
};
constexpr Words kTrade = {
    "bought|purchased", "rented|hired",   "stole|pinched",      "repaired|fixed",    "displayed|exhibited",
    "found|discovered", "lost|misplaced", "inspected|examined", "received|obtained", "borrowed|took on loan",
};
constexpr Words kGoods = {
    "the car|the automobile",
    "the bicycle|the bike",
    "the lorry|the truck",
    "the motorcycle|the motorbike",
    "the plane|the aircraft",
    "the mobile phone|the cell phone",
    "the handbag|the purse",
    "the sweater|the pullover",
    "the ship|the vessel",
    "the jewel|the gem",
    "the spectacles case|the glasses case",
    "the rifle|the gun",
    "the suitcase|the travel bag",
    "the raincoat|the mackintosh",
    "the camera|the photographic device",
    "the laptop|the notebook computer",
};
constexpr Words kPlaces = {
    "at the mall|at the shopping centre",
    "at the airport|at the airfield",
    "at the pharmacy|at the chemist's",
    "at the harbour|at the port",
    "at the fair|at the carnival",
    "at the hotel|at the inn",
    "at the gas station|at the petrol station",
    "at the railway station|at the train station",
    "at the seaside|at the beach",
    "at the cinema|at the movie theatre",
};
constexpr Words kHours = {
    "at noon|at midday",
    "at dawn|at daybreak",
    "at dusk|at nightfall",
    "at half past six|at 6:30",
    "at a quarter past four|at 4:15",
    "at a quarter to nine|at 8:45",
    "at ten past two|at 2:10",
    "at twenty to eight|at 7:40",
    "at midnight|at twelve at night",
};
constexpr Words kAgo = {
    "two weeks ago|a fortnight ago", "three days ago|72 hours ago",    "a year ago|twelve months ago", "a decade ago|ten years ago",
    "an hour ago|sixty minutes ago", "six months ago|half a year ago", "a week ago|seven days ago",    "a minute ago|sixty seconds ago",
};
constexpr Words kSeasons = {
    "in the autumn|in the fall",       "in early summer|at the beginning of summer", "late in winter|towards the end of winter",
    "on Christmas Day|on 25 December", "on New Year's Eve|on 31 December",           "in the middle of spring|halfway through spring",
};
constexpr Words kKitchen = {
    "cooked|prepared",
    "ate/eaten|consumed",
    "ordered|asked for",
    "served|dished up",
    "tasted|sampled",
    "refused|declined",
    "photographed|took a photo of/captured in a photo",
    "bought|purchased",
};
constexpr Words kDishes = {
    "the eggplant|the aubergine",   "the corn|the maize",        "the pie|the tart",
    "the soda|the fizzy drink",     "the oatmeal|the porridge",  "the candy|the sweet stuff",
    "the zucchini|the courgette",   "the starter|the appetizer", "the roll|the bun",
    "the ketchup|the tomato sauce", "the cookie|the biscuit",    "the shrimp|the prawn",
    "the steak|the slice of beef",  "the pasta|the noodles",
};
constexpr Words kMeals = {
    "for breakfast|as the morning meal",
    "for supper|as the evening meal",
    "for lunch|as the midday meal",
    "for a snack|as a bite between meals",
};
constexpr Words kMeans = {
    "by train|by rail",     "by plane|by air", "by ship|by sea",    "by bicycle|by bike",         "by subway|by underground",
    "by car|by automobile", "by taxi|by cab",  "by truck|by lorry", "by motorcycle|by motorbike",
};
constexpr Words kDestinations = {
    "to the coast|to the seaside",        "to the woods|to the forest",        "to the city centre|to the downtown area",
    "to the border|to the frontier",      "to the prison|to the jail",         "to the graveyard|to the cemetery",
    "to the cinema|to the movie theatre", "to the summit|to the mountain top", "to the stadium|to the sports arena",
    "to the harbour|to the port",         "to the pub|to the tavern",
};
constexpr Words kOccasions = {
    "the exam|the test",
    "the concert|the musical performance",
    "the soccer match|the football game",
    "the wedding|the marriage ceremony",
    "the lecture|the talk",
    "the party|the celebration",
    "the competition|the contest",
    "the journey|the trip",
    "the meeting|the conference",
    "the rehearsal|the practice session",
    "the film|the movie",
};
constexpr Words kChanges = {
    "postponed|put off",  "cancelled|called off",       "interrupted|broken off",
    "shortened|cut down", "moved indoors|taken inside", "prolonged|extended",
};
constexpr Words kReasons = {
    "the rain|the wet weather",
    "the strike|the walkout",
    "the power cut|the blackout",
    "the storm|the gale",
    "the heat|the high temperatures",
    "the blaze|the fire",
    "the traffic jam|the congested roads",
    "the fog|the thick mist",
    "the epidemic|the spread of the disease",
    "the lack of money|the shortage of funds",
    "the noise|the racket",
};
constexpr Words kDeeds = {
    "called|phoned",  "helped|assisted",         "dismissed|fired",    "praised|commended",     "rescued|saved",
    "chased|pursued", "questioned|interrogated", "hit|struck",         "recognised|identified", "deceived|fooled",
    "employed|hired", "accompanied|escorted",    "comforted|consoled", "annoyed|irritated",     "frightened|scared",
};
constexpr Words kGave = {
    "gave/given|handed",
    "lent|loaned",
    "sent|mailed",
    "showed/shown|presented",
};
constexpr Words kHappenings = {
    "the rain began|it started to rain",
    "the guests arrived|the visitors came",
    "the baby fell asleep|the infant dozed off",
    "the film started|the movie began",
    "the train left|the train departed",
    "the shop closed|the store shut",
    "the bus stopped|the bus came to a halt",
    "the sun rose|the sun came up",
    "the plane landed|the aircraft touched down",
    "the boss left|the manager went away",
    "the doctor called|the physician phoned",
    "the fire broke out|the blaze started",
    "the kids woke up|the children got out of bed",
    "the music ended|the music came to a stop",
};
constexpr Words kComparisons = {
    "bigger/smaller|larger/smaller",
    "faster/slower|quicker/slower",
    "newer/older|more recent/more aged",
    "prettier/uglier|more beautiful/uglier",
    "simpler/more complicated|easier/more difficult",
    "cheaper/dearer|less expensive/more expensive",
    "lighter/heavier|less heavy/weightier",
};
constexpr Words kPremises = {
    "the pharmacy|the chemist's",          "the cinema|the movie theatre", "the pub|the tavern",
    "the gas station|the petrol station",  "the grocery|the food shop",    "the bookshop|the bookstore",
    "the art gallery|the picture gallery", "the snack bar|the cafeteria",
};
constexpr Words kOpen = {
    "was open|was not closed|was not shut",
    "was closed|was shut|was not open",
};
constexpr Words kPassed = {
    "passed|got through|did not fail",
    "failed|flunked|did not pass|did not get through",
};
constexpr Words kTests = {
    "the driving test|the driver's exam",
    "the maths exam|the test in mathematics",
    "the medical check|the health examination",
    "the language test|the foreign language exam",
};
constexpr Words kDevices = {
    "the elevator|the lift",   "the fridge|the refrigerator", "the television|the TV",
    "the phone|the telephone", "the stove|the cooker",        "the lawn mower|the grass cutter",
    "the tap|the faucet",      "the computer|the PC",         "the cash machine|the ATM",
};
constexpr Words kWorking = {
    "was working|was functioning|was not broken|was not out of order",
    "was broken|was out of order|was not working|was not functioning",
};
constexpr Words kRemembered = {
    "remembered|did not forget|did not neglect",
    "forgot|neglected|did not remember",
};
constexpr Words kChores = {
    "to lock the door|to turn the key in the door",   "to feed the cat|to give the cat its food",
    "to water the plants|to give the plants water",   "to pay the bill|to settle the bill",
    "to turn off the light|to switch off the lamp",   "to call the doctor|to phone the physician",
    "to take out the trash|to carry out the rubbish", "to shut the window|to close the window",
};
constexpr Words kAccepted = {
    "accepted|said yes to|did not refuse|did not turn down",
    "refused|turned down|did not accept|did not say yes to",
};
constexpr Words kOffers = {
    "the job|the post",
    "the invitation to the wedding|the invitation to the marriage ceremony",
    "the plan|the scheme",
    "the present|the gift",
    "the pay rise|the higher salary",
    "the deal|the bargain",
    "the apology|the request to be forgiven",
};
constexpr Words kPunctual = {
    "was punctual|was on time|was not late|was not delayed",
    "was late|was delayed|was not punctual|was not on time",
};
constexpr Words kArrivals = {
    "the train|the railway service", "the coach|the bus",    "the doctor|the physician",   "the parcel|the package",
    "the ferry|the passenger boat",  "the plane|the flight", "the salary|the monthly pay", "the boss|the manager",
};
constexpr Words kQuestions = {
    "how can I|what is the best way to",
    "where can I|what is a good place to",
    "when should I|what is the right time to",
    "why should I|for what reason should I",
    "who can help me to|which expert can assist me to",
    "how long does it take to|how much time do I need to",
    "how much does it cost to|what is the price if I want to",
};
constexpr Words kProjects = {
    "fix a bicycle|repair a bike",
    "lose weight|get slimmer",
    "quit smoking|give up cigarettes",
    "find a job|get employment",
    "rent a flat|lease an apartment",
    "sell a used car|get rid of a second-hand automobile",
    "learn to drive|take driving lessons",
    "get a passport|obtain a travel document",
    "buy a fridge|purchase a refrigerator",
    "cook eggplant|prepare aubergine",
    "become a doctor|enter the medical profession",
    "start a company|found a business",
    "move abroad|settle in a foreign country",
    "improve my handwriting|write more legibly",
    "remove a stain|get a spot out",
    "borrow money|take out a loan",
    "save electricity|use less power",
    "make friends|get to know people",
    "sleep better|get a good night's rest",
    "cure a cold|get over a sniffle",
    "build a shed|put up a hut",
    "learn to sing|take singing lessons",
};
constexpr Words kCircumstances = {
    "as a beginner|without experience",    "with little money|on a small budget", "in a hurry|with little time",
    "on my own|without any help",          "in old age|as a pensioner",           "before Christmas|ahead of 25 December",
    "in a village|in a small rural place",
};
constexpr Words kNumbers = {
    "two|a couple of", "six|half a dozen", "twelve|a dozen",   "twenty|20", "fifty|50",
    "thirty|30",       "a hundred|100",    "a thousand|1,000", "three|3",
};
constexpr Words kThings = {
    "bicycles|bikes",   "cookies|biscuits", "photographs|pictures",      "sweaters|pullovers", "trucks|lorries", "flashlights|torches",
    "pillows|cushions", "rugs|carpets",     "cell phones|mobile phones", "jewels|gems",        "couches|sofas",  "shrimps|prawns",
};
constexpr Words kCounted = {
    "bought|purchased", "stole|pinched",      "delivered|brought",           "lost|misplaced",
    "needed|required",  "inspected|examined", "photographed|took photos of",
};

const std::vector<SampleFrame> kFrames = {
    {9,
     false,  // household
     {{"did", kHandle, 1.5}, {"what", kFurniture, 1.5}, {"who", kHousehold, 1}, {"where", kRooms, .7}, {"when", kHours, .5}},
     {"{who} {did} {what} {where} {when}.", "{when}, {who} {did} {what} {where}.", "{where}, {who} {did} {what} {when}.",
      "{what} was {did+} by {who} {where} {when}.", "it was {who} who {did} {what} {where} {when}."}},
    {9,
     false,  // town
     {{"did", kTrade, 1.5}, {"what", kGoods, 1.5}, {"who", kRoles, 1}, {"where", kPlaces, .7}, {"when", kAgo, .5}},
     {"{who} {did} {what} {where} {when}.", "{when}, {who} {did} {what} {where}.", "{when}, it was {who} who {did} {what} {where}.",
      "what {who} {did} {where} {when} was {what}."}},
    {8,
     false,  // food
     {{"did", kKitchen, 1.5}, {"what", kDishes, 1.5}, {"who", kHousehold, 1}, {"where", kMeals, .8}, {"when", kSeasons, .6}},
     {"{who} {did} {what} {where} {when}.", "{when}, {who} {did} {what} {where}.", "{what} was {did+} by {who} {where} {when}.",
      "it was {who} who {did} {what} {where} {when}."}},
    {8,
     false,  // travel
     {{"where", kDestinations, 1.6}, {"who", kRoles, 1.2}, {"how", kMeans, 1}, {"when", kAgo, .6}},
     {"{who} travelled {where} {how} {when}.", "{when}, {who} [made a trip|travelled] {where} {how}.",
      "it was {how} that {who} travelled {where} {when}.", "{when}, the journey of {who} {where} was made {how}."}},
    {8,
     false,  // occasion
     {{"what", kOccasions, 1.5}, {"did", kChanges, 1.5}, {"why", kReasons, 1.2}, {"when", kAgo, .6}},
     {"{what} was {did} {when} [because of|due to|on account of] {why}.", "[because of|due to|owing to] {why}, {what} was {did} {when}.",
      "{when}, {what} was {did} [because of|due to|on account of] {why}.", "{why} was the reason why {what} was {did} {when}."}},
    {8,
     false,  // question
     {{"ask", kQuestions, 1.5}, {"do", kProjects, 2}, {"how", kCircumstances, .8}},
     {"{ask} {do} {how}?", "{how}, {ask} {do}?", "[tell me|does anyone know]: {ask} {do} {how}?",
      "I have been wondering: {ask} {do} {how}?"}},
    {8,
     false,  // number
     {{"many", kNumbers, .8}, {"what", kThings, 1.5}, {"did", kCounted, 1.5}, {"who", kRoles, 1}, {"where", kPlaces, .6}},
     {"{who} {did} {many} {what} {where}.", "{where}, {who} {did} {many} {what}.", "it was {who} who {did} {many} {what} {where}.",
      "what {who} {did} {where} was {many} {what}."}},
    {4,
     true,  // deed
     {{"who", kRoles, 1}, {"whom", kRoles, 1}, {"did", kDeeds, 1.6}, {"when", kHours, .5}},
     {"{who} {did} {whom} {when}.", "{when}, {who} {did} {whom}.", "{whom} was {did+} by {who} {when}.",
      "{when}, {whom} was {did+} by {who}.", "it was {who} who {did} {whom} {when}."}},
    {3,
     true,  // gift
     {{"who", kRoles, 1}, {"whom", kRoles, 1}, {"gave", kGave, 1}, {"what", kGoods, 1.5}, {"when", kAgo, .5}},
     {"{who} {gave} {what} to {whom} {when}.", "{when}, {who} {gave} {whom} {what}.", "{when}, {what} was {gave+} to {whom} by {who}.",
      "it was {who} who {gave} {what} to {whom} {when}."}},
    {3,
     true,  // order
     {{"first", kHappenings, 1.5}, {"second", kHappenings, 1.5}, {"when", kHours, .6}},
     {"{when}, {first} before {second}.", "{when}, {second} after {first}.", "{when}, {first}, and then {second}."}},
    {2,
     true,  // comparison
     {{"one", kGoods, 1.2}, {"other", kGoods, 1.2}, {"more", kComparisons, 1.4}, {"where", kPlaces, .5}},
     {"{where}, {one} was {more} than {other}.", "{other} was {more+} than {one} {where}.", "{one} was {more} than {other} {where}."}},
    {3,
     false,  // open
     {{"was", kOpen, 2}, {"what", kPremises, 1.5}, {"when", kHours, .7}, {"where", kSeasons, .6}},
     {"{what} {was} {when} {where}.", "{where}, {what} {was} {when}.", "{when} {where}, {what} {was}."}},
    {3,
     false,  // exam
     {{"did", kPassed, 2}, {"what", kTests, 1.5}, {"who", kRoles, 1}, {"when", kAgo, .6}},
     {"{who} {did} {what} {when}.", "{when}, {who} {did} {what}.", "it was {who} who {did} {what} {when}."}},
    {3,
     false,  // device
     {{"was", kWorking, 2}, {"what", kDevices, 1.5}, {"where", kRooms, .7}, {"when", kSeasons, .5}},
     {"{what} {where} {was} {when}.", "{when}, {what} {where} {was}."}},
    {3,
     false,  // chore
     {{"did", kRemembered, 2}, {"what", kChores, 1.5}, {"who", kHousehold, 1}, {"when", kHours, .5}},
     {"{who} {did} {what} {when}.", "{when}, {who} {did} {what}.", "it was {who} who {did} {what} {when}."}},
    {3,
     false,  // offer
     {{"did", kAccepted, 2}, {"what", kOffers, 1.5}, {"who", kRoles, 1}, {"when", kAgo, .5}},
     {"{who} {did} {what} {when}.", "{when}, {who} {did} {what}.", "it was {who} who {did} {what} {when}."}},
    {3,
     false,  // arrival
     {{"was", kPunctual, 2}, {"what", kArrivals, 1.5}, {"when", kSeasons, .7}},
     {"{what} {was} {when}.", "{when}, {what} {was}."}},
};

}  // namespace

const std::vector<SampleFrame>& sample_frames() { return kFrames; }

}  // namespace minbert
