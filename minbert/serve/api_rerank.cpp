// Texts in the order in which they fit a query: /rerank of text-embeddings-inference, /v1/rerank of Jina and Cohere.
#include <algorithm>

#include "minbert/serve/api_inputs.h"
#include "minbert/serve/routes.h"

namespace minbert {
namespace {

/// The pair task that scores: the one named, else the only one; none: the cosine of sentence vectors does.
std::optional<PairScorer> choose_scorer(const Call& call, const Members& members, bool raw) {
  if (const auto name = members.text("task")) return PairScorer{.task = find_pair_task(call.engine(), *name), .raw = raw};
  const auto task = only_pair_task(call.engine().tasks());
  return task ? std::optional(PairScorer{.task = *task, .raw = raw}) : std::nullopt;
}

/// Texts that compete, and the query that scores them.
struct Ranking {
  std::vector<std::string> texts;
  std::optional<PairScorer> scorer;
  std::optional<VectorMaker> maker = {};

  std::vector<double> scores(const Call& call, QueryAnswer& answer) const {
    return scorer ? scorer->scores(call.engine(), answer) : maker->cosines(answer);
  }
};

/// Reads `query` beside the texts, and makes the rows.
Query ranking_query(Call& call, const Members& members, Ranking& ranking, const std::string& member) {
  const std::string query_text = members.required_text("query");
  TextReader reader(call, members);
  Query query;
  if (ranking.scorer) {
    query.tasks = {ranking.scorer->task};
    members.text("prompt_name");  // of the right type, though pairs take no prompt
  } else {
    reader.use_prompt(members);
    reader.add(query.rows, query_text, "query");
  }
  for (std::size_t i = 0; i < ranking.texts.size(); ++i) {
    const std::string element = fmt::format("{}[{}]", member, i);
    if (ranking.scorer)
      reader.add(query.rows, call.engine().tasks()[ranking.scorer->task], query_text, ranking.texts[i], element);
    else
      reader.add(query.rows, ranking.texts[i], element);
  }
  ranking.maker.emplace(call.engine(), reader, std::nullopt, std::nullopt);
  if (!ranking.scorer) ranking.maker->ask(query, reader);
  return query;
}

std::vector<std::string> read_documents(const SortedJson& value) {
  if (!value.is_array()) throw invalid("documents", "expected a list, got " + describe(value));
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < value.size(); ++i) {
    const std::string member = fmt::format("documents[{}]", i);
    if (value[i].is_string())
      texts.push_back(value[i].get<std::string>());
    else if (value[i].is_object())
      texts.push_back(Members(value[i], member).required_text("text"));
    else
      throw invalid(member, "expected a text or an object with a text, got " + describe(value[i]));
  }
  return texts;
}

}  // namespace

void run_rerank(Call& call) {
  const Members members(call.body());
  const bool raw = members.flag("raw_scores").value_or(false), with_text = members.flag("return_text").value_or(false);
  Ranking ranking{.texts = members.required_texts("texts"), .scorer = choose_scorer(call, members, raw)};
  call.count_inputs(ranking.texts.size(), "texts", true);
  Query query = ranking_query(call, members, ranking, "texts");
  call.compute(Work::kRerank, {std::move(query)}, [&call, with_text, ranking = std::move(ranking)](std::vector<QueryAnswer>& answers) {
    const auto scores = ranking.scores(call, answers[0]);
    std::string out;
    for (const std::size_t i : falling_order(scores))
      out += fmt::format(R"({}{{"index":{},"score":{}{}}})", out.empty() ? "[" : ",", i, number_text(scores[i]),
                         with_text ? ",\"text\":" + dump_json(ranking.texts[i]) : "");
    return out + "]";
  });
}

void run_v1_rerank(Call& call) {
  const Members members(call.body());
  const bool with_text = members.flag("return_documents").value_or(false);
  members.text("model");
  Ranking ranking{.texts = read_documents(members.required("documents", "a list")), .scorer = choose_scorer(call, members, false)};
  call.count_inputs(ranking.texts.size(), "documents", true);
  const std::int64_t count = call.inputs, top = std::min(members.whole_number("top_n", 1, INT32_MAX).value_or(count), count);
  Query query = ranking_query(call, members, ranking, "documents");
  const std::string model = dump_json(call.service().model_name(call.engine()));
  call.compute(
      Work::kRerank, {std::move(query)}, [&call, with_text, top, model, ranking = std::move(ranking)](std::vector<QueryAnswer>& answers) {
        const auto scores = ranking.scores(call, answers[0]);
        const auto order = falling_order(scores);
        std::string out;
        for (const std::size_t i : std::span(order).first(static_cast<std::size_t>(top)))
          out += fmt::format(R"({}{{"index":{},"relevance_score":{}{}}})", out.empty() ? R"({"results":[)" : ",", i, number_text(scores[i]),
                             with_text ? fmt::format(R"(,"document":{{"text":{}}})", dump_json(ranking.texts[i])) : "");
        return out + fmt::format(R"(],"model":{},"usage":{{"total_tokens":{}}}}})", model, call.tokens);
      });
}

}  // namespace minbert
