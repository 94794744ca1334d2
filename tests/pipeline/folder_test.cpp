// Model folders are written, found and read back, and broken ones are named.
#include <functional>

#include "minbert/base/files.h"
#include "minbert/pipeline/sentence_folder.h"
#include "minbert/pipeline/text_model.h"
#include "tests/base/error_matchers.h"
#include "tests/base/temp_folder.h"
#include "tests/pipeline/text_fixture.h"

namespace minbert {
namespace {

class Folder : public testing::Test {
 protected:
  void save(const std::filesystem::path& path) {
    Params params = tiny_params(*backend_, model_shape(tiny_shape().config, tasks_));
    save_model_folder(path, params, tasks_, word_tokenizer(), {.max_length = 8, .dtype = "f32", .model_card = "# card\n"});
  }
  TempFolder folder_;
  std::unique_ptr<Backend> backend_ = make_backend("cpu");
  std::vector<TaskSpec> tasks_ = three_tasks();
};

TEST_F(Folder, SavedModelPredictsTheSame) {
  Params params = tiny_params(*backend_, model_shape(tiny_shape().config, tasks_));
  save_model_folder(folder_.path(), params, tasks_, word_tokenizer(), {.max_length = 8, .dtype = "f32", .model_card = "# card\n"});
  TextModel loaded(*backend_, read_model_folder(folder_.path()), {});
  EXPECT_EQ(loaded.folder().max_length, 8);
  ASSERT_EQ(loaded.tasks().size(), 3u);
  EXPECT_EQ(loaded.tasks()[0].labels, tasks_[0].labels);
  std::vector<std::string> warnings;
  EXPECT_EQ(read_sentence_modules(loaded.folder(), warnings).text(), "cls pooling");
  EXPECT_EQ(loaded.find_task("near"), 2u);
  expect_error(ErrorTag::kUsage, {"neer", "near"}, [&] { loaded.find_task("neer"); });

  MultitaskModel model(*backend_, params);
  BatchRunner runner(model);
  const std::vector<Row> rows = {make_row("a b c", "d"), make_row("e f a b c d e f", "a b c d e f")};
  for (std::size_t t = 0; t < 3; ++t) {
    const auto expected = predict_rows(runner, t, tasks_[t], tokenize_rows(word_tokenizer(), tasks_[t], rows, 8));
    const auto got = loaded.predict_texts(t, std::vector<InputRow>{{"a b c", "d", ""}, {"e f a b c d e f", "a b c d e f", ""}});
    for (std::size_t r = 0; r < rows.size(); ++r) EXPECT_NEAR(got[r].value, expected[r].value, 1e-5);
  }
}

TEST_F(Folder, VectorsArePooledByClsOnlyIfAllTasksDoSo) {
  const auto pooling = [&] {
    save(folder_.path());
    std::vector<std::string> warnings;
    return read_sentence_modules(read_model_folder(folder_.path()), warnings).text();
  };
  EXPECT_EQ(pooling(), "cls pooling");
  tasks_[1].pool = Pool::kMean;
  EXPECT_EQ(pooling(), "mean pooling");
}

TEST_F(Folder, EmbeddingsArePooledAndNormalised) {
  save(folder_.path());
  TextModel loaded(*backend_, read_model_folder(folder_.path()), Compute{});
  const std::vector<InputRow> texts = {{"a b", "", ""}, {"c", "", ""}};
  const auto raw = loaded.embed(texts, {});
  const auto unit = loaded.embed(texts, {.modules = {.after = {NormalizeModule{}}}});
  ASSERT_EQ(raw.size(), 12u);
  double sum = 0, dot = 0;
  for (std::size_t i = 6; i < 12; ++i) sum += unit[i] * unit[i], dot += unit[i] * raw[i];
  EXPECT_NEAR(sum, 1, 1e-6);
  EXPECT_GT(dot, 0);
}

TEST_F(Folder, EmbeddingsOfLongTextsAreMeansOfTheirWindows) {
  const Params params = tiny_params(*backend_, model_shape(tiny_shape().config, tasks_));
  save_model_folder(folder_.path(), params, tasks_, word_tokenizer(), {.max_length = 6, .dtype = "f32", .model_card = {}});
  TextModel model(*backend_, read_model_folder(folder_.path()), Compute{});
  const std::vector<InputRow> texts = {{"a b c d e f", "", ""}, {"a b c d", "", ""}, {"c d e f", "", ""}};
  const auto vectors = model.embed(texts, {.modules = {}, .prompt = {}, .windows = true});
  ASSERT_EQ(vectors.size(), 18u);
  for (std::size_t i = 0; i < 6; ++i) EXPECT_NEAR(vectors[i], (vectors[6 + i] + vectors[12 + i]) / 2, 1e-5) << i;
}

/// A folder of sentence-transformers with a tiny encoder that reads "a" to "f".
class SentenceFolder : public Folder {
 protected:
  SentenceFolder() {
    save(folder_.path());
    for (const char* file : {"minbert.json", "heads.safetensors", "sentence_bert_config.json"}) std::filesystem::remove(folder_ / file);
  }
  void edit(const char* file, const std::function<void(Json&)>& change) {
    Json json = std::filesystem::exists(folder_ / file) ? read_json(folder_ / file, ErrorTag::kModel) : Json::object();
    change(json);
    write_file(folder_ / file, dump_json(json));
  }
  std::int64_t max_length() { return read_model_folder(folder_.path()).max_length; }
  std::vector<float> embed(const std::string& text, const std::string& prompt = {}) {
    TextModel model(*backend_, read_model_folder(folder_.path()), Compute{});
    return model.embed(std::vector<InputRow>{{text, "", ""}}, {read_sentence_modules(model.folder(), warnings_), prompt});
  }
  void expect_refused(std::initializer_list<std::string_view> parts) {
    expect_error(ErrorTag::kModel, parts, [&] { read_sentence_modules(read_model_folder(folder_.path()), warnings_); });
  }
  std::vector<std::string> warnings_;
};

TEST_F(SentenceFolder, LimitsAreReadWhereEachVersionKeepsThem) {
  EXPECT_EQ(max_length(), 9) << "the model's own";
  edit("tokenizer_config.json", [](Json& json) { json["model_max_length"] = 1e30; });
  EXPECT_EQ(max_length(), 9);
  edit("tokenizer_config.json", [](Json& json) { json["model_max_length"] = 7; });
  EXPECT_EQ(max_length(), 7);
  edit("sentence_roberta_config.json", [](Json& json) { json["max_seq_length"] = nullptr; });
  EXPECT_EQ(max_length(), 7);
  edit("sentence_roberta_config.json", [](Json& json) { json["max_seq_length"] = 6; });
  EXPECT_EQ(max_length(), 6);
  edit("sentence_bert_config.json", [](Json& json) { json["max_seq_length"] = 500; });
  EXPECT_EQ(max_length(), 9);
  edit("sentence_bert_config.json", [](Json& json) { json["tokenizer_args"] = {{"model_max_length", 5}}; });
  EXPECT_EQ(max_length(), 5);
  edit("sentence_bert_config.json", [](Json& json) { json["processing_kwargs"] = {{"text", {{"max_length", 4}}}}; });
  EXPECT_EQ(max_length(), 4);
  for (const Json& wrong : {Json(2), Json("8"), Json(true)}) {
    edit("sentence_bert_config.json", [&](Json& json) { json = {{"max_seq_length", wrong}}; });
    expect_refused({"sentence_bert_config.json", "max_seq_length"});
  }
  edit("sentence_bert_config.json", [](Json& json) { json = {{"config_args", {{"hidden_act", "relu"}}}}; });
  EXPECT_EQ(read_model_folder(folder_.path()).config.hidden_act, Activation::kRelu);
}

TEST_F(SentenceFolder, TheEncoderMayLieInside) {
  const auto expected = embed("a b");
  edit("modules.json", [](Json& json) { json[0]["path"] = "0_Transformer"; });
  std::filesystem::create_directory(folder_ / "0_Transformer");
  for (const char* file : {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "vocab.txt"})
    std::filesystem::rename(folder_ / file, folder_ / "0_Transformer" / file);
  EXPECT_EQ(find_model_folder(folder_.path()), folder_ / "0_Transformer");
  EXPECT_EQ(embed("a b"), expected);
}

TEST_F(SentenceFolder, SettingsThatWouldChangeVectorsAreRefused) {
  edit("sentence_bert_config.json", [](Json& json) {
    json = {{"max_seq_length", 8}, {"do_lower_case", false}, {"model_args", {{"torch_dtype", "float16"}}}, {"unpad_inputs", true}};
  });
  EXPECT_EQ(read_sentence_modules(read_model_folder(folder_.path()), warnings_).text(), "cls pooling");
  for (const auto& [key, value] : std::vector<std::pair<std::string, Json>>{
           {"transformer_task", "fill-mask"},
           {"module_output_name", "sentence_embedding"},
           {"modality_config", {{"text", {{"method", "forward"}, {"method_output_name", "pooler_output"}}}}},
           {"modality_config", {{"message", {{"method", "forward"}}}}},
           {"tokenizer_name_or_path", "another"},
           {"processing_kwargs", {{"text", {{"add_special_tokens", 1}}}}},
           {"tokenizer_args", {{"truncation_side", "left"}}},
           {"model_args", {{"adapter", "x"}}},
           {"reverse", true}}) {
    edit("sentence_bert_config.json", [&](Json& json) { json = {{key, value}}; });
    expect_refused({"sentence_bert_config.json", key});
  }
  std::filesystem::remove(folder_ / "sentence_bert_config.json");
  edit("config_sentence_transformers.json", [](Json& json) { json["model_type"] = "CrossEncoder"; });
  expect_refused({"config_sentence_transformers.json", "model_type", "CrossEncoder"});
}

TEST_F(SentenceFolder, PromptsStandBeforeTexts) {
  edit("config_sentence_transformers.json", [](Json& json) {
    json = {{"prompts", {{"find", "a b "}, {"none", nullptr}}}, {"default_prompt_name", "find"}, {"truncate_dim", 4}};
  });
  const Prompts prompts = read_prompts(read_model_folder(folder_.path()));
  EXPECT_EQ(prompts.by_default, "a b ");
  EXPECT_EQ(prompts.named("none"), "");
  EXPECT_EQ(prompts.named("query"), "");
  expect_error(ErrorTag::kUsage, {"--prompt-name", "fin", "find"}, [&] { prompts.named("fin"); });
  EXPECT_EQ(embed("c", "a b ").size(), 4u);
  EXPECT_EQ(embed("c", "a b "), embed("a b c"));
  edit("1_Pooling/config.json", [](Json& json) { json = {{"include_prompt", false}, {"pooling_mode", "lasttoken"}}; });
  EXPECT_EQ(embed("c", "a b "), embed("a b c"));
  edit("1_Pooling/config.json", [](Json& json) { json["pooling_mode"] = "cls"; });
  EXPECT_NE(embed("c", "a b "), embed("a b c"));

  edit("config_sentence_transformers.json", [](Json& json) { json["default_prompt_name"] = "fin"; });
  expect_error(ErrorTag::kModel, {"default_prompt_name", "fin"}, [&] { read_prompts(read_model_folder(folder_.path())); });
  edit("config_sentence_transformers.json", [](Json& json) { json["prompts"] = {{"find", 3}}; });
  expect_error(ErrorTag::kModel, {"prompts.find"}, [&] { read_prompts(read_model_folder(folder_.path())); });
}

TEST_F(Folder, TwoLimitsAreWarnedOf) {
  save(folder_.path());
  EXPECT_TRUE(read_model_folder(folder_.path()).warnings.empty());
  write_file(folder_ / "sentence_bert_config.json", R"({"max_seq_length": 5})");
  const ModelFolder folder = read_model_folder(folder_.path());
  EXPECT_EQ(folder.max_length, 8);
  ASSERT_EQ(folder.warnings.size(), 1u);
  EXPECT_NE(folder.warnings[0].find("sentence_bert_config.json"), std::string::npos);
}

TEST_F(Folder, RunsAreFoundByTheirBest) {
  save(folder_ / "run/best");
  EXPECT_EQ(find_model_folder(folder_ / "run"), folder_ / "run/best");
  EXPECT_EQ(find_model_folder(folder_ / "run/best"), folder_ / "run/best");
  expect_error(ErrorTag::kModel, {"nowhere"}, [&] { find_model_folder(folder_ / "nowhere"); });
  make_directories(folder_ / "young");
  write_file(folder_ / "young/status.json", "{}");
  expect_error(ErrorTag::kModel, {"best/"}, [&] { find_model_folder(folder_ / "young"); });
  for (const char* seed : {"seeds/seed-2", "seeds/seed-1"}) {
    make_directories(folder_ / seed);
    write_file(folder_ / seed / "status.json", "{}");
  }
  expect_error(ErrorTag::kModel, {"seed-1, seed-2"}, [&] { find_model_folder(folder_ / "seeds"); });
  make_directories(folder_ / "empty");
  expect_error(ErrorTag::kModel, {"config.json"}, [&] { find_model_folder(folder_ / "empty"); });
}

TEST_F(Folder, BrokenDescriptionsAreModelErrors) {
  save(folder_.path());
  const std::string good = read_file(folder_ / "minbert.json");
  const auto broken = [&](const std::string& content, std::initializer_list<std::string_view> parts) {
    write_file(folder_ / "minbert.json", content);
    expect_error(ErrorTag::kModel, parts, [&] { read_model_folder(folder_.path()); });
  };
  broken("{", {"minbert.json:1"});
  broken("{\"format\": 99}", {"format", "newer"});
  broken("{\"format\": 1}", {"max_length"});
  const auto with = [&](const char* pointer, const Json& value) {
    Json json = parse_json(good, "minbert.json", ErrorTag::kModel);
    json[Json::json_pointer(pointer)] = value;
    return dump_json(json);
  };
  broken(with("/max_length", -5), {"minbert.json", "max_length", "from 3"});
  broken(with("/dtype", 1), {"minbert.json", "dtype"});
  broken(with("/tasks", Json::object()), {"minbert.json", "tasks", "a list"});
  broken(with("/tasks/0/labels", 1e9), {"minbert.json", "tasks[0].labels"});
  broken(with("/tasks/0/labels", {"a", "a"}), {"minbert.json", "tasks[0]", "twice"});
  broken(with("/tasks/0/labels", {"a", 3}), {"minbert.json", "tasks[0].labels[1]", "a text"});
  broken(with("/tasks/0/head/dense", {"99999999999999H"}), {"minbert.json", "tasks[0].head.dense[0]"});
  broken(with("/tasks/0/head/dense", {std::int64_t{1} << 40}), {"minbert.json", "tasks[0].head.dense[0]"});
  broken(with("/tasks/0/head/dropout", 1), {"minbert.json", "tasks[0].head.dropout"});
  broken(with("/tasks/0/columns", Json::array()), {"minbert.json", "tasks[0].columns"});
  broken(with("/tasks/1/name", "mood"), {"minbert.json", "tasks[1].name", "another task"});
  write_file(folder_ / "minbert.json", good);
  std::filesystem::remove(folder_ / "heads.safetensors");
  expect_error(ErrorTag::kModel, {"mood"}, [&] { TextModel(*backend_, read_model_folder(folder_.path()), Compute{}); });
}

}  // namespace
}  // namespace minbert
