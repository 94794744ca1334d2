// Records of a run: the same line and record both ways, and every member that is not as it must be is named.
#include "minbert/data/run_records.h"

#include <gtest/gtest.h>

#include <cmath>

#include "minbert/base/json.h"
#include "minbert/base/rng.h"
#include "minbert/data/corpus_records.h"
#include "tests/base/error_matchers.h"
#include "tests/base/temp_folder.h"

namespace minbert {
namespace {

constexpr std::string_view kStep =
    R"({"event":"step","stage":"0","step":12,"epoch":1,"task":"sst","loss":1.625,"lr":1e-05,"grad_norm":2.5,"tokens":224,"tokens_per_s":5210.5,"wall_s":3.481207})";
constexpr std::string_view kEval =
    R"({"event":"eval","stage":"pre","epoch":0,"split":"held_out","scores":{"a.txt":0.25},"mean":0.25,"loss":{"a.txt":null},"perplexity":{"a.txt":7.5},"best":true})";

TEST(RunRecords, AreReadAsTheyAreWritten) {
  const RunRecord step = parse_record(kStep, "m:1"), eval = parse_record(kEval, "m:2");
  EXPECT_EQ(record_line(std::get<StepRecord>(step)), kStep);
  EXPECT_EQ(record_line(std::get<EvalRecord>(eval)), kEval);
  EXPECT_EQ(std::get<StepRecord>(step).step, 12);
  EXPECT_EQ(std::get<StepRecord>(step).wall_s, 3.481207);
  EXPECT_TRUE(std::isnan(std::get<EvalRecord>(eval).loss.at("a.txt")));
  EXPECT_EQ(std::get<EvalRecord>(eval).perplexity.at("a.txt"), 7.5);
  EXPECT_TRUE(std::get<EvalRecord>(eval).best);
  StepRecord diverged = std::get<StepRecord>(step);
  diverged.loss = std::nan("");
  EXPECT_TRUE(std::isnan(std::get<StepRecord>(parse_record(record_line(diverged), "m:1")).loss));
  EXPECT_FALSE(
      std::get<EvalRecord>(parse_record(R"({"event":"eval","stage":"0","epoch":3,"split":"dev","scores":{},"mean":0,"loss":{}})", "m:1"))
          .best);
}

/// `line` with one member replaced by these bytes of JSON; removed where they are empty.
std::string with(std::string_view line, const std::string& key, std::string_view value) {
  Json json = parse_json(line, "line", ErrorTag::kInternal);
  if (value.empty())
    json.erase(key);
  else
    json[key] = parse_json(value, "value", ErrorTag::kInternal);
  return dump_json(json);
}

TEST(RunRecords, NameTheMemberThatIsWrong) {
  struct Case {
    std::string_view line;
    std::string key;
    std::vector<std::string_view> values;
  };
  const Case cases[] = {
      {kStep, "event", {"", "1", "null", R"("stop")"}},
      {kStep, "stage", {"", "0", "null", "[]"}},
      {kStep, "task", {"", "1", "{}"}},
      {kStep, "step", {"", "0", "-1", "1.0", "null", R"("one")", "[]", "9223372036854775808", "18446744073709551615", "1e300"}},
      {kStep, "epoch", {"", "0", "2147483648", "4294967297", "1.5", "true"}},
      {kStep, "tokens", {"", "-1", "0.5", "null"}},
      {kStep, "loss", {"", R"("low")", "[]", "{}", "true"}},
      {kStep, "lr", {"-1e-5", R"("1e-5")"}},
      {kStep, "grad_norm", {"-1", "{}"}},
      {kStep, "tokens_per_s", {"-1", "[1]"}},
      {kStep, "wall_s", {"", "-0.5", "null", R"("soon")"}},
      {kEval, "stage", {"", "0"}},
      {kEval, "split", {"", "null"}},
      {kEval, "epoch", {"", "-1", "2147483648", "0.5"}},
      {kEval, "scores", {"", "null", "[]", "0.5", R"({"a":"high"})", R"({"a":{}})"}},
      {kEval, "loss", {"", "null", R"({"a":true})"}},
      {kEval, "mean", {"", R"("high")", "[]"}},
      {kEval, "perplexity", {"null", "3", R"({"a":[]})"}},
      {kEval, "best", {"null", "1", R"("yes")"}},
  };
  for (const Case& c : cases)
    for (const std::string_view value : c.values)
      expect_error(ErrorTag::kData, {"metrics.jsonl:7", "key \"" + c.key},
                   [&] { parse_record(with(c.line, c.key, value), "metrics.jsonl:7"); });
  for (const std::string_view line : {"", "{", "[]", "3", "null", "{}", "\xff"})
    expect_error(ErrorTag::kData, {"metrics.jsonl:7"}, [&] { parse_record(line, "metrics.jsonl:7"); });
  expect_error(ErrorTag::kData, {"metrics.jsonl:7", "levels"}, [] { parse_record(std::string(100000, '['), "metrics.jsonl:7"); });
}

TEST(RunRecords, BrokenBytesAreNeverMoreThanAnError) {
  Rng rng(3, "bytes");
  int errors = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string line(i % 2 == 0 ? kStep : kEval);
    for (std::uint64_t changes = 1 + rng.below(3); changes > 0; --changes) line[rng.below(line.size())] = static_cast<char>(rng.below(256));
    try {
      parse_record(line, "metrics.jsonl:1");
    } catch (const Error& error) {
      ASSERT_EQ(error.tag(), ErrorTag::kData) << line;
      ++errors;
    }
  }
  EXPECT_GT(errors, 10000);
}

TEST(RunRecords, ReaderCountsLinesAndLeavesATornOne) {
  const TempFolder folder;
  const std::string two = std::string(kEval) + "\n" + std::string(kStep) + "\n";
  write_file(folder / "metrics.jsonl", two + R"({"event":"st)");
  RunRecordReader reader(folder / "metrics.jsonl");
  EXPECT_TRUE(std::holds_alternative<EvalRecord>(reader.next().value()));
  EXPECT_TRUE(std::holds_alternative<StepRecord>(reader.next().value()));
  EXPECT_FALSE(reader.next());
  EXPECT_FALSE(reader.next());
  EXPECT_EQ(reader.bytes(), two.size());
  write_file(folder / "metrics.jsonl", two + "\n");
  RunRecordReader broken(folder / "metrics.jsonl");
  broken.next();
  broken.next();
  expect_error(ErrorTag::kData, {"metrics.jsonl:3"}, [&] { broken.next(); });
  EXPECT_EQ(broken.bytes(), two.size());
  expect_error(ErrorTag::kData, {"absent.jsonl"}, [&] { RunRecordReader(folder / "absent.jsonl"); });
}

TEST(CorpusRecords, AreReadAsTheyAreWritten) {
  const CorpusRecord text{.stage = "pre",
                          .corpus = "a, b.txt",
                          .role = "text",
                          .texts = 9,
                          .held_out = 2,
                          .word_pieces = 60,
                          .distinct = 31,
                          .unknown = 1,
                          .loss = {4.5, 0.1},
                          .perplexity = {90.25, {}},
                          .accuracy = {0.0, 0.25}};
  const CorpusRecord task{.stage = "pre", .corpus = "near.train", .role = "task", .texts = 12};
  const std::string csv =
      "stage,corpus,role,texts,held_out,word_pieces,distinct,unknown,loss_before,loss_after,perplexity_before,perplexity_after,accuracy_"
      "before,"
      "accuracy_after\n"
      "pre,\"a, b.txt\",text,9,2,60,31,1,4.5,0.1,90.25,,0.0,0.25\n"
      "pre,near.train,task,12,0,0,0,0,,,,,,\n";
  EXPECT_EQ(corpora_csv(std::vector{text, task}), csv);
  const TempFolder folder;
  write_file(folder / "corpora.csv", csv);
  const auto read = read_corpora(folder / "corpora.csv");
  ASSERT_EQ(read.size(), 2u);
  EXPECT_EQ(corpora_csv(read), csv);
  EXPECT_EQ(read[0].corpus, "a, b.txt");
  EXPECT_FALSE(read[0].perplexity.after);
  for (const char* broken :
       {"stage,corpus\npre,a\n", "stage,corpus,role,texts\npre,a,text,many\n", "stage,corpus,role,loss_after\npre,a,text,low\n"}) {
    write_file(folder / "corpora.csv", broken);
    expect_error(ErrorTag::kData, {"corpora.csv"}, [&] { read_corpora(folder / "corpora.csv"); });
  }
}

}  // namespace
}  // namespace minbert
