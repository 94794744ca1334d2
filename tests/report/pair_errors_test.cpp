// Kinds of errors on pairs: sentences of each kind, and sentences that are only similar to it.
#include "minbert/report/pair_errors.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "minbert/data/text.h"

namespace minbert {
namespace {

using Pair = std::array<std::string_view, 2>;

std::size_t edits(std::string_view a, std::string_view b) { return token_edits(split_tokens(a), split_tokens(b)); }

double overlap(std::string_view a, std::string_view b) { return continuous_overlap(split_tokens(a), split_tokens(b)); }

TEST(PairErrors, TokenEdits) {
  EXPECT_EQ(edits("", ""), 0u);
  EXPECT_EQ(edits("", "two words"), 2u);
  EXPECT_EQ(edits("Where does the ferry land?", "where does the Ferry land ?"), 0u);
  EXPECT_EQ(edits("Where does the ferry land?", "When does the ferry land?"), 1u);
  EXPECT_EQ(edits("Where does the ferry land?", "Where does the old ferry land now?"), 2u);
  EXPECT_EQ(edits("Where does the ferry land?", "Why do old ferries sink?"), 5u);
  EXPECT_EQ(edits("red boats sail far", "boats sail far red"), 2u);
}

TEST(PairErrors, ASubjectThatChanges) {
  const std::vector<Pair> changed = {
      {"Can a person grow taller after thirty?", "Can you grow taller after thirty?"},
      {"How do I trim my beard at home?", "How does one trim one's beard at home?"},
      {"What should someone pack for a desert hike?", "What should I pack for a desert hike?"},
      {"Why do people whistle while they work?", "Why do you whistle while you work?"},
      {"How can a young nurse work abroad in winter?", "How can I work abroad in winter?"},
      {"Is he ready for the race?", "Are you ready for the race?"},
      {"She bakes bread every day.", "They bake bread every day."},
      {"Do women enjoy solitary walks?", "Do you enjoy solitary walks?"},
      {"Why would a person tell a man a secret?", "Why would you tell someone a secret?"},
  };
  for (const auto& [a, b] : changed) {
    EXPECT_TRUE(is_subject_change(a, b)) << a << " / " << b;
    EXPECT_TRUE(is_subject_change(b, a)) << a << " / " << b;
  }
  const std::vector<Pair> not_changed = {
      {"Can you grow taller after thirty?", "Can you grow taller after thirty?"},
      {"Can you grow taller after thirty?", "Can you grow taller after forty?"},
      {"What's your favourite harbour?", "What is your favourite harbour?"},
      {"Can a dog eat rice?", "Can a cat eat rice?"},  // neither speaks of persons in general
      {"Where can I buy cheap rope?", "How can I buy cheap rope?"},
      {"How do I paint a fence?", "How do you repair a roof?"},                                        // more than the subject
      {"Tell the porter to call you before noon.", "Tell the porter to call the guard before noon."},  // not the subject
      {"Can you swim?", "Can seals swim?"},                                                            // too little in common
      {"Can you sail home in winter?", "Can the crew of that very old ship sail home in winter?"},
      {"Is it cold in the north?", "Are the long winters of the far north cold?"},
      {"", "Can you swim?"},
  };
  for (const auto& [a, b] : not_changed) EXPECT_FALSE(is_subject_change(a, b)) << a << " / " << b;
}

TEST(PairErrors, AnAbbreviation) {
  const std::vector<Pair> abbreviated = {
      {"How does the RTW rule apply?", "How does the right to wander rule apply?"},  // small words counted
      {"Who leads the lof today?", "Who leads the League of Fishers today?"},
      {"Who leads the LF today?", "Who leads the League of Fishers today?"},  // or not
      {"What is an m.r.t. scan?", "What is a magnetic ring tracing scan?"},
      {"Is IT a good career?", "Is insect training a good career?"},  // a small word, but in capitals
      {"Does PTD fade?", "Does post-travel dizziness fade?"},
  };
  for (const auto& [a, b] : abbreviated) {
    EXPECT_TRUE(is_abbreviation(a, b)) << a << " / " << b;
    EXPECT_TRUE(is_abbreviation(b, a)) << a << " / " << b;
  }
  const std::vector<Pair> not_abbreviated = {
      {"Is it a good career?", "Is insect training a good career?"},                      // "it", the pronoun
      {"Who leads the LOF today?", "Who leads the LOF and the League of Fishers?"},       // both have it
      {"Who leads the League of Fishers, the LOF?", "Who leads the League of Fishers?"},  // both say all of it
      {"Who leads the LFX today?", "Who leads the League of Fishers today?"},
      {"Is a boat safe?", "Is the ship safe?"},
      {"Why isn't the ferry here?", "Why is Sven never here?"},
      {"Will the USA send help?", "Will the US send help?"},
      {"Will the USA swiftly send help?", "Will the US send help?"},  // USA swiftly
      {"", ""},
  };
  for (const auto& [a, b] : not_abbreviated) {
    EXPECT_FALSE(is_abbreviation(a, b)) << a << " / " << b;
    EXPECT_FALSE(is_abbreviation(b, a)) << a << " / " << b;
  }
}

TEST(PairErrors, ContinuousOverlap) {
  EXPECT_EQ(overlap("", ""), 0);
  EXPECT_EQ(overlap("a red boat sails", "a red boat sails"), 1);
  EXPECT_EQ(overlap("a red boat sails", "one green ship"), 0);
  EXPECT_DOUBLE_EQ(overlap("a red boat sails", "the red boat is fast today"), 2 / 5.0);  // red boat; lengths 4 and 6
  EXPECT_DOUBLE_EQ(overlap("x a y a b", "a b"), 2 / 3.5);
  EXPECT_DOUBLE_EQ(overlap("red old boat", "red boat"), 1 / 2.5);  // not one run
}

}  // namespace
}  // namespace minbert
