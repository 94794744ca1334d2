// The C functions give the answers of the C++ interface, and errors instead of crashes.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <memory>

#include "minbert/base/files.h"
#include "minbert/base/system.h"
#include "minbert/capi/minbert.h"
#include "minbert/pipeline/api.h"
#include "tests/pipeline/tiny_folder.h"

namespace minbert {
namespace {

struct Free {
  void operator()(minbert_model* model) const { minbert_model_free(model); }
  void operator()(minbert_predictions* predictions) const { minbert_predictions_free(predictions); }
  void operator()(minbert_tokens* tokens) const { minbert_tokens_free(tokens); }
  void operator()(minbert_error* error) const { minbert_error_free(error); }
};
template <class T>
using Owned = std::unique_ptr<T, Free>;

minbert_text text(const char* first, const char* second = nullptr) {
  return {first, MINBERT_ZERO_TERMINATED, second, MINBERT_ZERO_TERMINATED};
}

/// "2 place: message", of a call that must fail.
template <class Call>
std::string failure(const Call& call) {
  minbert_error* error = nullptr;
  const minbert_status status = call(&error);
  const Owned<minbert_error> owned(error);
  EXPECT_NE(status, MINBERT_OK);
  EXPECT_EQ(status, minbert_error_code(error));
  EXPECT_EQ(call(nullptr), status);  // nobody has to take the error
  return std::to_string(status) + " " + minbert_error_place(error) + ": " + minbert_error_message(error);
}

class CapiTest : public testing::Test {
 protected:
  CapiTest() {
    save_tiny_folder(folder_.path(), tasks_of_every_kind());
    model_.reset(open());
  }
  minbert_model* open() const {
    const minbert_options options = {sizeof(minbert_options), MINBERT_DTYPE_F32, 1};
    minbert_model* model = nullptr;
    EXPECT_EQ(minbert_open(folder_.path().c_str(), &options, &model, nullptr), MINBERT_OK);
    return model;
  }

