// Word pieces counted, and evaluations of mlm stages found again in metrics.jsonl.
#include "minbert/train/mlm_files.h"

#include <algorithm>

#include "minbert/base/files.h"
#include "minbert/data/fields.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

/// How often each piece of the vocabulary occurs in some texts.
struct PieceCounts {
  std::string name, role;
  std::int64_t texts = 0, held_out = 0;
  std::vector<std::int64_t> counts;  // by token id; special tokens are not counted
  std::int64_t total = 0, distinct = 0, unknown = 0;

  void add(const TokenizedRows& rows, std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = rows.offsets[static_cast<std::size_t>(begin)]; i < rows.offsets[static_cast<std::size_t>(end)]; ++i)
      ++counts[static_cast<std::size_t>(rows.ids[static_cast<std::size_t>(i)])];
    texts += end - begin;
  }
  void finish(const Tokenizer& tokenizer) {
    unknown = counts[static_cast<std::size_t>(tokenizer.unk_id())];
    for (std::size_t id = 0; id < counts.size(); ++id) {
      if (tokenizer.is_special(static_cast<std::int32_t>(id))) counts[id] = 0;
      total += counts[id];
      distinct += counts[id] > 0;
    }
  }
};

/// The stage's sources and probes, then the tasks of the run that are neither.
std::vector<PieceCounts> count_pieces(const MlmCorpus& corpus, const RunSetup& setup) {
  const std::vector<std::int64_t> none(static_cast<std::size_t>(setup.tokenizer.vocab_size()), 0);
  std::vector<PieceCounts> all;
  for (const MlmSource& source : corpus.sources) {
    PieceCounts& pieces = all.emplace_back(PieceCounts{.name = source.name, .role = source.probe ? "probe" : "text", .counts = none});
    pieces.add(corpus.train, source.begin, source.end);
    pieces.add(source.held_out, 0, source.held_out.sequences());
    pieces.held_out = source.set_aside;
  }
  for (const TaskData& task : setup.tasks) {
    const std::string name = task.spec.name + ".train";
    if (std::ranges::find(all, name, &PieceCounts::name) != all.end()) continue;
    all.push_back({.name = name, .role = "task", .counts = none});
    all.back().add(task.train, 0, task.train.sequences());
  }
  for (PieceCounts& pieces : all) pieces.finish(setup.tokenizer);
  return all;
}

/// The evaluations on held-out texts before a stage and of the epoch it kept; null where there is none.
struct StageEvals {
  Json before, after;
};

std::map<std::string, StageEvals> read_evals(const fs::path& metrics) {
  std::map<std::string, StageEvals> stages;
  if (!fs::exists(metrics)) return stages;
  const MappedFile file(metrics);
  const std::string_view text = file.text();
  for (std::size_t begin = 0, end = 0; (end = text.find('\n', begin)) != std::string_view::npos; begin = end + 1) {
    const Json event = Json::parse(text.substr(begin, end - begin), nullptr, false);
    if (!event.is_object() || event.value("split", "") != "held_out") continue;
    StageEvals& evals = stages[event.value("stage", "")];
    if (event.value("epoch", -1) == 0) evals.before = event;
    // Probes alone select nothing: then the last epoch is kept.
    if (evals.after.is_null() || event.value("best", false) || !evals.after.value("best", false)) evals.after = event;
  }
  return stages;
}

std::string cell(const Json& event, const char* kind, const std::string& source) {
  if (!event.is_object() || !event.contains(kind) || !event[kind].contains(source) || event[kind][source].is_null()) return "";
  return dump_json(event[kind][source]);
}

double share(std::int64_t part, std::int64_t whole) { return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole); }

std::string overlap_line(const std::string& stage, const PieceCounts& a, const PieceCounts& b) {
  std::int64_t tokens = 0, pieces = 0;
  for (std::size_t id = 0; id < a.counts.size(); ++id) {
    if (b.counts[id] == 0) continue;
    tokens += a.counts[id];
    pieces += a.counts[id] > 0;
  }
  return fmt::format("{},{},{},{:.6f},{:.6f}\n", csv_field(stage), csv_field(a.name), csv_field(b.name), share(tokens, a.total),
                     share(pieces, a.distinct));
}

}  // namespace

void write_mlm_files(const fs::path& run, const RunSetup& setup, const RunConfig& config) {
  if (config.mlm_head() == MlmHeadKind::kNone) return;
  const auto evals = read_evals(run / "metrics.jsonl");
  std::string corpora = "stage,corpus,role,texts,held_out,word_pieces,distinct,unknown", overlap = "stage,corpus,other,tokens,pieces\n";
  constexpr std::array kFigures = {std::pair("loss", "loss"), std::pair("perplexity", "perplexity"), std::pair("accuracy", "scores")};
  for (const auto& [column, key] : kFigures) corpora += fmt::format(",{0}_before,{0}_after", column);
  corpora += "\n";
  for (std::size_t i = 0; i < config.stages.size(); ++i) {
    const StageSpec& stage = config.stages[i];
    if (!stage.mlm) continue;
    const auto found = evals.find(stage.name);
    const StageEvals& events = found == evals.end() ? StageEvals{} : found->second;
    const std::vector<PieceCounts> all = count_pieces(setup.mlm[i], setup);
    for (const PieceCounts& a : all) {
      corpora += fmt::format("{},{},{},{},{},{},{},{}", csv_field(stage.name), csv_field(a.name), a.role, a.texts, a.held_out, a.total, a.distinct,
                             a.unknown);
      for (const auto& [column, key] : kFigures) corpora += "," + cell(events.before, key, a.name) + "," + cell(events.after, key, a.name);
      corpora += "\n";
      for (const PieceCounts& b : all)
        if (&a != &b) overlap += overlap_line(stage.name, a, b);
    }
  }
  make_directories(run / "eval" / "mlm");
  write_file(run / "eval" / "mlm" / "corpora.csv", corpora);
  write_file(run / "eval" / "mlm" / "overlap.csv", overlap);
}

}  // namespace minbert
