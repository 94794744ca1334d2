// Why: /v1/explain says what each token of an input adds to the answer.
#include "minbert/pipeline/explain.h"
#include "minbert/serve/api_inputs.h"
#include "minbert/serve/routes.h"

namespace minbert {

void run_explain(Call& call) {
  const Members members(call.body());
  const std::size_t task = choose_task(call, members);
  const TaskSpec& spec = call.engine().tasks()[task];
  const auto text_pair = members.text("text_pair");
  if (spec.is_pair() != text_pair.has_value())
    throw invalid("text_pair",
                  fmt::format("task \"{}\" reads {}", spec.name, spec.is_pair() ? "a text and a text_pair" : "a text without a text_pair"));
  call.count_inputs(1, "text", false);
  TextReader reader(call, members);
  TokenizedRows row;
  reader.add(row, spec.read_once(), members.required_text("text"), text_pair.value_or(""), "text");
  call.explain(task, std::move(row), [&spec](const Prediction& prediction) {
    return fmt::format(R"({{"task":{},"answer":{},"explanation":{}}})", dump_json(spec.name), analysis_text(spec, prediction),
                       explanation_json(*prediction.explanation));
  });
}

}  // namespace minbert
