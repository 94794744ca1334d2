// Labels and numbers: /predict for one task, /v1/analyze for all tasks at once.
#include <algorithm>

#include "minbert/serve/api_inputs.h"
#include "minbert/serve/routes.h"

namespace minbert {
namespace {

/// A text or a pair of a request.
struct Sequence {
  std::string text, text_pair;
};

Sequence read_pair(const SortedJson& value, const std::string& member) {
  if (!value.is_array() || value.size() != 2) throw invalid(member, "expected a pair [text, text], got " + describe(value));
  auto texts = read_texts(value, member);
  return {std::move(texts[0]), std::move(texts[1])};
}

/// The shape rule: in a pair task a flat list of two texts is one pair; in a single-text task a flat list is always a batch.
std::vector<Sequence> read_inputs(Call& call, const SortedJson& value, bool pairs) {
  const std::string member = "inputs";
  const bool flat = value.is_array() && (value.empty() || value[0].is_string());
  if (pairs && flat && !value.empty()) {
    call.count_inputs(1, member, false);
    return {read_pair(value, member)};
  }
  if (value.is_string()) {
    if (pairs) throw invalid(member, "expected a pair [text, text] or a list of pairs, got a text");
    call.count_inputs(1, member, false);
    return {Sequence{value.get<std::string>(), {}}};
  }
  if (!value.is_array()) throw invalid(member, "expected a text, or a list, got " + describe(value));
  call.count_inputs(value.size(), member, true);
  std::vector<Sequence> out;
  for (std::size_t i = 0; i < value.size(); ++i) {
    const std::string element = fmt::format("{}[{}]", member, i);
    if (pairs) {
      out.push_back(read_pair(value[i], element));
    } else if (value[i].is_array() && value[i].size() == 1 && value[i][0].is_string()) {  // text-embeddings-inference takes [["text"]] too
      out.push_back({value[i][0].get<std::string>(), {}});
    } else {
      if (!value[i].is_string()) throw invalid(element, "expected a text, for this task reads single texts; got " + describe(value[i]));
      out.push_back({value[i].get<std::string>(), {}});
    }
  }
  return out;
}

/// [{"label","score"},..] by falling score; scores are the logits if there are any.
std::string prediction_text(const TaskSpec& task, const Prediction& prediction, std::span<const float> logits) {
  if (task.is_regression())
    return fmt::format(R"([{{"label":{},"score":{}}}])", dump_json(task.name),
                       number_text(logits.empty() ? prediction.value : static_cast<double>(logits[0])));
  std::vector<double> scores = prediction.probs;
  // The one logit of two classes stands for [0, x], as in an exported sequence classifier.
  if (scores.size() == 2 && logits.size() == 1) scores = {0, static_cast<double>(logits[0])};
  if (logits.size() == scores.size()) scores.assign(logits.begin(), logits.end());
  std::string out = "[";
  for (const std::size_t k : falling_order(scores))
    out += fmt::format(R"({}{{"label":{},"score":{}}})", out.size() > 1 ? "," : "", dump_json(task.labels.class_name(static_cast<int>(k))),
                       number_text(scores[k]));
  return out + "]";
}

bool has_the_same_tokens(const TokenizedRows& a, const TokenizedRows& b) {
  return a.per_row == b.per_row && a.offsets == b.offsets && a.ids == b.ids && a.first_segments == b.first_segments;
}

bool reads_the_same(const TokenizedRows& a, const TokenizedRows& b) {
  if (!has_the_same_tokens(a, b) || (a.windows == nullptr) != (b.windows == nullptr)) return false;
  return a.windows == nullptr || (a.windows->of == b.windows->of && has_the_same_tokens(a.windows->rows, b.windows->rows));
}

/// One input of /v1/analyze, and the queries that answer it.
struct Analysis {
  SortedJson id;
  std::vector<std::size_t> queries;
  std::int64_t tokens = 0;
  bool truncated = false;
};

class Analyzer {
 public:
  Analyzer(Call& call, const Members& members) : call_(call), reader_(call, members) {
    if (call.engine().tasks().empty()) throw invalid("tasks", "this model has no tasks: it only makes vectors");
    const SortedJson* const given = members.find("tasks");
    if (given == nullptr) return;
    wanted_.emplace();
    const auto names = read_texts(*given, "tasks");
    for (std::size_t i = 0; i < names.size(); ++i) {
      const std::size_t task = find_task(call.engine(), names[i], fmt::format("tasks[{}]", i));
      if (std::find(wanted_->begin(), wanted_->end(), task) == wanted_->end()) wanted_->push_back(task);
    }
  }

  void add(const SortedJson& value, std::size_t index) {
    const std::string member = fmt::format("inputs[{}]", index);
    const Members input(value, member);
    const std::string text = input.required_text("text");
    const auto text_pair = input.text("text_pair");
    Analysis analysis{.id = std::to_string(index), .queries = {}};
    if (const SortedJson* const id = input.find("id")) {
      if (!id->is_string() && !id->is_number()) throw invalid(input.name("id"), "expected a text or a number, got " + describe(*id));
      analysis.id = *id;
    }
    for (const std::size_t task : tasks_of(text_pair.has_value(), member))
      ask(analysis, task, text, text_pair.value_or(""), input.name("text"));
    for (const std::size_t q : analysis.queries) analysis.tokens += queries_[q].all_tokens();
    analyses_.push_back(std::move(analysis));
  }

