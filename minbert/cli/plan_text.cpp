// Lays out plans as tables and sentences.
#include "minbert/cli/plan_text.h"

#include <fmt/format.h>

#include "minbert/base/parallel.h"
#include "minbert/base/text_table.h"
#include "minbert/cli/console.h"

namespace minbert {
namespace {

std::string rows_table(const Json& tasks) {
  TextTable table({"data", "split", "rows", "left out", "tokens a row", "cut"});
  for (const auto& [task, splits] : tasks.items())
    for (const char* split : {"train", "dev", "test"}) {
      if (!splits.contains(split)) continue;
      const Json& counts = splits[split];
      const auto used = counts.at("used").get<std::int64_t>();
      const double tokens = used == 0 ? 0 : static_cast<double>(counts.value("tokens", std::int64_t{0})) / static_cast<double>(used);
      table.add({task, split, std::to_string(used), std::to_string(counts.at("skipped").get<std::int64_t>()),
                 counts.contains("tokens") ? fmt::format("{:.0f}", tokens) : "-",
                 counts.contains("truncated") ? std::to_string(counts["truncated"].get<std::int64_t>()) : "-"});
    }
  return table.text();
}

std::string stages_table(const Json& stages) {
  TextTable table({"stage", "kind", "epochs", "steps", "steps take", "scores take"});
  for (const Json& stage : stages) {
    const Json& seconds = stage.at("seconds");
    const auto duration = [&](const char* part) { return seconds.contains(part) ? format_duration(seconds[part].get<double>()) : "-"; };
    const bool cached = seconds.contains("encode");
    const std::string steps = cached ? duration("encode") + ", once" : duration("steps");
    table.add({stage.at("name").get<std::string>(), stage.at("kind").get<std::string>(),
               std::to_string(stage.at("epochs").get<std::int64_t>()), std::to_string(stage.at("planned_steps").get<std::int64_t>()),
               seconds.contains("teachers") ? fmt::format("{}, teachers {}", steps, duration("teachers")) : steps,
               cached ? "-" : duration("scores")});
  }
  return table.text();
}

}  // namespace

std::string plan_text(const Json& plan) {
  const auto number = [](const Json& value) { return static_cast<double>(value.get<std::int64_t>()); };
  const auto runs = plan.value("runs", std::size_t{1});
  return fmt::format("{}\n{}\n{}about {} on {}, measured on a few steps; peak memory about {}, for {:.1f} million parameters\n",
                     rows_table(plan.at("tasks")), stages_table(plan.at("stages")),
                     runs == 1 ? "" : fmt::format("{} runs like this one: ", runs),
                     format_duration(static_cast<double>(runs) * plan.at("seconds").get<double>()),
                     num_threads() == 1 ? "one thread" : fmt::format("{} threads", num_threads()),
                     format_bytes(number(plan.at("peak_memory_bytes"))), number(plan.at("parameters").at("total")) * 1e-6);
}

std::string study_plan_text(const Json& plan) {
  TextTable table({"row", "seed", "state", "steps", "differs"});
  for (const Json& run : plan.at("runs")) {
    std::string steps;
    for (const Json& stage : run.at("stages")) {
      steps +=
          fmt::format("{}{} {}", steps.empty() ? "" : ", ", stage.at("stage").get<std::string>(), stage.at("steps").get<std::int64_t>());
      if (stage.contains("shared_with")) steps += fmt::format(" (those of {})", stage["shared_with"].get<std::string>());
    }
    table.add({run.at("row").get<std::string>(), std::to_string(run.at("seed").get<std::uint64_t>()), run.at("state").get<std::string>(),
               steps, run.value("differs", "-")});
  }
  return fmt::format("{}study {} in {}\n", table.text(), plan.at("study").get<std::string>(), plan.at("folder").get<std::string>());
}

std::string search_plan_text(const Json& plan) {
  std::vector<std::string> names = {"trial"};
  const Json& trials = plan.at("trials");
  for (const auto& [key, value] : trials.at(0).at("values").items()) names.push_back(key);
  names.emplace_back("steps");
  TextTable table(names);
  for (const Json& trial : trials) {
    std::vector<std::string> cells = {std::to_string(trial.at("trial").get<std::int64_t>())};
    for (const auto& [key, value] : trial.at("values").items()) cells.push_back(dump_json(value));
    cells.push_back(std::to_string(trial.at("planned_steps").get<std::int64_t>()));
    table.add(cells);
  }
  return fmt::format("{}search {} in {}\n", table.text(), plan.at("search").get<std::string>(), plan.at("folder").get<std::string>());
}

}  // namespace minbert
