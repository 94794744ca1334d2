// The one-liner on a person's own table: its flags, folds, sets of labels, and hints for flags that exist as keys only.
#include <map>
#include <set>

#include "minbert/base/json.h"
#include "tests/cli/project.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

/// Tickets whose words say what they are about; some are about two things.
std::string tickets() {
  std::string csv = "ticket,topics\n";
  for (const char* how : {"please", "urgent", "hello", "again", "today"}) {
    csv += fmt::format("{} the invoice is wrong,Billing\n", how);
    csv += fmt::format("{} the parcel is late,Delivery\n", how);
    csv += fmt::format("{} the invoice of the late parcel is wrong,Billing;Delivery\n", how);
    csv += fmt::format("{} how are you,Other\n", how);
  }
  return csv;
}

class SmallDataTest : public ProjectTest {
 protected:
  SmallDataTest() {
    expect_success(minbert({"train", "tiny.toml", "-o", "model", "-q", "--set", "stage.0.epochs=0"}));
    write("tickets.csv", tickets());
  }
  Finished one_liner(const std::string& run, const std::vector<std::string>& more) const {
    std::vector<std::string> arguments = {"train",   "--init", "model/best", "--train", "tickets.csv", "--text", "ticket",
                                          "--label", "topics", "-o",         run};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return minbert(arguments);
  }
  Json json(std::string_view name) const { return Json::parse(text(name)); }
  /// The ids of a split's rows.
  std::string ids(std::string_view run, std::string_view split) const {
    std::string out;
    for (const std::string& line : lines_of(text(fmt::format("{}/eval/{}/tickets.predictions.tsv", run, split))))
      out += line.substr(0, line.find('\t')) + " ";
    return out;
  }
};

TEST_F(SmallDataTest, ThresholdsOfDevCutTheScoresOfTrainToo) {
  expect_success(one_liner(
      "run", {"--lr", "1e-3", "--epochs", "1", "--set", "task.tickets.data.dev=tickets.csv", "--set", "stage.finetune.eval_train=all"}));
  std::map<std::string, Json> scores;
  for (const std::string& line : lines_of(text("run/metrics.jsonl")))
    if (const Json event = parse_json(line, "metrics.jsonl", ErrorTag::kInternal); event["event"] == "eval" && event["epoch"] == 1)
      scores[event["split"]] = event["scores"];
  EXPECT_FALSE(scores.at("train").empty());
  EXPECT_EQ(scores.at("train"), scores.at("dev")) << "both are the same rows";
}

TEST_F(SmallDataTest, CellsWithSeveralLabelsMakeAMultiLabelTask) {
  const Finished trained = one_liner("run", {"--test", "0.25", "--lr", "1e-3", "--epochs", "2"});
  expect_success(trained);
  for (const char* part :
       {"tickets: multi_label, 3 labels; ", " train, ", " dev, 5 test rows", "model: 1 layers", "stages: heads (frozen encoder)",
        "finetune 2 epochs", "kept: the epoch that dev prefers", "done in ", "next: minbert predict run -i", "for transformers: "})
    EXPECT_NE(trained.err.find(part), std::string::npos) << part << "\n" << trained.err;
  for (const char* part : {"micro_f1", "95% interval", "test"}) EXPECT_NE(trained.out.find(part), std::string::npos) << trained.out;
  const Json task = json("run/best/minbert.json")["tasks"][0];
  EXPECT_EQ(task["type"], "multi_label");
  EXPECT_EQ(task["labels"], Json({"Billing", "Delivery", "Other"}));
  EXPECT_EQ(task["thresholds"].size(), 3u);
  const std::string config = text("run/config.toml");
  EXPECT_NE(config.find("# --lr"), std::string::npos) << config;

  const Finished lines = minbert({"predict", "run"}, "the invoice is wrong\n");
  expect_success(lines);
  EXPECT_TRUE(Json::parse(lines.out)["pred"].is_array()) << lines.out;
  const Finished table = minbert({"predict", "run", "--format", "csv"}, "the invoice is wrong\n");
  expect_success(table);
  EXPECT_TRUE(table.out.starts_with("id,pred,score,p_Billing,p_Delivery,p_Other\n")) << table.out;
  expect_failure(minbert({"predict", "run", "--format", "cs224n"}, "the invoice is wrong\n"), 2, "sets of labels");
  expect_success(minbert({"eval", "run", "--split", "test"}));
  expect_success(minbert({"eval", "run", "--data", "tickets.csv"}));
  expect_success(minbert({"compare", "run", "run", "--split", "test"}));
  expect_success(minbert({"export", "run", "-o", "encoder", "--as", "hf"}));
}

