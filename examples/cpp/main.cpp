// Labels each line of standard input, and says which one is most like the first. Usage: example MODEL [TASK] < LINES
#include <minbert/pipeline.h>

#include <iostream>
#include <string>
#include <vector>

int main(int argc, char** argv) {
  std::vector<std::string> texts;
  for (std::string line; std::getline(std::cin, line);) texts.push_back(line);
  try {
    const minbert::Pipeline model(argc > 1 ? argv[1] : "", {.dtype = minbert::DType::kF32, .threads = 2});
    for (const minbert::Prediction& p : model.predict(argc > 2 ? argv[2] : "", texts)) std::cout << p.label << ' ' << p.score << '\n';
    const std::vector<float> rows = model.embed(texts, {.normalize = true});  // (texts, dimension)
    std::cout << texts.size() << " vectors of " << rows.size() / texts.size() << " numbers\n";
    for (const auto& document : model.rank(texts.front(), texts, {.task = {}, .top_k = 2}))
      std::cout << document.score << ' ' << texts[document.index] << '\n';
  } catch (const minbert::Error& error) {
    std::cerr << "error " << error.what() << '\n' << error.hint() << '\n';
    return error.exit_code();
  }
}
