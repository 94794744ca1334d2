// Vectors: /embed, /embed_all, /similarity, and OpenAI's /v1/embeddings.
#include <bit>
#include <optional>

#include "minbert/base/base64.h"
#include "minbert/serve/api_inputs.h"
#include "minbert/serve/routes.h"

namespace minbert {
namespace {

std::optional<std::int64_t> read_dimensions(Call& call, const Members& members) {
  return members.whole_number("dimensions", 1, call.engine().modules.width(call.engine().model().folder().config.hidden_size));
}

}  // namespace

void run_embed(Call& call) {
  const Members members(call.body());
  TextReader reader(call, members);
  reader.use_prompt(members);
  VectorMaker maker(call.engine(), reader, read_dimensions(call, members), members.flag("normalize").value_or(true));
  Query query;
  read_embed_inputs(call, reader, members.required("inputs", "a text, or a list"), "inputs", query.rows);
  maker.ask(query, reader);
  call.compute(Work::kEmbed, {std::move(query)}, [&call, maker = std::move(maker)](std::vector<QueryAnswer>& answers) {
    const auto vectors = maker.make(answers[0]);
    std::string out = "[";
    for (std::size_t begin = 0; begin < vectors.size(); begin += maker.width()) {
      if (begin > 0) out += ',';
      append_floats(out, std::span(vectors).subspan(begin, maker.width()));
    }
    out += ']';
    return out;  // without a copy: an answer may be large
  });
}

void run_embed_all(Call& call) {
  const Members members(call.body());
  TextReader reader(call, members);
  reader.use_prompt(members);
  Query query;
  query.states = true;
  read_embed_inputs(call, reader, members.required("inputs", "a text, or a list"), "inputs", query.rows);
  const auto width = static_cast<std::size_t>(call.engine().model().folder().config.hidden_size);
  call.compute(Work::kEmbed, {query}, [width, offsets = query.rows.offsets](std::vector<QueryAnswer>& answers) {
    std::string out;
    for (std::size_t row = 0; row + 1 < offsets.size(); ++row)
      for (auto token = static_cast<std::size_t>(offsets[row]); token < static_cast<std::size_t>(offsets[row + 1]); ++token) {
        out += token > static_cast<std::size_t>(offsets[row]) ? "," : row == 0 ? "[[" : "],[";
        append_floats(out, std::span(answers[0].states).subspan(token * width, width));
      }
    out += "]]";
    return out;
  });
}

void run_open_ai_embeddings(Call& call) {
  const Members members(call.body());
  static_assert(std::endian::native == std::endian::little);  // what clients expect
  const bool in_base64 = members.choice("encoding_format", {"float", "base64"}).value_or("float") == "base64";
  members.text("model");
  members.text("user");
  TextReader reader(call, members);
  reader.use_prompt(members);
  VectorMaker maker(call.engine(), reader, read_dimensions(call, members), true);
  Query query;
  read_embed_inputs(call, reader, members.required("input", "a text, or a list"), "input", query.rows);
  maker.ask(query, reader);
  const std::string model = dump_json(call.service().model_name(call.engine()));
  call.compute(Work::kEmbed, {std::move(query)}, [maker = std::move(maker), in_base64, model, &call](std::vector<QueryAnswer>& answers) {
    const auto vectors = maker.make(answers[0]);
    std::string out = R"({"object":"list","data":[)";
    for (std::size_t i = 0; i * maker.width() < vectors.size(); ++i) {
      const auto row = std::span(vectors).subspan(i * maker.width(), maker.width());
      fmt::format_to(std::back_inserter(out), R"({}{{"object":"embedding","index":{},"embedding":)", i > 0 ? "," : "", i);
      if (in_base64)
        out += '"' + base64(std::as_bytes(row)) + '"';
      else
        append_floats(out, row);
      out += '}';
    }
    return out + fmt::format(R"(],"model":{},"usage":{{"prompt_tokens":{},"total_tokens":{}}}}})", model, call.tokens, call.tokens);
  });
}

void run_similarity(Call& call) {
  const Members members(call.body());
  const Members inputs(members.required("inputs", "an object"), "inputs");
  const std::string source = inputs.required_text("source_sentence");
  const std::vector<std::string> sentences = inputs.required_texts("sentences");
  static const SortedJson kNone = SortedJson::object();
  const SortedJson* const parameters = members.find("parameters");
  const Members settings(parameters != nullptr ? *parameters : kNone, "parameters");
  TextReader reader(call, settings);
  const auto name = members.text("task");
  call.count_inputs(sentences.size(), "inputs.sentences", true);

  Query query;
  std::optional<PairScorer> scorer;
  if (name) {
    scorer = PairScorer{.task = find_pair_task(call.engine(), *name)};
    query.tasks = {scorer->task};
    settings.text("prompt_name");  // of the right type, though pairs take no prompt
  } else {
    reader.use_prompt(settings);
    reader.add(query.rows, source, "inputs.source_sentence");
  }
  for (std::size_t i = 0; i < sentences.size(); ++i) {
    const std::string member = fmt::format("inputs.sentences[{}]", i);
    if (scorer)
      reader.add(query.rows, call.engine().tasks()[scorer->task], source, sentences[i], member);
    else
      reader.add(query.rows, sentences[i], member);
  }
  VectorMaker maker(call.engine(), reader, std::nullopt, std::nullopt);
  if (!scorer) maker.ask(query, reader);
  call.compute(Work::kEmbed, {std::move(query)}, [&call, scorer, maker = std::move(maker)](std::vector<QueryAnswer>& answers) {
    std::vector<std::string> texts;
    for (const double score : scorer ? scorer->scores(call.engine(), answers[0]) : maker.cosines(answers[0]))
      texts.push_back(number_text(score));
    return fmt::format("[{}]", fmt::join(texts, ","));
  });
}

}  // namespace minbert
