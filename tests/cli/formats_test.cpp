// Outputs of the verbs, compared to the byte where a script may rely on it.
#include <bit>
#include <cmath>
#include <cstring>
#include <regex>

#include "minbert/base/json.h"
#include "minbert/base/safetensors.h"
#include "tests/cli/project.h"

namespace minbert {
namespace {

Json parsed(const std::string& text) { return Json::parse(text); }

class FormatsTest : public ProjectTest {
 protected:
  FormatsTest() { train(); }

  std::string output(const std::vector<std::string>& arguments, const std::string& input = {}) const {
    const Finished finished = minbert(arguments, input);
    expect_success(finished);
    return finished.out;
  }
};

TEST_F(FormatsTest, Tokenize) {
  write("words/vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nfine\nfilm\n##s\na\n");
  EXPECT_EQ(output({"tokenize", "words"}, "A fine film\n\nfilms"), "2 8 5 6 3\n2 3\n2 6 7 3\n");
  EXPECT_EQ(output({"tokenize", "words", "--max-length", "3"}, "fine films\r\n"), "2 5 3\n");
  EXPECT_EQ(output({"tokenize", "words", "--pairs", "--json"}, "fine\tA\tfilms\n"),
            "{\"ids\":[2,5,3,8,6,7,3],\"tokens\":[\"[CLS]\",\"fine\",\"[SEP]\",\"a\",\"film\",\"##s\",\"[SEP]\"],"
            "\"type_ids\":[0,0,0,1,1,1,1],\"offsets\":[[0,0],[0,4],[0,0],[0,1],[2,6],[6,7],[0,0]]}\n");
}

TEST_F(FormatsTest, PredictJsonLines) {
  const auto named = lines_of(output({"predict", "run", "--task", "sentiment", "-i", "samples/sentiment-dev.csv"}));
  ASSERT_EQ(named.size(), 12u);
  const std::regex row(
      R"x(\{"id":"sentiment-dev-0","pred":"(awful|bad|fair|good|great)","score":0\.\d+,"probs":\{"awful":0\.\d+,"bad":0\.\d+,"fair":0\.\d+,"good":0\.\d+,"great":0\.\d+\}\})x");
  EXPECT_TRUE(std::regex_match(named[0], row)) << named[0];
  const Json first = parsed(named[0]);
  EXPECT_EQ(first["score"], *std::max_element(first["probs"].begin(), first["probs"].end()));

  const auto binary = lines_of(output({"predict", "run", "--task", "paraphrase"}, "is it far\thow far is it\na\tb\n"));
  ASSERT_EQ(binary.size(), 2u);
  EXPECT_TRUE(std::regex_match(binary[1], std::regex(R"x(\{"id":"1","pred":[01],"score":0\.\d+,"probs":\[0\.\d+,0\.\d+\]\})x")))
      << binary[1];

  const auto number = lines_of(output({"predict", "run", "--task", "similarity", "--no-probs"}, "a\tb\n"));
  EXPECT_TRUE(std::regex_match(number.at(0), std::regex(R"x(\{"id":"0","pred":-?\d+\.\d+,"score":null\})x"))) << number[0];
}

TEST_F(FormatsTest, PredictForPeople) {
  const auto one = parsed(output({"predict", "run", "a fine film", "--task", "sentiment", "--top-k", "2"}));
  EXPECT_EQ(one["id"], "0");
  ASSERT_EQ(one["top"].size(), 2u);
  EXPECT_EQ(one["top"][0]["label"], one["pred"]);
  EXPECT_GE(one["top"][0]["score"], one["top"][1]["score"]);
  const auto pair = lines_of(output({"predict", "run", "is it far", "how far is it", "a", "b", "--task", "all"}));
  EXPECT_EQ(pair.size(), 4u);  // without --text-pair, the tasks of single texts
  const auto both = parsed(output({"predict", "run", "is it far", "how far is it", "--task", "paraphrase,similarity", "--no-probs"}));
  EXPECT_TRUE(both["tasks"]["paraphrase"]["pred"].is_number_integer());
  EXPECT_TRUE(both["tasks"]["similarity"]["pred"].is_number_float());

  write("tickets.csv", "n,message,team\n7,\"a fine\nfilm\",x\n8,\"dull, long\",y\n");
  const std::vector<std::string> kept = {"predict",     "run",    "--task",  "sentiment",     "-i",
                                         "tickets.csv", "--text", "message", "--keep-columns"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), kept.begin(), kept.end());
    return more;
  };
  output(with({"--min-score", "1", "-o", "answered.csv"}));
  EXPECT_TRUE(text("answered.csv").starts_with("n,message,team,pred,score,p_awful,p_bad,p_fair,p_good,p_great\n7,\"a fine\nfilm\",x,,0."))
      << text("answered.csv");
  EXPECT_EQ(parsed(lines_of(output(with({})))[1])["message"], "dull, long");
  EXPECT_TRUE(output(with({"--format", "tsv", "--top-k", "2"})).starts_with("n\tmessage\tteam\tpred\tscore\tpred_2\tscore_2\n"));