  std::vector<Query>& queries() { return queries_; }
  std::vector<Analysis>& analyses() { return analyses_; }

 private:
  std::vector<std::size_t> tasks_of(bool pair, const std::string& member) const {
    std::vector<std::size_t> fitting;
    const auto& all = call_.engine().tasks();
    for (std::size_t t = 0; t < all.size(); ++t)
      if (all[t].is_pair() == pair && (!wanted_ || std::find(wanted_->begin(), wanted_->end(), t) != wanted_->end())) fitting.push_back(t);
    if (fitting.empty())
      throw invalid(member,
                    fmt::format("no task that was asked for reads {}", pair ? "a text and a text_pair" : "a text without a text_pair"));
    return fitting;
  }

  /// Adds the task to the query of this input that has the same tokens and model, or a new query.
  void ask(Analysis& analysis, std::size_t task, const std::string& text, const std::string& text_pair, const std::string& member) {
    const TaskSpec& spec = call_.engine().tasks()[task];
    Query query;
    const std::int64_t truncated = call_.truncated;
    reader_.add(query.rows, spec, text, text_pair, member);
    if (reader_.was_cut()) {  // an input counts once
      call_.truncated = truncated + (analysis.truncated ? 0 : 1);
      analysis.truncated = true;
    }
    for (const std::size_t q : analysis.queries) {
      Query& other = queries_[q];
      if (model_of(other.tasks.front()) != model_of(task) || !reads_the_same(other.rows, query.rows)) continue;
      other.tasks.push_back(task);
      return;
    }
    query.tasks = {task};
    analysis.queries.push_back(queries_.size());
    queries_.push_back(std::move(query));
  }

  std::size_t model_of(std::size_t task) const { return call_.engine().loaded.models->members(task).front().model; }

  Call& call_;
  TextReader reader_;
  std::optional<std::vector<std::size_t>> wanted_;
  std::vector<Query> queries_;
  std::vector<Analysis> analyses_;
};

}  // namespace

void run_predict(Call& call) {
  const Members members(call.body());
  const std::size_t task = choose_task(call, members);
  const TaskSpec& spec = call.engine().tasks()[task];
  const bool raw = members.flag("raw_scores").value_or(false);
  TextReader reader(call, members);
  const auto inputs = read_inputs(call, members.required("inputs", "a text, or a list"), spec.is_pair());
  Query query;
  query.tasks = {task};
  for (std::size_t i = 0; i < inputs.size(); ++i)
    reader.add(query.rows, spec, inputs[i].text, inputs[i].text_pair, call.batch ? fmt::format("inputs[{}]", i) : "inputs");
  call.compute(Work::kPredict, {std::move(query)}, [&call, &spec, raw](std::vector<QueryAnswer>& answers) {
    const std::vector<Prediction> predictions = decode_answer(spec, answers[0], 0);
    const std::vector<float> logits = raw ? joined_logits(spec, answers[0], 0) : std::vector<float>();
    const std::size_t k = logits.size() / predictions.size();
    std::string out;
    for (std::size_t i = 0; i < predictions.size(); ++i)
      out += (i > 0 ? "," : "") + prediction_text(spec, predictions[i], std::span(logits).subspan(i * k, k));
    return call.batch ? "[" + out + "]" : out;
  });
}

void run_analyze(Call& call) {
  const Members members(call.body());
  const SortedJson& inputs = members.required("inputs", "a list of objects");
  if (!inputs.is_array()) throw invalid("inputs", "expected a list of objects, got " + describe(inputs));
  call.count_inputs(inputs.size(), "inputs", true);
  Analyzer analyzer(call, members);
  for (std::size_t i = 0; i < inputs.size(); ++i) analyzer.add(inputs[i], i);
  const std::string model = dump_json(call.service().model_name(call.engine()));
  std::vector<std::vector<std::size_t>> tasks;
  for (const Query& query : analyzer.queries()) tasks.push_back(query.tasks);
  call.compute(Work::kPredict, std::move(analyzer.queries()),
               [&call, model, tasks = std::move(tasks), analyses = std::move(analyzer.analyses())](std::vector<QueryAnswer>& answers) {
                 std::string out = fmt::format(R"({{"model":{},"results":[)", model);
                 for (std::size_t i = 0; i < analyses.size(); ++i) {
                   const Analysis& analysis = analyses[i];
                   out += fmt::format(R"({}{{"id":{},"tokens":{},"truncated":{},"tasks":{{)", i > 0 ? "," : "", analysis.id.dump(),
                                      analysis.tokens, analysis.truncated);
                   bool first = true;
                   for (const std::size_t q : analysis.queries)
                     for (std::size_t slot = 0; slot < tasks[q].size(); ++slot, first = false) {
                       const TaskSpec& spec = call.engine().tasks()[tasks[q][slot]];
                       out += fmt::format("{}{}:{}", first ? "" : ",", dump_json(spec.name),
                                          analysis_text(spec, decode_answer(spec, answers[q], slot).front()));
                     }
                   out += "}}";
                 }
                 return out + fmt::format(R"(],"usage":{{"tokens":{}}}}})", call.tokens);
               });
}

}  // namespace minbert