TEST_F(SmallDataTest, TypeSaysWhetherCellsListLabels) {
  const auto type_of = [&](const std::string& run, const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"--epochs", "0", "--set", "stage.heads.epochs=0"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    expect_success(one_liner(run, arguments));
    return json(run + "/best/minbert.json")["tasks"][0];
  };
  EXPECT_EQ(type_of("classes", {"--type", "classify"})["labels"], Json({"Billing", "Billing;Delivery", "Delivery", "Other"}));
  const Json named = type_of("named", {"--type", "multi_label", "--labels", "Other,Delivery,Billing"});
  EXPECT_EQ(named["type"], "multi_label");
  EXPECT_EQ(named["labels"], Json({"Other", "Delivery", "Billing"}));
}

TEST_F(SmallDataTest, FoldsAreRunsBesideASummary) {
  const Finished folds = one_liner("folds", {"--folds", "2", "--epochs", "1", "--set", "stage.heads.epochs=1"});
  expect_success(folds);
  const Json summary = json("folds/summary.json");
  EXPECT_EQ(summary["folds"], 2);
  const double first = json("folds/fold-1/eval/test/metrics.json")["mean"], second = json("folds/fold-2/eval/test/metrics.json")["mean"];
  EXPECT_NEAR(summary["tasks"]["tickets"]["mean"].get<double>(), (first + second) / 2, 1e-12);
  EXPECT_EQ(json("folds/fold-1/data.json")["tickets"]["test"]["used"].get<int>() +
                json("folds/fold-2/data.json")["tickets"]["test"]["used"].get<int>(),
            20);
  expect_success(minbert({"report", "folds"}));
  EXPECT_NE(text("folds/eval/scores.csv").find(fmt::format("all folds,2,{:.3f}", (first + second) / 2)), std::string::npos)
      << text("folds/eval/scores.csv");
  expect_failure(minbert({"eval", "folds"}), 4, "fold-1");
  expect_failure(one_liner("both", {"--folds", "2", "--seeds", "1,2"}), 2, "--seeds or --folds");
}

TEST_F(SmallDataTest, MoreFoldsThanRowsAreRefusedBeforeTheTraining) {
  for (const char* how : {"--dry-run", "-q"}) {
    expect_failure(one_liner("many", {"--folds", "21", how}), 3, "expected a usable row for each of 21 folds, got 20");
    EXPECT_FALSE(fs::exists(path("many/fold-1/best")));
  }
}

TEST_F(SmallDataTest, ADryRunCountsAllRunsAndAnyNumberOfEpochs) {
  const Finished folds = one_liner("none", {"--folds", "4", "--dry-run"});
  expect_success(folds);
  EXPECT_NE(folds.out.find("4 runs like this one: about "), std::string::npos) << folds.out;
  expect_failure(one_liner("none", {"--folds", "4", "--seeds", "1,2", "--dry-run"}), 2, "expected --seeds or --folds, got both");
  expect_success(one_liner("none", {"--epochs", "0", "--dry-run"}));
  expect_success(one_liner("none", {"--epochs", "1000000000", "--dry-run"}));
  EXPECT_FALSE(fs::exists(path("none")));
}