  expect_failure(minbert(with({"-o", "out.xlsx"})), 2, ".jsonl, .tsv or .csv");
  expect_failure(minbert({"predict", "run", "a", "--task", "paraphrase"}), 2, "two texts at a time");
  expect_failure(minbert({"predict", "run", "a", "--task", "sentiment,paraphrase"}), 2, "do not both take");
  expect_failure(minbert({"predict", "run", "a", "b", "--task", "similarity", "--min-score", "0.5"}), 2, "no score");
  write("again.csv", "message,pred\na,b\n");
  expect_failure(minbert({"predict", "run", "--task", "sentiment", "-i", "again.csv", "--text", "message", "--keep-columns"}), 2,
                 "\"pred\"");
  write("twice.csv", "message,n,n\na,1,2\n");
  const std::vector<std::string> twice = {"predict",   "run",    "--task",  "sentiment",     "-i",
                                          "twice.csv", "--text", "message", "--keep-columns"};
  expect_failure(minbert(twice), 2, "two columns \"n\"");
  EXPECT_TRUE(
      output({twice[0], twice[1], "--task", "sentiment", "-i", "twice.csv", "--text", "message", "--keep-columns", "--format", "csv"})
          .starts_with("message,n,n,pred"));
}

TEST_F(FormatsTest, SimilarRows) {
  write("texts.csv", "n,words\nx,a fine film\ny,a dull film\nz,a fine film\n");
  EXPECT_EQ(output({"similar", "run", "-i", "texts.csv", "--text", "words", "--id", "n", "--threshold", "0.99999", "-o", "pairs.csv"}), "");
  const auto pairs = lines_of(text("pairs.csv"));
  EXPECT_EQ(pairs.at(0), "id_a,id_b,score");
  EXPECT_TRUE(pairs.at(1).starts_with("x,z,")) << pairs[1];
  const auto nearest = lines_of(output({"similar", "run", "--top-k", "1", "--with-texts"}, "a fine film\na dull film\na fine film\n"));
  ASSERT_EQ(nearest.size(), 3u);
  EXPECT_EQ(parsed(nearest[0])["id_b"], "2");
  EXPECT_EQ(parsed(nearest[2])["text_b"], "a fine film");
  write("TEXTS.CSV", text("texts.csv"));  // the ending means a table in any case
  EXPECT_EQ(output({"similar", "run", "-i", "TEXTS.CSV", "--text", "words", "--threshold", "0.99999", "-o", "PAIRS.CSV"}), "");
  EXPECT_EQ(lines_of(text("PAIRS.CSV")).size(), pairs.size());
  write("ROWS.NDJSON", "{\"text\": \"a fine film\"}\n{\"text\": \"a dull film\"}\n");
  EXPECT_EQ(lines_of(output({"embed", "run", "-i", "ROWS.NDJSON", "-o", "-"})).at(0),
            lines_of(output({"embed", "run", "-o", "-"}, "a fine film\n")).at(0));
  expect_failure(minbert({"similar", "run", "-o", "pairs.xlsx"}, "a\n"), 2, ".csv, .tsv or .jsonl");
  expect_failure(minbert({"similar", "run", "--threshold", "0.5", "--top-k", "2"}, "a\n"), 2, "--top-k");
}

