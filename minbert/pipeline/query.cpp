// One encoder pass for rows that want different things.
#include "minbert/pipeline/query.h"

#include <algorithm>
#include <array>
#include <map>

namespace minbert {
namespace {

/// The sequences of a pass, row after row.
class Pass {
 public:
  Pass(BatchLane& lane, std::span<const QueryRow> rows, std::size_t first_task)
      : lane_(lane), rows_(rows), shape_(lane.model.params().shape()), first_task_(first_task) {
    lane.arena.reset();
    for (const QueryRow& row : rows) {
      first_sequence_.push_back(static_cast<std::int32_t>(merged_.sequences()));
      const auto [list, index] = row.query->find_row(row.row);
      for (std::int64_t s = 0; s < list.per_row; ++s) {
        append_sequence(merged_, list, index * list.per_row + s);
        merged_.labels.push_back(0);
        needs_all_.push_back(needs_all_tokens(*row.query));
      }
    }
    std::vector<std::uint32_t> which(static_cast<std::size_t>(merged_.sequences()));
    for (std::size_t i = 0; i < which.size(); ++i) which[i] = static_cast<std::uint32_t>(i);
    lane.batch.fill(merged_, which, 0);
  }

  void run() {
    const std::vector<std::int32_t> wanted = wanted_tokens();
    hidden_ = lane_.model.hidden_states(lane_.arena, lane_.batch.tokens(), wanted);
    offsets_.upload(lane_.model.backend(), lane_.arena);
    std::map<std::size_t, std::vector<std::size_t>> rows_of_task;
    for (std::size_t r = 0; r < rows_.size(); ++r)
      for (const std::size_t task : rows_[r].query->tasks) rows_of_task[task].push_back(r);
    for (const auto& [task, rows] : rows_of_task) run_head(task, rows);
    for (const Pool pool : {Pool::kCls, Pool::kPooler, Pool::kMean}) copy_vectors(pool);
    copy_states();
  }

 private:
  const HeadShape& head(std::size_t task) const { return shape_.heads[task - first_task_]; }

  bool needs_all_tokens(const Query& query) const {
    return query.states || query.pool == Pool::kMean ||
           std::any_of(query.tasks.begin(), query.tasks.end(), [&](std::size_t task) { return head(task).pool == Pool::kMean; });
  }

  /// The tokens whose last hidden states are needed; empty if that is all. Fills offsets_.
  std::vector<std::int32_t> wanted_tokens() {
    std::vector<std::int32_t> wanted;
    offsets_.values = {0};
    const auto offsets = lane_.batch.tokens().offsets;
    for (std::size_t s = 0; s < needs_all_.size(); ++s) {
      const std::int32_t end = needs_all_[s] ? offsets[s + 1] : offsets[s] + 1;
      for (std::int32_t token = offsets[s]; token < end; ++token) wanted.push_back(token);
      offsets_.values.push_back(static_cast<std::int32_t>(wanted.size()));
    }
    if (std::ssize(wanted) == lane_.batch.tokens().tokens()) wanted.clear();
    return wanted;
  }

  /// Vectors (S, C) of all sequences. Those of a sequence of which only [CLS] is there have no meaning for kMean, and nobody reads them.
  const Tensor& vectors(Pool pool) {
    Tensor& made = vectors_[static_cast<std::size_t>(pool)];
    if (!made) made = lane_.model.pool_states(lane_.arena, hidden_, offsets_.view, pool);
    return made;
  }

  /// The rows `which` of x, as a matrix of their own.
  Tensor gather(const Tensor& x, std::span<const std::int32_t> which) {
    Backend& backend = lane_.model.backend();
    const Tensor out = lane_.arena.allocate(x.dtype(), {std::ssize(which), x.cols()});
    backend.gather_rows(out, x, backend.upload(lane_.arena, which));
    return out;
  }

  void run_head(std::size_t task, std::span<const std::size_t> rows) {
    std::vector<std::int32_t> first, second;
    for (const std::size_t r : rows) {
      first.push_back(first_sequence_[r]);
      second.push_back(first_sequence_[r] + 1);
    }
    const Tensor& all = vectors(head(task).pool);
    const Tensor u = gather(all, first), v = head(task).pair() ? gather(all, second) : Tensor();
    const auto logits = lane_.model.backend().to_host(lane_.model.head_forward(lane_.arena, nullptr, task - first_task_, u, v, {}, {}));
    const std::size_t width = logits.size() / rows.size();
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const QueryRow& row = rows_[rows[i]];
      const auto& tasks = row.query->tasks;
      const auto slot = static_cast<std::size_t>(std::find(tasks.begin(), tasks.end(), task) - tasks.begin());
      copy_to(row.answer->logits[slot], static_cast<std::size_t>(row.row) * width, std::span(logits).subspan(i * width, width));
    }
  }

  void copy_vectors(Pool pool) {
    const auto wants = [&](const QueryRow& row) { return row.query->pool == pool; };
    if (std::none_of(rows_.begin(), rows_.end(), wants)) return;
    const auto values = lane_.model.backend().to_host(vectors(pool));
    const auto width = static_cast<std::size_t>(hidden_.cols());
    for (std::size_t r = 0; r < rows_.size(); ++r) {
      if (!wants(rows_[r])) continue;
      const auto per_row = static_cast<std::size_t>(rows_[r].query->rows.per_row);
      copy_to(rows_[r].answer->vectors, static_cast<std::size_t>(rows_[r].row) * per_row * width,
              std::span(values).subspan(static_cast<std::size_t>(first_sequence_[r]) * width, per_row * width));
    }
  }

