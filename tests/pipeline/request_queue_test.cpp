// Queries and their queue: an answer has the bytes that it has alone, whatever shares its pass, its queue and its threads.
#include "minbert/pipeline/request_queue.h"

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <thread>

#include "minbert/base/parallel.h"
#include "minbert/pipeline/predict.h"
#include "tests/pipeline/text_fixture.h"

namespace minbert {
namespace {

std::string words(std::size_t from, std::size_t count) {
  std::string text;
  for (std::size_t k = 0; k < count; ++k) text += std::string(1, static_cast<char>('a' + (from + k * k) % 6)) + " ";
  return text;
}

/// Tasks with every pool, and a pair as two sequences and as one.
std::vector<TaskSpec> tasks_of_every_pool() {
  std::vector<TaskSpec> tasks = three_tasks();
  tasks[1].pool = Pool::kPooler;
  tasks.push_back(make_task("stars", TaskType::kRegress, TaskLabels::range()));
  tasks.back().pool = Pool::kMean;
  tasks[2].symmetric = true;
  tasks.push_back(make_task("long", TaskType::kRegress, TaskLabels::range()));
  tasks.back().windows = Windows::kMean;
  return tasks;
}

class Queue : public testing::TestWithParam<const char*> {
 protected:
  /// A row of each kind of query, each with all that it can ask for.
  std::vector<Query> queries(std::size_t seed) const {
    std::vector<Query> out(4);
    const auto add = [&](Query& query, std::size_t task, std::size_t rows) {
      for (std::size_t r = 0; r < rows; ++r)
        append_text(query.rows, tokenizer_, tasks_[task], words(seed + r, (seed + r) % (task == 4 ? 30 : 6)),
                    words(seed, (seed + 2 * r) % 4), 9);
    };
    add(out[0], 0, 1 + seed % 3);
    if (seed % 2 == 0) out[0].tasks = {0, 3};
    if (seed % 2 == 1) out[0].tasks = {0};
    if (seed % 3 == 0) out[0].pool = Pool::kMean;
    if (seed % 3 == 1) out[0].pool = Pool::kCls;
    out[0].states = seed % 5 == 0;
    add(out[1], 1, seed % 4);
    out[1].rows.per_row = 2;
    out[1].tasks = {1};
    if (seed % 2 == 0) out[1].pool = Pool::kPooler;
    add(out[2], 2, seed % 2);
    out[2].tasks = {2};
    add(out[3], 4, seed % 3);
    out[3].tasks = {4};
    return out;
  }

  /// A job of `count` rows for the first task.
  std::shared_ptr<QueueJob> job(std::size_t count, std::function<void(QueueJob&)> done) const {
    Query query;
    for (std::size_t r = 0; r < count; ++r) append_text(query.rows, tokenizer_, tasks_[0], words(r, 4), "", 9);
    query.tasks = {0};
    const auto made = std::make_shared<QueueJob>(std::vector<Query>{query});
    made->done = std::move(done);
    return made;
  }

  /// The answer by the functions that the verbs use.
  QueryAnswer alone(BatchRunner& runner, const Query& query) const {
    QueryAnswer answer;
    for (const std::size_t task : query.tasks) {
      const auto predictions = predict_rows(runner, task, tasks_[task], query.rows);
      std::vector<float> values;
      for (const Prediction& prediction : predictions) values.push_back(static_cast<float>(prediction.value));
      answer.logits.push_back(values);
    }
    if (query.pool) answer.vectors = encode_rows(runner, *query.pool, query.rows);
    return answer;
  }

  /// Predicted values of one task, as alone() gives them.
  std::vector<float> values_of(const Query& query, const QueryAnswer& answer, std::size_t slot) const {
    std::vector<float> values;
    for (const Prediction& prediction : decode_answer(tasks_[query.tasks[slot]], answer, slot))
      values.push_back(static_cast<float>(prediction.value));
    return values;
  }