TEST_F(FormatsTest, PredictTables) {
  EXPECT_TRUE(std::regex_match(output({"predict", "run", "--task", "paraphrase", "--format", "tsv"}, "a\tb\n"),
                               std::regex("id\tpred\tscore\tp_0\tp_1\n0\t[01]\t0\\.\\d+\t0\\.\\d+\t0\\.\\d+\n")));
  EXPECT_EQ(output({"predict", "run", "--task", "similarity", "-o", "near.csv"}, "a\tb\n"), "");
  EXPECT_TRUE(std::regex_match(text("near.csv"), std::regex("id,pred,score\n0,-?\\d+\\.\\d+,\n"))) << text("near.csv");
  EXPECT_TRUE(std::regex_match(output({"predict", "run", "--task", "paraphrase", "--format", "cs224n"}, "a\tb\n"),
                               std::regex("id \t Predicted_Is_Paraphrase \n0 , [01] \n")));
  const std::string near = output({"predict", "run", "--task", "similarity", "--format", "cs224n"}, "a\tb\n");
  EXPECT_TRUE(std::regex_match(near, std::regex("id \t Predicted_Similiary \n0 , -?\\d+\\.\\d+ \n"))) << near;
}

TEST_F(FormatsTest, PredictAgreesWhereverARowStands) {
  std::string lines;  // various lengths, several chunks
  for (int i = 0; i < 5000; ++i)
    lines += i % 1000 == 0 ? "a fine film\n" : fmt::format("line {}{}\n", i, i % 7 == 0 ? " and more of it" : "");
  const auto rows = lines_of(output({"predict", "run", "--task", "sentiment"}, lines));
  ASSERT_EQ(rows.size(), 5000u);
  for (std::size_t i = 0; i < rows.size(); ++i) ASSERT_EQ(parsed(rows[i])["id"], std::to_string(i));
  for (std::size_t i = 0; i < rows.size(); i += 1000) EXPECT_EQ(parsed(rows[i])["probs"], parsed(rows[0])["probs"]) << i;
}

TEST_F(FormatsTest, PredictReadsOtherColumnsAndSkipsBadRows) {
  write("mine.jsonl", "{\"n\": 7, \"words\": \"a fine film\"}\n{\"n\": 8}\n{\"n\": 9, \"words\": \"so so\"}\n");
  const std::vector<std::string> predict = {"predict", "run", "--task", "sentiment", "-i", "mine.jsonl", "--text", "words", "--id", "n"};
  expect_failure(minbert(predict), 3, "mine.jsonl:2");
  auto skipping = predict;
  skipping.insert(skipping.end(), {"--on-bad-row", "skip"});
  const Finished finished = minbert(skipping);
  expect_success(finished);
  const auto lines = lines_of(finished.out);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(parsed(lines[0])["id"], "7");
  EXPECT_EQ(parsed(lines[1])["id"], "9");
  EXPECT_NE(finished.err.find("1 of 3 rows"), std::string::npos) << finished.err;
}

TEST_F(FormatsTest, EmbedWritesTheSameVectorsInEachFormat) {
  const std::string lines = "a fine film\n\nso so\n";
  output({"embed", "run", "-o", "v.npy"}, lines);
  output({"embed", "run", "-o", "v.safetensors"}, lines);
  const auto rows = lines_of(output({"embed", "run", "-o", "-"}, lines));
  const std::string npy = text("v.npy");
  EXPECT_EQ(npy.substr(0, 8), std::string_view("\x93NUMPY\x01\x00", 8));
  EXPECT_NE(npy.find("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 16), }"), std::string::npos);
  const std::size_t begin = 10 + static_cast<unsigned char>(npy[8]);
  EXPECT_EQ(begin % 64, 0u);
  ASSERT_EQ(npy.size(), begin + 3 * 16 * sizeof(float));
  const std::string safetensors = text("v.safetensors");
  EXPECT_TRUE(safetensors.ends_with(npy.substr(begin)));
  ASSERT_EQ(rows.size(), 3u);
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const auto row = parsed(rows[r]).get<std::vector<float>>();
    EXPECT_EQ(std::memcmp(row.data(), npy.data() + begin + r * 16 * sizeof(float), 16 * sizeof(float)), 0);
  }
  const auto unit =
      parsed(lines_of(output({"embed", "run", "-o", "-", "--pool", "cls", "--normalize"}, "so so"))[0]).get<std::vector<double>>();
  double squares = 0;
  for (const double x : unit) squares += x * x;
  EXPECT_NEAR(squares, 1, 1e-5);
}