TEST_F(SmallDataTest, CodesWithLeadingZerosStayAsTheyAre) {
  write("codes.csv", "text,label\na,01\nb,02\nc,10\nd,01\ne,02\nf,10\n");
  const Finished run = minbert({"data", "stats", "codes.csv"});
  expect_success(run);
  EXPECT_NE(run.out.find("01: 2, 02: 2, 10: 2"), std::string::npos) << run.out;
}

TEST_F(SmallDataTest, AColumnThatStandsTwiceIsNamedByItsNumber) {
  write("twice.csv", "text,text,label\na,x,good\nb,y,bad\n");
  expect_failure(minbert({"data", "check", "twice.csv"}), 3, "text: expected one column \"text\", got 2");
  expect_success(minbert({"data", "check", "twice.csv", "--text", "1"}));
}

TEST_F(SmallDataTest, SeedsShareTheirSplits) {
  expect_success(one_liner("seeds", {"--seeds", "1,2", "--epochs", "0", "--set", "stage.heads.epochs=0", "--limit", "16"}));
  EXPECT_EQ(ids("seeds/seed-1", "dev"), ids("seeds/seed-2", "dev"));
  const Json train = json("seeds/seed-1/data.json")["tickets"]["train"];
  EXPECT_EQ(train["over_limit"], 4);
}

TEST_F(SmallDataTest, SplitsAreTheSameAtAnyThreadCount) {
  const std::vector<std::string> untrained = {"--epochs", "0", "--set", "stage.heads.epochs=0", "--limit", "18"};
  const std::vector<std::vector<std::string>> splits = {{"--test", "0.25"}, {"--set", "data.folds=3", "--set", "data.fold=1"}};
  for (std::size_t i = 0; i < splits.size(); ++i) {
    std::map<std::string, std::set<std::string>> drawn;  // by split
    for (const char* threads : {"1", "2", "3"}) {
      std::vector<std::string> arguments = untrained;
      arguments.insert(arguments.end(), splits[i].begin(), splits[i].end());
      arguments.insert(arguments.end(), {"--threads", threads});
      const std::string run = fmt::format("run-{}-{}", i, threads);
      expect_success(one_liner(run, arguments));
      for (const char* split : {"dev", "test"}) drawn[split].insert(ids(run, split));
    }
    for (const auto& [split, different] : drawn) EXPECT_EQ(different.size(), 1u) << split;
  }
}

TEST_F(SmallDataTest, SeveralTrainFilesAreOneSplit) {
  write("more.csv", "ticket,topics\nthe refund is missing,Refund\nthe refund is late,Refund;Delivery\n");
  expect_success(one_liner("run", {"--train", "more.csv", "--epochs", "0", "--set", "stage.heads.epochs=0"}));
  EXPECT_EQ(json("run/data.json")["tickets"]["train"]["read"], 22);
  EXPECT_EQ(json("run/best/minbert.json")["tasks"][0]["labels"], Json({"Billing", "Delivery", "Other", "Refund"}));
}

TEST_F(SmallDataTest, HintsNameTheKeyOfAFlagThatIsNone) {
  const auto hint = [&](std::vector<std::string> more, std::string_view expected) {
    const Finished finished = one_liner("new", more);
    EXPECT_EQ(finished.code, 2);
    EXPECT_NE(finished.err.find(expected), std::string::npos) << finished.err;
  };
  hint({"--warmup-ratio", "0.1"}, "--set stage.finetune.warmup_ratio=VALUE");
  hint({"--learning-rate", "0.1"}, "--set stage.finetune.lr=VALUE");
  hint({"--label-smoothing=0.1"}, "--set task.NAME.label_smoothing=VALUE");
  hint({"--epoch", "3"}, "did you mean \"--epochs\"?");
  const Finished config = minbert({"train", "tiny.toml", "--lr", "0.1", "-o", "new"});
  expect_failure(config, 2, "--lr");
  EXPECT_NE(config.err.find("--set stage.0.lr=0.1"), std::string::npos) << config.err;
  EXPECT_FALSE(fs::exists(path("new")));
}

}  // namespace
}  // namespace minbert
