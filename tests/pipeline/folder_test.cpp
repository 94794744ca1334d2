// Model folders are written, found and read back, and broken ones are named.
#include "minbert/base/files.h"
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
  EXPECT_EQ(loaded.folder().embed.pool, Pool::kCls);
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

TEST_F(Folder, EmbeddingsArePooledAndNormalised) {
  save(folder_.path());
  TextModel loaded(*backend_, read_model_folder(folder_.path()), Compute{});
  const std::vector<InputRow> texts = {{"a b", "", ""}, {"c", "", ""}};
  const auto raw = loaded.embed(texts, {.pool = Pool::kMean, .normalize = false});
  const auto unit = loaded.embed(texts, {.pool = Pool::kMean, .normalize = true});
  ASSERT_EQ(raw.size(), 12u);
  double sum = 0, dot = 0;
  for (std::size_t i = 6; i < 12; ++i) sum += unit[i] * unit[i], dot += unit[i] * raw[i];
  EXPECT_NEAR(sum, 1, 1e-6);
  EXPECT_GT(dot, 0);
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
  write_file(folder_ / "minbert.json", good);
  std::filesystem::remove(folder_ / "heads.safetensors");
  expect_error(ErrorTag::kModel, {"mood"}, [&] { TextModel(*backend_, read_model_folder(folder_.path()), Compute{}); });
}

}  // namespace
}  // namespace minbert