TEST_F(FormatsTest, WindowsReadLongTexts) {
  std::string words;
  for (int i = 0; i < 60; ++i) words += i < 30 ? "fine " : "dull ";
  write("long.csv", "sentence,label\n" + words + ",4\n");
  const auto answer = [&](const std::string& run) {
    const Finished finished = minbert({"predict", run, "--task", "sentiment", "-i", "long.csv"});
    expect_success(finished);
    return std::pair(parsed(finished.out), finished.err);
  };
  EXPECT_NE(answer("run").second.find("1 of 1 rows are longer than 48 tokens and were cut; max_length = 128"), std::string::npos);
  expect_success(minbert({"train", "tiny.toml", "-o", "windowed", "--set", "task.sentiment.windows=mean", "--set",
                          "task.sentiment.data.dev=[\"sentiment-dev.csv\", {path=\"../long.csv\"}]", "--set", "task.sentiment.data.id="}));
  const auto [windowed, said] = answer("windowed");
  EXPECT_NE(said.find("1 of 1 rows are longer than 48 tokens and were read in windows"), std::string::npos) << said;
  EXPECT_NE(windowed["probs"], answer("run").first["probs"]) << "the same weights read on";
  std::string last;
  for (const std::string& line : lines_of(text("windowed/eval/dev/sentiment.predictions.tsv"))) last = line;
  std::smatch score;
  ASSERT_TRUE(std::regex_search(last, score, std::regex("\tgreat\t[a-z]+\t([0-9.]+)\t"))) << last;
  EXPECT_NEAR(std::stod(score[1]), windowed["score"].get<double>(), 1e-3) << "the run scores dev as predict does";
  expect_failure(minbert({"train", "tiny.toml", "-o", "pairs", "--set", "task.paraphrase.windows=mean"}), 2,
                 "windows are for single texts");

  write("long.txt", words);
  const auto plain = minbert({"embed", "run", "-i", "long.txt", "-o", "-"}),
             all = minbert({"embed", "run", "-i", "long.txt", "-o", "-", "--windows"});
  expect_success(all);
  EXPECT_NE(plain.out, all.out);
  EXPECT_NE(all.err.find("were read in windows"), std::string::npos) << all.err;
  EXPECT_EQ(output({"embed", "run", "-o", "-", "--windows"}, "so so\n"), output({"embed", "run", "-o", "-"}, "so so\n"));
}

TEST_F(FormatsTest, EmbedReadsTablesAsPredictDoes) {
  write("mine.csv", "n,words,mood\n7,\"a fine film, a\",1\n8,so so,0\n");
  write("mine.jsonl", "{\"n\": 7, \"words\": \"a fine film, a\"}\n{\"n\": 8, \"words\": \"so so\"}\n");
  const auto vectors = lines_of(output({"embed", "run", "-o", "-"}, "a fine film, a\nso so\n"));
  ASSERT_EQ(vectors.size(), 2u);
  for (const char* file : {"mine.csv", "mine.jsonl"}) {
    EXPECT_EQ(lines_of(output({"embed", "run", "-i", file, "--text", "words", "-o", "-"})), vectors) << file;
    const auto named = lines_of(output({"embed", "run", "-i", file, "--text", "words", "--id", "n", "-o", "-"}));
    EXPECT_EQ(named.at(1), fmt::format("{{\"id\":\"8\",\"embedding\":{}}}", vectors[1])) << file;
  }
  const std::string piped = "words\ta\na fine film, a\tb\n";
  EXPECT_EQ(lines_of(output({"embed", "run", "--in-format", "tsv", "--text", "words", "-o", "-"}, piped)).at(0), vectors[0]);
  EXPECT_EQ(lines_of(output({"embed", "run", "-o", "-"}, piped)).size(), 2u) << "without a name or a flag, lines are lines";
  EXPECT_EQ(lines_of(output({"embed", "run", "-i", "mine.csv", "--in-format", "lines", "-o", "-"})).size(), 3u);
  expect_failure(minbert({"embed", "run", "-i", "mine.csv", "-o", "-"}), 3, "expected a column \"text\"");
}

