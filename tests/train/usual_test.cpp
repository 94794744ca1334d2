// What a run of one task does by itself, by the number of its rows and by what its encoder was trained for.
#include "minbert/train/usual.h"

#include <sstream>

#include "tests/pipeline/tiny_folder.h"

namespace minbert {
namespace {

/// The epochs of the two stages.
std::vector<int> epochs(const std::string& init, const api::UsualTask& task) {
  std::vector<int> found;
  std::istringstream lines(usual_settings(init, task).stages);
  constexpr std::string_view kKey = "epochs = ";
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with(kKey)) found.push_back(std::stoi(line.substr(kKey.size())));
  return found;
}

TEST(Usual, FewRowsHaveManyEpochs) {
  const auto of = [](double rows) { return epochs("scratch", {.name = "mood", .rows = rows}); };
  EXPECT_EQ(of(160), (std::vector<int>{30, 12}));  // ten steps each: 300 of the head, 120 of all
  EXPECT_EQ(of(16), (std::vector<int>{50, 50}));
  EXPECT_EQ(of(16000), (std::vector<int>{10, 4}));
}

TEST(Usual, FewPairsTrainTheHeadOfASentenceEncoderAlone) {
  const TempFolder folder;
  save_tiny_folder(folder.path(), {});
  for (const char* file : {"minbert.json", "heads.safetensors", "sentence_bert_config.json"}) std::filesystem::remove(folder / file);
  const std::string init = folder.path().string();
  api::UsualTask task = {.name = "same", .is_pair = true, .rows = 160};
  EXPECT_EQ(epochs(init, task), (std::vector<int>{30, 0}));
  EXPECT_NE(usual_settings(init, task).task.find("encode = \"separate\""), std::string::npos);
  task.tunes = true;
  EXPECT_EQ(epochs(init, task), (std::vector<int>{30, 12}));
  EXPECT_EQ(epochs(init, {.name = "near", .is_pair = true, .is_regression = true, .rows = 160}), (std::vector<int>{30, 12}));
  const api::UsualTask many = {.name = "same", .is_pair = true, .rows = 2000};
  EXPECT_EQ(epochs(init, many), (std::vector<int>{10, 4}));
  EXPECT_NE(usual_settings(init, many).task.find("encode = \"joint\""), std::string::npos);
}

}  // namespace
}  // namespace minbert
