// Call: one request on its way through a route: its body, the rows that it asks the model for, its reply.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "minbert/pipeline/prediction_format.h"
#include "minbert/serve/members.h"
#include "minbert/serve/service.h"

namespace minbert {

struct Route;

class Call : public std::enable_shared_from_this<Call> {
 public:
  Call(Service& service, const Route& route, std::shared_ptr<HttpExchange> exchange);
  ~Call();
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  Service& service() { return service_; }
  const Engine& engine() const { return *engine_; }
  const HttpRequest& request() { return exchange_->request(); }
  /// The parsed body; parsed when first asked for.
  const SortedJson& body();

  // ---- what a route counts ----
  std::int64_t inputs = 0, tokens = 0, truncated = 0;
  bool batch = false;  ///< whether the request holds a list

  /// Checks the number of inputs: 400 for none, 422 for more than --max-client-batch-size.
  void count_inputs(std::size_t count, const std::string& member, bool list);

  /// Computes the queries, and then makes the reply of what `write` returns, a JSON text. `write` may throw ApiError.
  using Write = std::function<std::string(std::vector<QueryAnswer>& answers)>;
  void compute(Work work, std::vector<Query> queries, Write write);
  /// Explains a row of a task, and then makes the reply of what `write` returns, a JSON text. 429 if too many wait.
  void explain(std::size_t task, TokenizedRows row, std::function<std::string(const Prediction& prediction)> write);
  /// Says what answer() is the result of, where nothing is computed by the model, and that tokenising has ended.
  void set_tokenized(Work work);
  /// Reserves the memory of an answer until it is sent; 422 if that is more than --answer-limit, 429 while others have too much of it.
  void reserve_answer(std::int64_t bytes);
  /// Replies with a JSON text.
  void answer(std::string json);
  void reply(HttpReply reply);
  void fail(const ApiError& error);
  /// Makes the reply to what is being thrown.
  void fail_with_current_exception();

  /// Runs the route.
  void run();

 private:
  /// What a job leaves.
  struct Computed {
    std::vector<QueryAnswer> answers;
    std::exception_ptr failure;
    bool dropped, expired;
    double queue_s, compute_s;
  };
  void on_computed(Computed& computed, const Write& write);
  [[noreturn]] void fail_dropped(bool expired);
  void send(HttpReply reply, std::string_view failure);

  Service& service_;
  const Route& route_;
  std::shared_ptr<HttpExchange> exchange_;
  std::shared_ptr<Engine> engine_;
  std::optional<SortedJson> body_;
  std::optional<Work> work_;
  std::shared_ptr<void> reserved_;  // a part of Service::answer_bytes_
  Stopwatch watch_;                 // from when the whole body is there
  PhaseTimes times_;
  std::atomic<bool> answered_ = false;
};

/// Tokenises the texts of a call as its members `truncate` and `truncation_direction` say.
class TextReader {
 public:
  TextReader(Call& call, const Members& members);

  /// Adds a text or a pair, as `task` reads it; `member` names it in errors.
  void add(TokenizedRows& rows, const TaskSpec& task, std::string_view text, std::string_view text_pair, const std::string& member);
  /// Adds a text without preprocessing, after the prompt, as embed reads it.
  void add(TokenizedRows& rows, std::string_view text, const std::string& member);
  /// Adds token ids as they are.
  void add_ids(TokenizedRows& rows, const SortedJson& ids, const std::string& member);
  /// Puts the prompt that `prompt_name` names before texts, else the model's default one. Called before texts are added.
  void use_prompt(const Members& members);
  /// Tokens of [CLS] and the prompt; 0 without one.
  std::int64_t prompt_tokens() const { return prompt_tokens_; }
  /// The first input that does not begin with the prompt: token ids, or a text that was cut at its start; empty without any.
  const std::string& without_prompt() const { return without_prompt_; }
  /// Whether the last input was cut.
  bool was_cut() const { return was_cut_; }

 private:
  void note(std::int64_t cut, const std::string& member);

  Call& call_;
  bool truncate_;
  CutSide side_ = CutSide::kEnd;
  std::string prompt_;
  std::int64_t prompt_tokens_ = 0;
  std::string without_prompt_;
  bool was_cut_ = false;
};

/// The prompt that `prompt_name` names, else `by_default`.
std::string read_prompt(const Call& call, const Members& members, const std::string& by_default);

/// Appends floats as the shortest texts that read back as the same, as `minbert embed` writes them: "[0.1,-2]".
void append_floats(std::string& out, std::span<const float> values);

}  // namespace minbert
