// Model folders with any file spoilt are refused with a clear error, or used.
#include "minbert/base/files.h"
#include "minbert/pipeline/sentence_folder.h"
#include "minbert/pipeline/text_model.h"
#include "tests/base/broken_files.h"
#include "tests/base/error_matchers.h"
#include "tests/base/temp_folder.h"
#include "tests/pipeline/text_fixture.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

class BrokenFolder : public testing::Test {
 protected:
  BrokenFolder() {
    Params params = tiny_params(*backend_, model_shape(tiny_shape().config, tasks_));
    save_model_folder(folder_.path(), params, tasks_, word_tokenizer(), {.max_length = 8, .dtype = "f32", .model_card = "# card\n"});
  }
  void use() const {
    const std::vector<InputRow> rows = {{"a b c", "d", "1"}, {"e f", "a", "2"}};
    TextModel model(*backend_, read_model_folder(folder_.path()), {});
    for (std::size_t task = 0; task < model.tasks().size(); ++task) model.predict_texts(task, rows);
    std::vector<std::string> warnings;
    model.embed(rows, {.modules = read_sentence_modules(model.folder(), warnings)});
  }

  TempFolder folder_;
  std::unique_ptr<Backend> backend_ = make_backend("cpu");
  std::vector<TaskSpec> tasks_ = three_tasks();
};

TEST_F(BrokenFolder, EveryFileMayBeSpoilt) {
  int files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder_.path())) {
    if (!entry.is_regular_file() || entry.path().extension() == ".md") continue;
    ++files;
    expect_errors_at_most(entry.path(), entry.path().filename() == "minbert.json" ? 300 : 80, [&] { use(); });
  }
  EXPECT_GE(files, 10);
  EXPECT_NO_THROW(use());
}

TEST_F(BrokenFolder, AVocabularyAloneMayBeSpoilt) {
  fs::remove(folder_ / "tokenizer.json");
  for (const char* name : {"vocab.txt", "tokenizer_config.json"}) expect_errors_at_most(folder_ / name, 60, [&] { use(); });
}

TEST_F(BrokenFolder, OutputsThatAreNotFiniteAreErrors) {
  // Weights that are finite themselves, and overflow in the products.
  Params params = tiny_params(*backend_, model_shape(tiny_shape().config, tasks_));
  for (const ParamInfo& info : params.table())
    if (info.name.ends_with("LayerNorm.weight") || info.name.starts_with("heads."))
      for (float& weight : params.value(info.name).span<float>()) weight = 1e30f;
  save_model_folder(folder_.path(), params, tasks_, word_tokenizer(), {.max_length = 8, .dtype = "f32", .model_card = ""});
  TextModel model(*backend_, read_model_folder(folder_.path()), {});
  const std::vector<InputRow> rows = {{"a b c", "d", "row-7"}};
  for (std::size_t task = 0; task < 3; ++task)
    expect_error(ErrorTag::kDiverged, {folder_.path().string(), "row \"row-7\"", "NaN or infinity"},
                 [&] { model.predict_texts(task, rows); });
}

}  // namespace
}  // namespace minbert
