// Counts word pieces, and finds the evaluations before and after each mlm stage.
#include "minbert/train/mlm_files.h"

#include <algorithm>

#include "minbert/base/files.h"
#include "minbert/data/fields.h"

namespace minbert {
namespace {

/// How often each piece of the vocabulary occurs in one source of texts.
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

/// Counts the stage's texts and probes, then the train splits of the run's tasks that are neither.
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

/// The evaluations on held-out texts before a stage and after the epoch that it kept; null if there was none.
struct StageEvals {
  const EvalRecord* before = nullptr;
  const EvalRecord* after = nullptr;
};

StageEvals find_evals(std::span<const EvalRecord> evals, std::string_view stage) {
  StageEvals found;
  for (const EvalRecord& eval : evals) {
    if (eval.stage != stage || eval.split != "held_out") continue;
    if (eval.epoch == 0) found.before = &eval;
    // With probes alone there is no best epoch, and the last one is kept.
    if (found.after == nullptr || eval.best || !found.after->best) found.after = &eval;
  }
  return found;
}

CorpusRecord::Shift shift_of(const StageEvals& evals, std::map<std::string, double> EvalRecord::*figure, const std::string& source) {
  const auto value = [&](const EvalRecord* eval) -> std::optional<double> {
    if (eval == nullptr || !(eval->*figure).contains(source)) return std::nullopt;
    return (eval->*figure).at(source);
  };
  return {value(evals.before), value(evals.after)};
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

std::vector<CorpusRecord> write_mlm_files(const std::filesystem::path& folder, const RunSetup& setup, const RunConfig& config,
                                          std::span<const EvalRecord> evals) {
  std::vector<CorpusRecord> corpora;
  if (config.mlm_head() == MlmHeadKind::kNone) return corpora;
  std::string overlap = "stage,corpus,other,tokens,pieces\n";
  for (std::size_t i = 0; i < config.stages.size(); ++i) {
    const StageSpec& stage = config.stages[i];
    if (!stage.mlm) continue;
    const StageEvals found = find_evals(evals, stage.name);
    const std::vector<PieceCounts> all = count_pieces(setup.mlm[i], setup);
    for (const PieceCounts& a : all) {
      corpora.push_back({.stage = stage.name,
                         .corpus = a.name,
                         .role = a.role,
                         .texts = a.texts,
                         .held_out = a.held_out,
                         .word_pieces = a.total,
                         .distinct = a.distinct,
                         .unknown = a.unknown,
                         .loss = shift_of(found, &EvalRecord::loss, a.name),
                         .perplexity = shift_of(found, &EvalRecord::perplexity, a.name),
                         .accuracy = shift_of(found, &EvalRecord::scores, a.name)});
      for (const PieceCounts& b : all)
        if (&a != &b) overlap += overlap_line(stage.name, a, b);
    }
  }
  make_directories(folder);
  write_file(folder / "corpora.csv", corpora_csv(corpora));
  write_file(folder / "overlap.csv", overlap);
  return corpora;
}

}  // namespace minbert