TEST_F(FormatsTest, DebugShowsMoreOnStderrOnly) {
  const auto embed = [&](const std::string& level) {
    RunOptions how = options("so so\n");
    how.environment.insert(how.environment.end(),
                           {"MINBERT_DEBUG=" + level, "MINBERT_ISA=avx2"});  // describing a backend must not lift its cap
    return run({"embed", "run", "-o", "-"}, how);
  };
  const Finished plain = embed("0");
  expect_success(plain);
  EXPECT_EQ(plain.err, "");
  const std::vector<std::vector<std::string_view>> parts = {
      {"backend cpu: ", "model: ", "1 rows: "}, {"GFLOP/s"}, {}, {": ", " to ", "rms "}};
  for (std::size_t level = 1; level <= parts.size(); ++level) {
    const Finished shown = embed(std::to_string(level));
    expect_success(shown);
    EXPECT_EQ(shown.out, plain.out);
    for (std::size_t i = 0; i < parts.size(); ++i)
      for (const std::string_view part : parts[i])
        EXPECT_TRUE(i >= level || shown.err.find(part) != std::string::npos) << level << ": " << part << " in " << shown.err;
  }
  EXPECT_NE(text("run/log.txt").find("rows and tokens: "), std::string::npos);
}

TEST_F(FormatsTest, InspectNamesWhatIsThere) {
  const std::string table = output({"inspect", "run"});
  for (const char* part : {"1 layers, hidden 16, 2 heads", "awful, bad, fair, good, great", "loaded", "48"})
    EXPECT_NE(table.find(part), std::string::npos) << part << " in " << table;
  const Json json = parsed(output({"inspect", "run", "--json"}));
  EXPECT_EQ(json["tasks"].size(), 3u);
  EXPECT_EQ(json["missing"], Json::array());
  EXPECT_EQ(json["tensors"][0]["tensor"], "embeddings.word_embeddings.weight");
}

TEST_F(FormatsTest, EvalAsJson) {
  const Json json = parsed(output({"eval", "run", "--json", "--bootstrap", "50"}));
  for (const auto& [task, score] : parsed(text("run/eval/dev/metrics.json"))["scores"].items())  // not to the bit: weights are packed here
    EXPECT_NEAR(json["scores"][task].get<double>(), score.get<double>(), 1e-3) << "the score that the run itself had";
  EXPECT_LE(json["tasks"]["sentiment"]["interval"]["low"].get<double>(), json["scores"]["sentiment"].get<double>());
  const std::string table = output({"eval", "run"});
  EXPECT_TRUE(std::regex_search(table, std::regex("paraphrase +accuracy +[0-9.]+ +\\[[0-9.]+, [0-9.]+\\] +12 "))) << table;
  EXPECT_TRUE(std::regex_search(output({"eval", "run", "--split", "test"}), std::regex("paraphrase +accuracy +[0-9.]+ ")));
  write("samples/paraphrase-test.csv", "sentence1,sentence2\na,b\na,c\na,d\na,e\n");
  const std::string test = output({"eval", "run", "--split", "test"});
  EXPECT_TRUE(std::regex_search(test, std::regex("paraphrase +accuracy +- +- +4 +-"))) << test << "its rows have no labels";
  EXPECT_EQ(test.find("sentiment"), std::string::npos) << "it has no test file";
  write("mine.csv", "words,stars\nfine,great\nso so,fair\n");
  const Json mine =
      parsed(output({"eval", "run", "--task", "sentiment", "--data", "mine.csv", "--text", "words", "--label", "stars", "--json"}));
  EXPECT_EQ(mine["tasks"]["sentiment"]["rows"], 2);
  for (const char* task : {"sentiment", "paraphrase", "similarity"}) {
    const Json one = parsed(output({"eval", "run/best", "--task", task, "--data", fmt::format("samples/{}-dev.csv", task), "--json"}));
    EXPECT_EQ(one["scores"][task], json["scores"][task]) << "a model knows what labels in files mean";
  }
}