  std::unique_ptr<Backend> backend_ = make_backend(GetParam());
  Tokenizer tokenizer_ = word_tokenizer();
  std::vector<TaskSpec> tasks_ = tasks_of_every_pool();
  Params params_ = tiny_params(*backend_, model_shape(tiny_shape().config, tasks_, true));
  MultitaskModel model_ = MultitaskModel(*backend_, params_);
};

TEST_P(Queue, MixedRowsHaveTheBytesOfRowsAlone) {
  std::vector<std::vector<Query>> asked;
  for (std::size_t seed = 0; seed < 40; ++seed) asked.push_back(queries(seed));
  std::vector<std::vector<QueryAnswer>> expected;
  {
    BatchRunner runner(model_);
    for (const auto& group : asked) {
      expected.emplace_back();
      for (const Query& query : group) expected.back().push_back(alone(runner, query));
    }
  }
  set_num_threads(2);
  RequestQueue queue(model_, {.max_batch_tokens = 200});
  const std::vector<QueryAnswer> first = queue.answer(asked[0]);
  std::vector<std::future<std::vector<QueryAnswer>>> answers;
  for (int round = 0; round < 3; ++round)
    for (const auto& group : asked) answers.push_back(std::async(std::launch::async, [&] { return queue.answer(group); }));
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const auto answered = answers[i].get();
    const auto& group = asked[i % asked.size()];
    for (std::size_t q = 0; q < group.size(); ++q) {
      const QueryAnswer& right = expected[i % asked.size()][q];
      EXPECT_EQ(answered[q].vectors, right.vectors) << i << " " << q;
      for (std::size_t slot = 0; slot < group[q].tasks.size(); ++slot)
        EXPECT_EQ(values_of(group[q], answered[q], slot), right.logits[slot]) << i << " " << q;
    }
    if (i % asked.size() == 0) {
      EXPECT_EQ(answered[0].states, first[0].states);
    }
  }
  EXPECT_EQ(first[0].states.size(), asked[0][0].rows.ids.size() * 6);
  EXPECT_EQ(queue.size(), 0u);
}

TEST_P(Queue, EachModelAnswersItsOwnTasks) {
  set_num_threads(2);
  Params other_params = tiny_params(*backend_, model_shape(tiny_shape().config, tasks_, true), 9);
  Params no_heads = tiny_params(*backend_, model_shape(tiny_shape().config, {}, true), 5);
  MultitaskModel other(*backend_, other_params), without(*backend_, no_heads);
  std::vector<Query> vectors = {queries(7)[0]}, first = queries(7), second = first;
  vectors[0].tasks.clear();
  std::vector<std::vector<QueryAnswer>> expected = {RequestQueue(without).answer(vectors), RequestQueue(model_).answer(first),
                                                    RequestQueue(other).answer(second)};
  for (Query& query : second)
    for (std::size_t& task : query.tasks) task += tasks_.size();
  RequestQueue queue({&without, &model_, &other}, {.max_batch_tokens = 200});
  std::vector<std::future<std::vector<QueryAnswer>>> answers;
  for (const auto* asked : {&vectors, &first, &second})
    answers.push_back(std::async(std::launch::async, [&queue, asked] { return queue.answer(*asked); }));
  for (std::size_t m = 0; m < answers.size(); ++m) {
    const std::vector<QueryAnswer> answered = answers[m].get();
    ASSERT_EQ(answered.size(), expected[m].size());
    for (std::size_t q = 0; q < answered.size(); ++q) {
      EXPECT_EQ(answered[q].logits, expected[m][q].logits) << m << " " << q;
      if (m == 0) {
        EXPECT_EQ(answered[q].vectors, expected[m][q].vectors) << q;
      }
    }
  }
  EXPECT_NE(expected[1][0].logits, expected[2][0].logits);
}

TEST_P(Queue, RefusesWhatDoesNotFitAndDropsWhatNobodyWants) {
  set_num_threads(1);
  std::promise<void> entered, release;
  std::atomic<std::int64_t> rows = 0;
  std::atomic<bool> first = true;
  RequestQueue queue(model_, {.max_batch_tokens = 16, .capacity = 4, .on_pass = [&](std::int64_t count, std::int64_t, double) {
                                rows += count;
                                if (!first.exchange(false)) return;
                                entered.set_value();
                                release.get_future().wait();
                              }});
  const auto job_of = [&](std::size_t count, std::promise<bool>& dropped) {
    return job(count, [&](QueueJob& self) { dropped.set_value(self.dropped()); });
  };
  std::array<std::promise<bool>, 5> dropped;
  const auto running = job_of(1, dropped[0]), abandoned = job_of(5, dropped[1]), perhaps = job_of(1, dropped[2]),
             large = job_of(5, dropped[3]), refused = job_of(1, dropped[4]);
  ASSERT_TRUE(queue.submit(running));
  entered.get_future().wait();
  for (const auto& job : {abandoned, perhaps, large}) EXPECT_TRUE(queue.submit(job));
  EXPECT_FALSE(queue.submit(refused));
  abandoned->abandon();
  perhaps->postpone();
  large->postpone();
  release.set_value();
  EXPECT_FALSE(dropped[0].get_future().get());
  EXPECT_TRUE(dropped[1].get_future().get());
  EXPECT_FALSE(dropped[2].get_future().get());
  EXPECT_TRUE(dropped[3].get_future().get());
  EXPECT_EQ(rows, 2);
  EXPECT_TRUE(queue.answer({}).empty());
}

TEST_P(Queue, OnlyWhatWaitsExpires) {
  set_num_threads(1);
  std::promise<void> entered, release;
  std::atomic<bool> first = true;
  RequestQueue queue(model_, {.max_batch_tokens = 16, .timeout_s = 1, .on_pass = [&](std::int64_t, std::int64_t, double) {
                                if (!first.exchange(false)) return;
                                entered.set_value();
                                release.get_future().wait();
                              }});
  const auto job_of = [&](std::size_t count, std::promise<bool>& expired) {
    return job(count, [&](QueueJob& self) { expired.set_value(self.expired()); });
  };
  std::promise<bool> begun, waiting;
  ASSERT_TRUE(queue.submit(job_of(20, begun)));  // more than one pass
  entered.get_future().wait();
  ASSERT_TRUE(queue.submit(job_of(1, waiting)));
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));
  release.set_value();
  EXPECT_FALSE(begun.get_future().get());
  EXPECT_TRUE(waiting.get_future().get());
}