  void copy_states() {
    const auto wants = [](const QueryRow& row) { return row.query->states; };
    if (std::none_of(rows_.begin(), rows_.end(), wants)) return;
    const auto values = lane_.model.backend().to_host(hidden_);
    const std::int64_t width = hidden_.cols();
    for (std::size_t r = 0; r < rows_.size(); ++r) {
      if (!wants(rows_[r])) continue;
      const TokenizedRows& tokens = rows_[r].query->rows;
      const std::int64_t begin = tokens.offsets[static_cast<std::size_t>(rows_[r].row * tokens.per_row)];
      const auto first = static_cast<std::int64_t>(offsets_.values[static_cast<std::size_t>(first_sequence_[r])]);
      copy_to(rows_[r].answer->states, static_cast<std::size_t>(begin * width),
              std::span(values).subspan(static_cast<std::size_t>(first * width),
                                        static_cast<std::size_t>(tokens.row_tokens(rows_[r].row) * width)));
    }
  }

  static void copy_to(std::vector<float>& out, std::size_t at, std::span<const float> values) {
    std::copy(values.begin(), values.end(), out.begin() + static_cast<std::ptrdiff_t>(at));
  }

  BatchLane& lane_;
  std::span<const QueryRow> rows_;
  const ModelShape& shape_;
  std::size_t first_task_;
  TokenizedRows merged_;
  std::vector<std::int32_t> first_sequence_;  // of each row
  std::vector<bool> needs_all_;               // of each sequence
  Tensor hidden_;                             // (M, C) of the wanted tokens
  IndexList<std::int32_t> offsets_;           // (S + 1) of the sequences in hidden_
  std::array<Tensor, 3> vectors_;             // by Pool, once made
};

}  // namespace

QueryAnswer empty_answer(const Query& query, const ModelShape& shape, std::size_t first_task) {
  QueryAnswer answer{.logits = {}, .vectors = {}, .states = {}, .rows = query.rows.rows(), .windows = query.rows.windows};
  const auto width = static_cast<std::size_t>(shape.config.hidden_size), rows = static_cast<std::size_t>(query.all_rows());
  MINBERT_CHECK(!query.rows.windows || (!query.pool && !query.states), "vectors of windows");
  for (const std::size_t task : query.tasks) {
    const HeadShape& head = shape.heads.at(task - first_task);
    MINBERT_CHECK((query.rows.per_row == 2) == head.pair(), "head {} reads rows of {} sequences", head.task, query.rows.per_row);
    answer.logits.emplace_back(rows * static_cast<std::size_t>(head.logits()));
  }
  if (query.pool) answer.vectors.resize(static_cast<std::size_t>(query.rows.sequences()) * width);
  if (query.states) answer.states.resize(query.rows.ids.size() * width);
  return answer;
}

void answer_rows(BatchLane& lane, std::span<const QueryRow> rows, std::size_t first_task) { Pass(lane, rows, first_task).run(); }

std::vector<Prediction> decode_answer(const TaskSpec& task, const QueryAnswer& answer, std::size_t slot) {
  const auto logits = std::span(answer.logits.at(slot));
  if (!answer.windows) return decode(task, logits, answer.rows);
  const std::int64_t more = answer.windows->rows.rows();
  const auto own = logits.size() / static_cast<std::size_t>(answer.rows + more) * static_cast<std::size_t>(answer.rows);
  std::vector<Prediction> predictions = decode(task, logits.first(own), answer.rows);
  join_windows(task, predictions, *answer.windows, decode(task, logits.subspan(own), more));
  return predictions;
}

std::vector<float> joined_logits(const TaskSpec& task, const QueryAnswer& answer, std::size_t slot) {
  std::vector<float> logits = answer.logits.at(slot);
  if (!answer.windows) return logits;
  const std::vector<std::uint32_t>& of = answer.windows->of;
  const auto rows = static_cast<std::size_t>(answer.rows), width = logits.size() / (rows + of.size());
  std::vector<float> read(rows, 1);
  for (std::size_t i = 0; i < of.size(); ++i) {
    ++read[of[i]];
    for (std::size_t k = 0; k < width; ++k) {
      float& joined = logits[of[i] * width + k];
      const float more = logits[(rows + i) * width + k];
      joined = task.windows == Windows::kMax ? std::max(joined, more) : joined + more;
    }
  }
  logits.resize(rows * width);
  for (std::size_t i = 0; i < logits.size() && task.windows != Windows::kMax; ++i) logits[i] /= read[i / width];
  return logits;
}

void ask_for_vectors(Query& query, const Pooling& pooling, std::int64_t prompt_tokens) {
  query.pool = pooling.include_prompt || prompt_tokens == 0 ? pool_of_model(pooling) : std::nullopt;
  query.states = !query.pool;
}

std::vector<float> pooled_vectors(QueryAnswer& answer, std::span<const std::int64_t> offsets, const Pooling& pooling,
                                  std::int64_t prompt_tokens, std::int64_t hidden) {
  if (answer.states.empty()) return std::move(answer.vectors);
  const auto width = static_cast<std::size_t>(pooling.width(hidden));
  std::vector<float> vectors((offsets.size() - 1) * width);
  for (std::size_t s = 0; s + 1 < offsets.size(); ++s) {
    const auto begin = static_cast<std::size_t>(offsets[s] * hidden), end = static_cast<std::size_t>(offsets[s + 1] * hidden);
    pool_tokens(pooling, std::span(answer.states).subspan(begin, end - begin), hidden, pooling.include_prompt ? 0 : prompt_tokens,
                std::span(vectors).subspan(s * width, width));
  }
  return vectors;
}

}  // namespace minbert