TEST_F(FormatsTest, ConfigShowsOrigins) {
  const std::string shown = output({"config", "show", "tiny.toml", "--set", "stage.0.lr=2e-4"});
  EXPECT_TRUE(std::regex_search(shown, std::regex("lr = 0\\.0002 .*# --set"))) << shown;
  EXPECT_TRUE(std::regex_search(shown, std::regex("name = \"tiny\" .*# tiny.toml:2"))) << shown;
  EXPECT_EQ(parsed(output({"config", "show", "tiny.toml", "--json"}))["run"]["name"], "tiny");
  write("resolved.toml", shown);
  EXPECT_EQ(output({"config", "show", "resolved.toml", "--json"}),
            output({"config", "show", "tiny.toml", "--set", "stage.0.lr=2e-4", "--json"}));
  expect_success(minbert({"config", "check", "tiny.toml"}));
}

TEST_F(FormatsTest, EveryPresetIsAGoodConfig) {
  for (const char* preset : {"multitask", "classify", "pairs", "few-shot", "vectors", "pretrain"}) {
    const std::string name = std::string(preset) + ".toml";
    output({"init", "--preset", preset, "-o", name});
    expect_success(minbert({"config", "check", name}));
  }
  expect_success(minbert({"data", "check", "multitask.toml"}));
  EXPECT_EQ("#:schema ./minbert-run.schema.json\n" + output({"init"}), text("multitask.toml"));
  EXPECT_EQ(output({"config", "schema", "run"}), text("minbert-run.schema.json"));
}

TEST_F(FormatsTest, PresetsOfStudyAndSearchFitTheirRecipe) {
  output({"init", "--preset", "classify", "-o", "mine.toml"});
  const std::vector<std::string> to_sample = {
      "--set", "data.root=samples", "--set",    "task.mine.data.train=sentiment-train.csv", "--set", "task.mine.data.text=sentence",
      "--set", "model.init=run",    "--dry-run"};
  for (const char* kind : {"study", "search"}) {
    const std::string name = std::string(kind) + ".toml";
    const Finished made = minbert({"init", "--preset", kind, "-o", name});
    expect_success(made);
    EXPECT_NE(made.err.find(fmt::format("next: minbert {} --dry-run {}", kind, name)), std::string::npos) << made.err;
    std::vector<std::string> plan = {kind, name};
    plan.insert(plan.end(), to_sample.begin(), to_sample.end());
    expect_success(minbert(plan));
    EXPECT_TRUE(text(name).starts_with(fmt::format("#:schema ./minbert-{}.schema.json\n", kind)));
    EXPECT_EQ(output({"config", "schema", kind}), text(fmt::format("minbert-{}.schema.json", kind)));
  }
}

TEST_F(FormatsTest, AnOverlayThatAddsAStageSaysSo) {
  write("short.toml", "[[stage]]\nname = \"finetune\"\nepochs = 3\n");
  for (const char* verb : {"show", "check"}) {
    const Finished finished = minbert({"config", verb, "tiny.toml", "short.toml"});
    expect_success(finished);
    EXPECT_NE(finished.err.find("note: stage \"finetune\" of short.toml:1 is new, beside \"0\""), std::string::npos) << finished.err;
  }
  EXPECT_NE(minbert({"train", "tiny.toml", "short.toml", "--dry-run"}).err.find("is new"), std::string::npos);
}

TEST_F(FormatsTest, ConfigShowSaysWhatKeysMean) {
  const std::string shown = output({"config", "show", "-v", "tiny.toml"});
  EXPECT_TRUE(std::regex_search(shown, std::regex("name = \"tiny\" .*# tiny.toml:2: names the run folder\n"))) << shown;
  EXPECT_TRUE(std::regex_search(shown, std::regex("dropout = 0.3 .*# default: on each sentence vector\n"))) << shown;
  write("resolved.toml", shown);
  EXPECT_EQ(output({"config", "show", "resolved.toml", "--json"}), output({"config", "show", "tiny.toml", "--json"}));
}