  TempFolder folder_;
  Owned<minbert_model> model_;
};

TEST_F(CapiTest, TellsItsTasks) {
  EXPECT_EQ(minbert_api_version(), static_cast<std::uint32_t>(MINBERT_API_VERSION));
  EXPECT_EQ(minbert_version(), std::string(program_version()));
  EXPECT_EQ(minbert_task_count(model_.get()), 5u);
  EXPECT_STREQ(minbert_task_name(model_.get(), 1), "same");
  EXPECT_EQ(minbert_task_is_pair(model_.get(), 1), 1);
  EXPECT_EQ(minbert_task_is_pair(model_.get(), 0), 0);
  EXPECT_EQ(minbert_task_class_count(model_.get(), 0), 3u);
  EXPECT_STREQ(minbert_task_class_name(model_.get(), 0, 1), "so-so");
  EXPECT_EQ(minbert_task_name(model_.get(), 5), nullptr);
  EXPECT_EQ(minbert_task_class_name(model_.get(), 0, 3), nullptr);
}

TEST_F(CapiTest, PredictsAsTheCppInterface) {
  const api::Pipeline pipeline(folder_.path(), {.dtype = api::DType::kF32, .threads = 1});
  const minbert_text texts[] = {text("a b"), {"c d e!", 5, nullptr, 0}, text("")};
  minbert_predictions* got = nullptr;
  ASSERT_EQ(minbert_predict(model_.get(), "mood", texts, 3, &got, nullptr), MINBERT_OK);
  const Owned<minbert_predictions> owned(got);
  const auto wanted = pipeline.predict("mood", std::vector<std::string>{"a b", "c d e", ""});
  ASSERT_EQ(minbert_predictions_count(got), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(minbert_predictions_label(got, i), wanted[i].label);
    EXPECT_EQ(minbert_predictions_value(got, i), wanted[i].value);
    EXPECT_EQ(minbert_predictions_score(got, i), wanted[i].score);
    std::size_t classes = 0;
    const double* const probs = minbert_predictions_probs(got, i, &classes);
    EXPECT_EQ(std::vector<double>(probs, probs + classes), wanted[i].probs);
  }
  EXPECT_EQ(minbert_predictions_label(got, 3), nullptr);
  EXPECT_TRUE(std::isnan(minbert_predictions_score(got, 3)));

  const minbert_text pair = text("a", "b");
  minbert_predictions* number = nullptr;
  ASSERT_EQ(minbert_predict(model_.get(), "near", &pair, 1, &number, nullptr), MINBERT_OK);
  const Owned<minbert_predictions> owned_number(number);
  const std::vector<api::Input> input = {{.text = "a", .text_pair = "b"}};
  EXPECT_EQ(minbert_predictions_value(number, 0), pipeline.predict("near", input)[0].value);
}

TEST_F(CapiTest, ASetIsItsClasses) {
  TaskSpec topics = make_task("topics", TaskType::kMultiLabel, TaskLabels::named({"x", "y", "z"}));
  topics.labels.sets = true;
  topics.thresholds = {0, 2, 0};  // any text has x and z, none has y
  save_tiny_folder(folder_.path(), std::span(&topics, 1));
  model_.reset(open());
  const minbert_text one = text("a b");
  minbert_predictions* got = nullptr;
  ASSERT_EQ(minbert_predict(model_.get(), "topics", &one, 1, &got, nullptr), MINBERT_OK);
  const Owned<minbert_predictions> owned(got);
  std::size_t count = 0;
  const std::int32_t* const classes = minbert_predictions_classes(got, 0, &count);
  EXPECT_EQ(std::vector<std::int32_t>(classes, classes + count), (std::vector<std::int32_t>{0, 2}));
  EXPECT_EQ(minbert_predictions_classes(got, 1, &count), nullptr);
  EXPECT_EQ(count, 0u);
}

TEST_F(CapiTest, EmbedsIntoTheCallersMemory) {
  const api::Pipeline pipeline(folder_.path(), {.dtype = api::DType::kF32, .threads = 1});
  minbert_embed_options options = {};
  options.struct_size = sizeof(options);
  options.normalize = 1;
  options.dimensions = 3;
  std::size_t width = 0;
  ASSERT_EQ(minbert_embed_width(model_.get(), &options, &width, nullptr), MINBERT_OK);
  EXPECT_EQ(width, 3u);
  const minbert_text texts[] = {text("a b"), text("c")};
  std::vector<float> rows(6);
  ASSERT_EQ(minbert_embed(model_.get(), texts, 2, &options, rows.data(), rows.size(), nullptr), MINBERT_OK);
  EXPECT_EQ(rows, pipeline.embed(std::vector<std::string>{"a b", "c"}, {.normalize = true, .dimensions = 3}));
  EXPECT_EQ(failure([&](auto error) { return minbert_embed(model_.get(), texts, 2, &options, rows.data(), 5, error); }),
            "2 rows: expected room for 6 numbers, got 5");
  minbert_embed_options other = {};
  other.struct_size = sizeof(other);
  other.normalize = -1;
  other.pool = "cls";
  other.prompt = "a ";
  const minbert_text rest = text("b");
  ASSERT_EQ(minbert_embed(model_.get(), &rest, 1, &other, rows.data(), rows.size(), nullptr), MINBERT_OK);
  const std::vector<std::string> whole = {"a b"};
  EXPECT_EQ(rows, pipeline.embed(whole, {.pool = "cls", .normalize = false}));
  EXPECT_NE(rows, pipeline.embed(whole, {.normalize = false}));
  EXPECT_NE(rows, pipeline.embed(whole, {.pool = "cls", .normalize = true}));
  options.struct_size = 8;  // an older caller knows of no `dimensions`
  ASSERT_EQ(minbert_embed_width(model_.get(), &options, &width, nullptr), MINBERT_OK);
  EXPECT_EQ(width, pipeline.dimension());
}

TEST_F(CapiTest, RanksAndTokenises) {
  const minbert_text query = text("a b"), documents[] = {text("c"), text("a b")};
  std::size_t order[2];
  double scores[2];
  ASSERT_EQ(minbert_rank(model_.get(), nullptr, &query, documents, 2, order, scores, nullptr), MINBERT_OK);
  EXPECT_EQ(order[0], 1u);
  EXPECT_NEAR(scores[0], 1, 1e-6);
  minbert_tokens* tokens = nullptr;
  ASSERT_EQ(minbert_tokenize(model_.get(), documents, 2, 0, &tokens, nullptr), MINBERT_OK);
  const Owned<minbert_tokens> owned(tokens);
  EXPECT_EQ(minbert_tokens_count(tokens), 2u);
  ASSERT_EQ(minbert_tokens_length(tokens, 1), 4u);
  EXPECT_STREQ(minbert_tokens_text(tokens, 1, 2), "b");
  EXPECT_EQ(minbert_tokens_offsets(tokens, 1)[4], 2);
  EXPECT_EQ(minbert_tokens_ids(tokens, 1)[1], 5);  // "a"
  EXPECT_EQ(minbert_tokens_text(tokens, 1, 4), nullptr);
  EXPECT_EQ(minbert_tokens_ids(tokens, 2), nullptr);
  const minbert_text pair = text("a b", "c");
  minbert_tokens* both = nullptr;
  ASSERT_EQ(minbert_tokenize(model_.get(), &pair, 1, 0, &both, nullptr), MINBERT_OK);
  const Owned<minbert_tokens> owned_both(both);
  const std::int32_t* const types = minbert_tokens_type_ids(both, 0);
  EXPECT_EQ(std::vector<std::int32_t>(types, types + minbert_tokens_length(both, 0)), (std::vector<std::int32_t>{0, 0, 0, 0, 1, 1}));
}

TEST_F(CapiTest, WrongArgumentsAreErrors) {
  minbert_model* model = nullptr;
  minbert_predictions* predictions = nullptr;
  const minbert_text one = text("a"), null = {nullptr, 3, nullptr, 0}, pair = text("a", "b");
  EXPECT_EQ(failure([&](auto error) { return minbert_open("/no/such", nullptr, &model, error); }),
            "4 /no/such: expected a model folder or a run folder, got none");
  EXPECT_EQ(model, nullptr);
  const minbert_options broken = {2, MINBERT_DTYPE_F32, 0};
  EXPECT_EQ(failure([&](auto error) { return minbert_open("/no/such", &broken, &model, error); }),
            "2 struct_size: expected the size of the struct, got 2");
  EXPECT_EQ(failure([&](auto error) { return minbert_open(nullptr, nullptr, &model, error); }), "2 folder: expected an argument, got NULL");
  EXPECT_EQ(failure([&](auto error) { return minbert_open("/no/such", nullptr, nullptr, error); }),
            "2 out: expected an argument, got NULL");
  const auto predict = [&](minbert_model* of, const char* task, const minbert_text* texts) {
    return failure([&](auto error) { return minbert_predict(of, task, texts, 1, &predictions, error); });
  };
  EXPECT_EQ(predict(nullptr, "mood", &one), "2 model: expected an argument, got NULL");
  EXPECT_EQ(predict(model_.get(), "mood", nullptr), "2 texts: expected an argument, got NULL");
  EXPECT_EQ(predict(model_.get(), "mood", &null), "2 texts[0]: expected a text, got NULL");
  EXPECT_EQ(predict(model_.get(), "moot", &one), "2 " + folder_.path().string() + ": unknown task \"moot\"");
  EXPECT_EQ(predict(model_.get(), nullptr, &one), "2 task: expected the name of a task");
  EXPECT_EQ(failure([&](auto error) { return minbert_embed(model_.get(), &pair, 1, nullptr, nullptr, 0, error); }),
            "2 rows: expected an argument, got NULL");
  EXPECT_EQ(failure([&](auto error) { return minbert_train(nullptr, 0, nullptr, nullptr, error); }),
            "2 config: expected an argument, got NULL");
  EXPECT_EQ(minbert_predict(model_.get(), "mood", nullptr, 0, &predictions, nullptr), MINBERT_OK);
  EXPECT_EQ(minbert_predictions_count(predictions), 0u);
  minbert_predictions_free(predictions);
}

TEST_F(CapiTest, NullObjectsAreEmpty) {
  EXPECT_EQ(minbert_task_count(nullptr), 0u);
  EXPECT_EQ(minbert_task_name(nullptr, 0), nullptr);
  EXPECT_EQ(minbert_task_class_count(nullptr, 0), 0u);
  EXPECT_EQ(minbert_predictions_count(nullptr), 0u);
  EXPECT_EQ(minbert_predictions_probs(nullptr, 0, nullptr), nullptr);
  EXPECT_EQ(minbert_tokens_count(nullptr), 0u);
  EXPECT_EQ(minbert_tokens_length(nullptr, 0), 0u);
  EXPECT_EQ(minbert_error_code(nullptr), MINBERT_OK);
  EXPECT_STREQ(minbert_error_message(nullptr), "");
  minbert_model_free(nullptr);
  minbert_predictions_free(nullptr);
  minbert_tokens_free(nullptr);
  minbert_error_free(nullptr);
}

/// What a run's two functions see.
struct Seen {
  int steps = 0;
  std::string events;
};

TEST_F(CapiTest, TrainsAndStops) {
  const TempFolder work;
  write_file(work.path() / "train.csv", "text,label\na b,x\nc d,y\na a,x\nd d,y\n");
  const std::string config =
      "[run]\nname = \"tiny\"\n[model]\ninit = \"" + folder_.path().string() +
      "\"\nmax_length = 8\n[[task]]\nname = \"letters\"\ntype = \"classify\"\nhead = { dense = [] }\n[task.data]\ntrain = \"" +
      (work.path() / "train.csv").string() + "\"\ntext = \"text\"\nlabel = \"label\"\n[[stage]]\nepochs = 2\nbatch = 2\n";
  Seen seen;
  minbert_train_options options = {};
  options.struct_size = sizeof(options);
  options.threads = 1;
  const std::string output = (work.path() / "run").string();
  options.output = output.c_str();
  options.user = &seen;
  options.on_event = [](void* user, const char* json, std::size_t size) {
    auto& to = *static_cast<Seen*>(user);
    const std::string_view line(json, size);
    to.events += std::string(line) + "\n";
    if (line.starts_with("{\"event\":\"step\"")) ++to.steps;
  };
  options.should_stop = [](void* user) { return static_cast<Seen*>(user)->steps >= 3 ? std::int32_t{1} : std::int32_t{0}; };
  std::int32_t stopped = 0;
  ASSERT_EQ(minbert_train(config.data(), config.size(), &options, &stopped, nullptr), MINBERT_OK) << seen.events;
  EXPECT_EQ(stopped, 1);
  EXPECT_EQ(seen.steps, 3);
  EXPECT_NE(seen.events.find("\"stage_step\":3,\"stage_steps\":4}"), std::string::npos) << seen.events;
  EXPECT_NE(failure([&](auto error) { return minbert_train(config.data(), config.size(), &options, nullptr, error); }).find("2 "),
            std::string::npos);  // the folder is not empty
  options.resume = 1;
  options.should_stop = nullptr;
  ASSERT_EQ(minbert_train(config.c_str(), MINBERT_ZERO_TERMINATED, &options, &stopped, nullptr), MINBERT_OK);
  EXPECT_EQ(stopped, 0);
  minbert_model* model = nullptr;
  ASSERT_EQ(minbert_open(output.c_str(), nullptr, &model, nullptr), MINBERT_OK);
  EXPECT_STREQ(minbert_task_name(model, 0), "letters");
  minbert_model_free(model);
}

TEST_F(CapiTest, LoadsAndFreesLeaveNothing) {
  if (std::getenv("MINBERT_EMULATED") != nullptr) GTEST_SKIP() << "an emulator of processors keeps memory of each thread that ended";
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers keep memory for a while; the leak check of AddressSanitizer at exit counts what is lost";
#endif
  constexpr int kWarm = 30, kRounds = 200, kStretches = 3;
  const auto load = [&] {
    const Owned<minbert_model> model(open());
    const minbert_text one = text("a b c");
    minbert_predictions* got = nullptr;
    ASSERT_EQ(minbert_predict(model.get(), "mood", &one, 1, &got, nullptr), MINBERT_OK);
    minbert_predictions_free(got);
  };
  for (int i = 0; i < kWarm; ++i) load();
  // A leak grows in every stretch; an allocator that takes one more arena grows in one.
  std::int64_t least = std::numeric_limits<std::int64_t>::max();
  for (int stretch = 0; stretch < kStretches && least > 2 << 20; ++stretch) {
    const std::int64_t before = resident_memory_bytes();
    for (int i = 0; i < kRounds; ++i) load();
    least = std::min(least, resident_memory_bytes() - before);
  }
  EXPECT_LE(least, 2 << 20);
}

}  // namespace
}  // namespace minbert
