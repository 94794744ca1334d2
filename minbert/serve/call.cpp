// What every route does with its request.
#include "minbert/serve/call.h"

#include <algorithm>
#include <cmath>

#include "minbert/base/finite.h"
#include "minbert/pipeline/explain.h"
#include "minbert/serve/routes.h"

namespace minbert {
namespace {

/// Throws if a number of the answers is NaN or infinite.
void expect_finite_answers(std::span<const QueryAnswer> answers) {
  const auto expect = [](std::span<const float> values) {
    if (find_not_finite(values) != kAllFinite)
      throw Error(ErrorTag::kDiverged, "model", "expected finite outputs, got NaN or infinity; --dtype f32 has the widest range");
  };
  for (const QueryAnswer& answer : answers) {
    for (const auto& logits : answer.logits) expect(logits);
    expect(answer.vectors);
    expect(answer.states);
  }
}

// A float of an answer, and the text that it becomes.
constexpr std::int64_t kBytesOfNumber = 16;

/// Floats in the answer to a query.
std::int64_t count_numbers(const Query& query, const Engine& engine) {
  const std::int64_t hidden = engine.model().folder().config.hidden_size;
  std::int64_t of_row = 0;
  for (const std::size_t task : query.tasks) of_row += engine.tasks()[task].head_shape(hidden).logits();
  if (query.pool) of_row += query.rows.per_row * hidden;
  return query.all_rows() * of_row + (query.states ? std::ssize(query.rows.ids) * hidden : 0);
}

/// The tokens of each row and its windows.
std::vector<std::int64_t> tokens_by_input(const Query& query) {
  std::vector<std::int64_t> tokens;
  for (std::int64_t row = 0; row < query.rows.rows(); ++row) tokens.push_back(query.rows.row_tokens(row));
  if (const RowWindows* windows = query.rows.windows.get())
    for (std::size_t i = 0; i < windows->of.size(); ++i) tokens[windows->of[i]] += windows->rows.row_tokens(static_cast<std::int64_t>(i));
  return tokens;
}

}  // namespace

Call::Call(Service& service, const Route& route, std::shared_ptr<HttpExchange> exchange)
    : service_(service), route_(route), exchange_(std::move(exchange)), engine_(service.engine()) {
  ++service_.calls_;
}

Call::~Call() {
  engine_.reset();
  exchange_.reset();
  --service_.calls_;
}

const SortedJson& Call::body() {
  if (!body_) {
    body_ = parse_body(request().body);
    exchange_->request().body = std::string();
    if (const auto task = request().query_value("task"); task && body_->is_object() && !body_->contains("task")) (*body_)["task"] = *task;
  }
  return *body_;
}

void Call::run() {
  try {
    route_.run(*this);
  } catch (...) {
    fail_with_current_exception();
  }
}

void Call::count_inputs(std::size_t count, const std::string& member, bool list) {
  batch = list;
  inputs = static_cast<std::int64_t>(count);
  if (count == 0) throw ApiError(400, ErrorType::kEmpty, fmt::format("`{}` cannot be empty", member), member);
  if (inputs > service_.options().max_client_batch_size)
    throw invalid(member, fmt::format("batch size {} > maximum allowed batch size {}; --max-client-batch-size raises the limit", count,
                                      service_.options().max_client_batch_size));
}

void Call::compute(Work work, std::vector<Query> queries, Write write) {
  body_.reset();
  std::int64_t bytes = 0;
  for (const Query& query : queries) {
    bytes += count_numbers(query, *engine_) * kBytesOfNumber;
    for (const std::int64_t of_input : tokens_by_input(query)) service_.metrics().count_input_tokens(of_input);
    tokens += query.all_tokens();
  }
  reserve_answer(bytes);
  const auto job = std::make_shared<QueueJob>(std::move(queries));
  set_tokenized(work);
  job->done = [self = shared_from_this(), write = std::move(write)](QueueJob& done) mutable {
    // The job ends with this call: what is needed of it moves on.
    auto over = std::make_shared<Computed>(
        Computed{std::move(done.answers), done.failure, done.dropped(), done.expired(), done.queue_s, done.compute_s});
    self->exchange_->post([self, write = std::move(write), over] { self->on_computed(*over, write); });
  };
  exchange_->watch([waiting = std::weak_ptr(job)](Leaving leaving) {
    if (const auto left = waiting.lock()) leaving == Leaving::kGone ? left->abandon() : left->postpone();
  });
  if (!engine_->queue->submit(job))
    throw ApiError(429, ErrorType::kOverloaded,
                   fmt::format("{} requests wait already; --max-concurrent-requests raises the limit", engine_->queue->capacity()));
}

void Call::explain(std::size_t task, TokenizedRows row, std::function<std::string(const Prediction&)> write) {
  body_.reset();
  tokens = row.row_tokens(0);
  service_.metrics().count_input_tokens(tokens);
  const auto job = std::make_shared<Explainer::Job>();
  job->task = task;
  job->row = std::move(row);
  job->done = [self = shared_from_this(), write = std::move(write)](Prediction prediction, std::exception_ptr failure,
                                                                    Explainer::Dropped dropped) {
    self->exchange_->post([self, write, prediction = std::move(prediction), failure, dropped] {
      try {
        if (failure) std::rethrow_exception(failure);
        if (dropped != Explainer::Dropped::kNo) self->fail_dropped(dropped == Explainer::Dropped::kExpired);
        self->answer(write(prediction));
      } catch (...) {
        self->fail_with_current_exception();
      }
    });
  };
  exchange_->watch([waiting = std::weak_ptr(job)](Leaving leaving) {
    if (const auto left = waiting.lock(); left && leaving == Leaving::kGone) left->gone = true;
  });
  if (engine_->explainer->submit(job)) return;
  if (service_.draining_) fail_dropped(false);
  throw ApiError(429, ErrorType::kOverloaded, fmt::format("{} explanations wait already", Explainer::kMostWaiting));
}

/// Throws the error of a request that waited and was not computed: for too long, or because the server ends or the client left.
void Call::fail_dropped(bool expired) {
  if (expired)
    throw ApiError(429, ErrorType::kOverloaded,
                   fmt::format("the request waited for {} s; --request-timeout raises the limit", service_.options().request_timeout));
  if (service_.draining_) throw ApiError(503, ErrorType::kUnhealthy, "the server is about to end");
  throw ApiError(400, ErrorType::kValidation, "the client closed its side of the connection before the reply");
}

void Call::set_tokenized(Work work) {
  work_ = work;
  times_.tokenization = watch_.seconds();
}

void Call::reserve_answer(std::int64_t bytes) {
  const std::int64_t limit = service_.options().answer_limit;
  if (bytes > limit)
    throw ApiError(
        422, ErrorType::kValidation,
        fmt::format("the answer would take {} bytes, more than {}: send less at once; --answer-limit raises the limit", bytes, limit));
  auto& sum = service_.answer_bytes_;
  const bool fits = (sum += bytes) <= limit;
  reserved_ = std::shared_ptr<void>(nullptr, [&sum, bytes](void*) { sum -= bytes; });
  if (!fits) throw ApiError(429, ErrorType::kOverloaded, "too many large answers are on their way; --answer-limit raises the limit");
}

void Call::on_computed(Computed& computed, const Write& write) {
  times_.queue = computed.queue_s;
  times_.inference = computed.compute_s;
  try {
    if (computed.failure) std::rethrow_exception(computed.failure);
    if (computed.expired || computed.dropped) fail_dropped(computed.expired);
    expect_finite_answers(computed.answers);
    answer(write(computed.answers));
  } catch (...) {
    fail_with_current_exception();
  }
}

void Call::answer(std::string json) {
  times_.total = request().received.seconds();
  HttpReply made{.status = 200, .content_type = "application/json", .body = std::move(json), .headers = {}, .until_sent = reserved_};
  if (work_) {
    const auto ms = [](double seconds) { return fmt::format("{:.3f}", seconds * 1e3); };
    made.headers = {{"x-compute-tokens", std::to_string(tokens)},
                    {"x-total-time", ms(times_.total)},
                    {"x-tokenization-time", ms(times_.tokenization)},
                    {"x-queue-time", ms(times_.queue)},
                    {"x-inference-time", ms(times_.inference)}};
  }
  if (truncated > 0) made.headers.emplace_back("x-truncated", std::to_string(truncated));
  reply(std::move(made));
}

void Call::reply(HttpReply reply) { send(std::move(reply), {}); }

void Call::send(HttpReply reply, std::string_view failure) {
  if (answered_.exchange(true)) return;
  service_.finish(
      request(), reply,
      {.route = &route_, .inputs = inputs, .tokens = tokens, .batch = batch, .failure = failure, .work = work_, .times = times_});
  exchange_->reply(std::move(reply));
}

void Call::fail(const ApiError& error) { send(error_reply(error, error_shape(route_.path)), error_type_name(error.type())); }

void Call::fail_with_current_exception() {
  try {
    throw;
  } catch (const ApiError& error) {
    fail(error);
  } catch (const std::bad_alloc&) {
    fail({429, ErrorType::kOverloaded, "out of memory"});
  } catch (const std::exception& error) {
    fail({500, ErrorType::kBackend, error.what()});
  }
}

TextReader::TextReader(Call& call, const Members& members)
    : call_(call), truncate_(members.flag("truncate").value_or(call.service().options().auto_truncate)) {
  const auto side = members.choice("truncation_direction", {"left", "right", "Left", "Right"});
  if (side && (side->front() | 32) == 'l') side_ = CutSide::kStart;
}

void TextReader::use_prompt(const Members& members) {
  const Engine& engine = call_.engine();
  prompt_ = read_prompt(call_, members, engine.prompts.by_default);
  prompt_tokens_ = engine.model().prompt_tokens(prompt_);
}

void TextReader::add(TokenizedRows& rows, const TaskSpec& task, std::string_view text, std::string_view text_pair,
                     const std::string& member) {
  if (text.empty() && (!task.is_pair() || text_pair.empty()))
    throw ApiError(400, ErrorType::kEmpty, fmt::format("`{}` cannot be empty", member), member);
  const Engine& engine = call_.engine();
  note(append_text(rows, engine.model().tokenizer(), task, text, text_pair, engine.model().folder().max_length, side_), member);
  const std::int64_t windows = rows.windows ? rows.windows->rows.rows() : 0, most = call_.service().options().max_client_batch_size;
  if (windows > most)
    throw invalid(member, fmt::format("is read in {} windows with those before it, more than {}; --max-client-batch-size raises the limit",
                                      windows, most));
}

void TextReader::add(TokenizedRows& rows, std::string_view text, const std::string& member) {
  static const TaskSpec kPlain;
  add(rows, kPlain, text.empty() ? std::string() : prompt_ + std::string(text), {}, member);
  if (was_cut_ && side_ == CutSide::kStart && without_prompt_.empty()) without_prompt_ = member;
}

void TextReader::add_ids(TokenizedRows& rows, const SortedJson& ids, const std::string& member) {
  const Engine& engine = call_.engine();
  Encoding encoding;
  const std::int64_t vocabulary = engine.model().tokenizer().usable_ids();
  for (const SortedJson& id : ids) {
    if (!id.is_number_unsigned() || id.get<std::uint64_t>() >= static_cast<std::uint64_t>(vocabulary))
      throw invalid(member, fmt::format("expected token ids from 0 to {}, got {}", vocabulary - 1, describe(id)));
    encoding.ids.push_back(id.get<std::int32_t>());
  }
  if (encoding.ids.empty()) throw ApiError(400, ErrorType::kEmpty, fmt::format("`{}` cannot be empty", member), member);
  const auto limit = static_cast<std::size_t>(engine.model().folder().max_length);
  if (encoding.ids.size() > limit) {
    encoding.cut = static_cast<std::int64_t>(encoding.ids.size() - limit);
    if (side_ == CutSide::kStart)
      encoding.ids.erase(encoding.ids.begin(), encoding.ids.end() - static_cast<std::ptrdiff_t>(limit));
    else
      encoding.ids.resize(limit);
  }
  encoding.type_ids.assign(encoding.ids.size(), 0);
  append_sequence(rows, encoding);
  rows.labels.push_back(0);
  note(encoding.cut, member);
  if (without_prompt_.empty()) without_prompt_ = member;
}

void TextReader::note(std::int64_t cut, const std::string& member) {
  was_cut_ = cut > 0;
  if (!was_cut_) return;
  ++call_.truncated;
  const std::int64_t limit = call_.engine().model().folder().max_length;
  if (!truncate_)
    throw invalid(member,
                  fmt::format("must have at most {} tokens, got {}: this model reads no more; \"truncate\": true or --auto-truncate cuts",
                              limit, limit + cut));
}

std::string read_prompt(const Call& call, const Members& members, const std::string& by_default) {
  const auto name = members.text("prompt_name");
  if (!name) return by_default;
  const auto& prompts = call.engine().prompts.texts;
  if (const auto at = prompts.find(*name); at != prompts.end()) return at->second;
  std::string names;
  for (const auto& [known, text] : prompts) names += (names.empty() ? "" : ", ") + known;
  throw invalid(members.name("prompt_name"), names.empty() ? "this model has no prompts" : "unknown prompt; this model has " + names);
}

void append_floats(std::string& out, std::span<const float> values) {
  fmt::format_to(std::back_inserter(out), "[{}]", fmt::join(values, ","));
}

}  // namespace minbert