TEST_F(FormatsTest, DataStatsFindsTheTextItself) {
  write("tickets.csv", "opened,complaint,queue\n2024-01-02,the parcel never came,Delivery\n2024-01-03,I was billed twice,Billing\n");
  const Finished finished = minbert({"data", "stats", "tickets.csv", "--label", "queue", "--json"});
  expect_success(finished);
  EXPECT_NE(finished.err.find("text from column \"complaint\" (--text)"), std::string::npos) << finished.err;
  EXPECT_EQ(parsed(finished.out)["tickets"]["splits"]["train"]["label_counts"]["Billing"], 1);
  const Finished trained = minbert({"train", "--init", "scratch", "--train", "tickets.csv", "--label", "queue", "--dry-run"});
  expect_failure(trained, 3, "tickets.csv: text: expected a column");
  EXPECT_NE(trained.err.find("hint: --text complaint"), std::string::npos) << trained.err;
}

TEST_F(FormatsTest, DataOfAPipeIsReadAsItsFile) {
  const std::string table = text("samples/sentiment-train.csv");
  const Finished piped = minbert({"data", "stats", "-", "--json"}, table);
  expect_success(piped);
  EXPECT_EQ(parsed(piped.out)["task"]["splits"]["train"]["rows"], 16);
  expect_success(minbert({"data", "check", "-"}, table));
  expect_failure(minbert({"predict", "run", "--task", "sentiment", "--id", "number"}, "a film\n"), 3,
                 "id: expected a table with a column \"number\", got plain lines");
}

TEST_F(FormatsTest, DataStatsCount) {
  const Json json = parsed(output({"data", "stats", "samples/paraphrase-train.csv", "--json"}));
  EXPECT_EQ(json["paraphrase-train"]["splits"]["train"]["rows"], 16);
  EXPECT_TRUE(std::regex_search(output({"data", "check", "tiny.toml"}), std::regex("sentiment +train +16 +16 +0")));
}

TEST_F(FormatsTest, DataStatsCountTokensAndOverlapsOfTasks) {
  const Json run = parsed(text("run/data.json"));
  const auto stats = [&](const std::string& model) {
    return minbert({"data", "stats", "tiny.toml", "--set", "model.init=" + model, "--json"});
  };
  const Finished counted = stats("run");
  expect_success(counted);
  const Json json = parsed(counted.out);
  const Json& joint = json["paraphrase"]["splits"]["train"]["tokens"];
  const Json& trained = run["paraphrase"]["train"];
  EXPECT_EQ(joint["max_length"], 48);
  EXPECT_EQ(joint["rows_over_max_length"], trained["truncated"]);
  EXPECT_GT(trained["truncated"], 0);
  EXPECT_GT(joint["longest"], 48) << "lengths are those of whole texts";
  EXPECT_GT(joint["mean"].get<double>() * trained["used"].get<double>(), trained["tokens"].get<double>());
  EXPECT_EQ(json["sentiment"]["in_other_tasks"][0]["in"], "paraphrase.dev");
  const Finished without = stats("gone");
  expect_success(without);
  EXPECT_FALSE(parsed(without.out)["paraphrase"]["splits"]["train"].contains("tokens"));
  EXPECT_NE(without.err.find("tokens are not counted: [model]"), std::string::npos) << without.err;
}

TEST_F(FormatsTest, SchemasInDocsAreThePrograms) {
  int schemas = 0;
  for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(MINBERT_SOURCE_DIR) / "docs" / "schema")) {
    const std::string kind = entry.path().stem().string();
    EXPECT_EQ(read_file(entry.path()), output({"config", "schema", kind}))
        << "keys have changed: minbert config schema " << kind << " > docs/schema/" << kind << ".json";
    ++schemas;
  }
  EXPECT_NE(output({"config", "schema", "--help"}).find(fmt::format("{} kinds", schemas)), std::string::npos) << "each kind has a file";
}

TEST_F(FormatsTest, VersionSaysWhatItComputesWith) {
  EXPECT_TRUE(std::regex_match(output({"version"}), std::regex("minbert \\d+\\.\\d+\\.\\d+\n")));
  EXPECT_EQ(output({"--version"}), output({"version"}));
  const std::string verbose = output({"version", "-v"});
  for (const char* part : {"cpu", "threads", "backend", "libraries"}) EXPECT_NE(verbose.find(part), std::string::npos) << part;
}

}  // namespace
}  // namespace minbert