TEST_P(Queue, AFailureIsThatOfItsPassAlone) {
  RequestQueue queue(model_);
  std::vector<Query> broken = queries(1);
  broken[0].rows.ids[1] = 1000;
  EXPECT_THROW(queue.answer(broken), Error);
  EXPECT_EQ(queue.answer(queries(1)).size(), 4u);
}

TEST_P(Queue, EndsWhileAWorkerIsAtTheEndOfItsPass) {
  set_num_threads(2);
  Query query;
  for (std::size_t r = 0; r < 40; ++r) append_text(query.rows, tokenizer_, tasks_[0], words(r, 6), "", 9);
  query.tasks = {0};
  for (int round = 0; round < 10; ++round) {  // which of the workers ends late is left to chance
    std::promise<void> entered;
    std::atomic<int> passes = 0;
    RequestQueue queue(model_, {.max_batch_tokens = 200, .on_pass = [&](std::int64_t, std::int64_t, double) {
                                  if (passes++ != 0) return;
                                  entered.set_value();
                                  std::this_thread::sleep_for(std::chrono::milliseconds(20));
                                }});
    ASSERT_TRUE(queue.submit(std::make_shared<QueueJob>(std::vector<Query>{query})));
    entered.get_future().wait();
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, Queue, testing::Values("ref", "cpu"), [](const auto& chosen) { return chosen.param; });

}  // namespace
}  // namespace minbert
