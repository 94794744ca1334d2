// RunStatus: what a status.json may hold, and which member is named where it may not.
#include "minbert/data/run_status.h"

#include <gtest/gtest.h>

#include "minbert/base/files.h"
#include "minbert/base/json.h"
#include "tests/base/error_matchers.h"
#include "tests/base/temp_folder.h"

namespace minbert {
namespace {

class RunStatusTest : public testing::Test {
 protected:
  RunStatus read(std::string_view text) const {
    write_file(file_, text);
    return read_run_status(file_);
  }

  TempFolder folder_;
  std::filesystem::path file_ = folder_ / "status.json";
};

TEST_F(RunStatusTest, TakesWhatIsThere) {
  const RunStatus status = read(
      R"({"format":1,"state":"done","started":"then","resumes":2,"scores":{"mood":0.5},"mean":null,"seconds":1.5,"best_epoch":3,"more":[]})");
  EXPECT_EQ(status.state, "done");
  EXPECT_EQ(status.started, "then");
  EXPECT_EQ(status.updated, "");
  EXPECT_EQ(status.resumes, 2);
  EXPECT_EQ(status.scores.at("mood"), 0.5);
  EXPECT_FALSE(status.mean);
  EXPECT_FALSE(status.phases) << "as in older files";
  EXPECT_EQ(status.best_epoch, 3);
  EXPECT_EQ(read(R"({"format":1,"state":"failed","error":"why","exit_code":6})").exit_code, 6);
  const PhaseSeconds phases{{1, 0, 2.5, 0.25, 3}};
  Json json = {{"format", 1}, {"state", "running"}};
  json.update(wall_json(phases));
  EXPECT_EQ(read(dump_json(json)).phases.value().by_phase, phases.by_phase);
  EXPECT_FALSE(find_run_status(folder_ / "absent.json"));
}

TEST_F(RunStatusTest, NamesTheMemberThatIsWrong) {
  const std::vector<std::pair<const char*, std::vector<const char*>>> cases = {{"format", {"0", "2", "\"1\"", "null"}},
                                                                               {"state", {"1", "null", "\"asleep\""}},
                                                                               {"started", {"3", "null"}},
                                                                               {"resumes", {"-1", "1.5", "9223372036854775807", "\"2\""}},
                                                                               {"exit_code", {"-1", "256", "null"}},
                                                                               {"error", {"[]"}},
                                                                               {"scores", {"[]", "null", "{\"mood\":\"high\"}"}},
                                                                               {"mean", {"\"high\"", "{}"}},
                                                                               {"seconds", {"-1", "null"}},
                                                                               {"best_epoch", {"-2", "0.5", "4294967296"}},
                                                                               {"peak_memory_bytes", {"-1", "1e9"}},
                                                                               {"phase_seconds", {"[]", "null", "{}", R"({"read":-1})"}}};
  for (const auto& [key, values] : cases)
    for (const char* value : values) {
      Json json = {{"format", 1}, {"state", "done"}};
      json[key] = parse_json(value, "value", ErrorTag::kInternal);
      expect_error(ErrorTag::kData, {file_.string(), fmt::format("key \"{}", key)}, [&] { read(dump_json(json)); });
    }
  for (const char* text : {"", "{", "[]", "3", "{}", R"({"format":1})", R"({"state":"done"})"})
    expect_error(ErrorTag::kData, {file_.string()}, [&] { read(text); });
}

TEST(RunStatus, FoldersOfSeedsAndFoldsAreKnownByName) {
  EXPECT_EQ(number_among_runs("seed-18446744073709551615"), 18446744073709551615u);
  EXPECT_EQ(number_among_runs("fold-0"), 0u);
  for (const char* other : {"seed-", "seed-18446744073709551616", "seed-1a", "seed-+1", "seed1", "best"})
    EXPECT_FALSE(number_among_runs(other)) << other;
}

}  // namespace
}  // namespace minbert
