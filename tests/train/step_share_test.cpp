// Shares of a step: however its rows are divided, gradients, losses and touched words add up to those of the whole step.
#include "minbert/train/step_share.h"

#include <cmath>
#include <numeric>

#include "minbert/train/stage.h"
#include "minbert/train/start.h"
#include "tests/base/error_matchers.h"
#include "tests/train/tiny_run.h"

namespace minbert {
namespace {

constexpr std::string_view kFinetune = "[[stage]]\naccumulate = 3\n";
constexpr std::string_view kHeads = "[[stage]]\nkind = \"heads\"\naccumulate = 3\n";
constexpr std::string_view kHeadsUncached = "[[stage]]\nkind = \"heads\"\naccumulate = 3\ncache_features = false\n";
constexpr std::string_view kMlmLinear = "[[stage]]\nkind = \"mlm\"\naccumulate = 3\nmlm = { texts = [\"same.train\"], mask = 0.4 }\n";
constexpr std::string_view kMlmTied =
    "[[stage]]\nkind = \"mlm\"\naccumulate = 3\nmlm = { texts = [\"same.train\"], mask = 0.4, head = \"tied\" }\n";
constexpr std::string_view kKinds[] = {kFinetune, kHeads, kHeadsUncached, kMlmLinear, kMlmTied};
/// Row numbers at which a step of ten rows is cut into shares.
using Cuts = std::vector<std::size_t>;

/// Results of a step.
struct Update {
  StepOutcome outcome;
  std::vector<std::vector<float>> gradients, values;  // by parameter: gradients before the update (empty if frozen), values after it
};

class StepShareTest : public TinyRunTest {
 protected:
  /// Prepares the first stage of `overlay` on kBase, in f32 with dropout.
  void prepare(std::string_view overlay) {
    run_ = config(overlay);
    setup_ = std::make_unique<RunSetup>(prepare_run(*backend, run_, events, alone_));
    set_initial_weights(*setup_, run_, events);
    objective_ = make_objective(*setup_, run_, 0, events, never_);
    objective_->prepare();
  }
  std::size_t parts() const { return objective_->sampled().size(); }

  DropoutState dropout() const {
    const ModelConfig& model = setup_->params->config();
    return {.hidden = model.hidden_dropout_prob, .attention = model.attention_probs_dropout_prob, .heads = true, .seed = 5, .step = 3};
  }
  Optimizer optimizer() {
    return Optimizer(*setup_->params, run_.stages[0], [&](const ParamInfo& info) { return stage_trains(run_.stages[0], info); }, 1);
  }
  std::vector<std::vector<float>> copy(const std::function<Tensor(std::size_t)>& of) const {
    std::vector<std::vector<float>> copies(setup_->params->table().size());
    for (std::size_t i = 0; i < copies.size(); ++i) {
      const Tensor x = of(i);
      if (!x) continue;
      copies[i].resize(static_cast<std::size_t>(x.numel()));
      backend->copy_to_host(copies[i].data(), x);
    }
    return copies;
  }

  /// Makes a step on `rows` of sampled()[part] from the initial weights, in shares.
  Update step(std::size_t part, std::span<const std::uint32_t> rows, const Cuts& cuts) {
    set_initial_weights(*setup_, run_, events);
    Optimizer optimizer = this->optimizer();
    const double total = objective_->loss_terms(part, rows, 1);
    StepResult sum;
    for (std::size_t i = 0; i <= cuts.size(); ++i) {
      const std::size_t begin = i == 0 ? 0 : cuts[i - 1], end = i == cuts.size() ? rows.size() : cuts[i];
      const StepShare share{.rows = rows.subspan(begin, end - begin), .first_row = begin, .total = total};
      const StepResult result = objective_->step(part, share, 1, dropout(), optimizer);
      sum.loss += result.loss;
      sum.tokens += result.tokens;
    }
    Update update;
    update.gradients = copy([&](std::size_t p) { return optimizer.gradients()[p]; });
    update.outcome = finish_step(sum, objective_->head(part), 1, optimizer, "step");
    update.values = copy([&](std::size_t p) { return setup_->params->value(p); });
    return update;
  }

  /// Whether elements of `a` and `b` differ by at most `tolerance` times the largest one, or times a thousandth of the norm of all
  /// gradients: the key biases have no gradient but rounding errors, since softmax ignores what is added to all scores of a query.
  static bool near(const std::vector<float>& a, const std::vector<float>& b, float tolerance, float norm) {
    float largest = 1e-3f * norm, difference = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
      largest = std::max(largest, std::abs(a[i]));
      difference = std::max(difference, std::abs(a[i] - b[i]));
    }
    return difference <= tolerance * largest;
  }
  void expect_equal(const Update& whole, const Update& shared, float tolerance) const {
    EXPECT_NEAR(shared.outcome.loss, whole.outcome.loss, static_cast<double>(tolerance) * whole.outcome.loss);
    EXPECT_NEAR(shared.outcome.grad_norm, whole.outcome.grad_norm, static_cast<double>(tolerance) * whole.outcome.grad_norm);
    EXPECT_EQ(shared.outcome.tokens, whole.outcome.tokens);
    const auto table = setup_->params->table();
    for (std::size_t i = 0; i < table.size(); ++i)
      EXPECT_TRUE(near(whole.gradients[i], shared.gradients[i], tolerance, static_cast<float>(whole.outcome.grad_norm))) << table[i].name;
    // Both move the same words.
    const std::size_t words = setup_->params->index("embeddings.word_embeddings.weight");
    const auto moved = [&](const Update& update) {
      set_initial(*setup_);
      std::vector<bool> rows;
      const auto initial = setup_->params->value(words).span<const float>();
      for (std::size_t j = 0; j < initial.size(); ++j) rows.push_back(update.values[words][j] != initial[j]);
      return rows;
    };
    EXPECT_EQ(moved(whole), moved(shared));
  }

  static std::vector<std::uint32_t> rows(std::uint32_t count) {
    std::vector<std::uint32_t> rows(count);
    std::iota(rows.begin(), rows.end(), 1u);
    return rows;
  }

  RunConfig run_;
  std::unique_ptr<RunSetup> setup_;
  std::unique_ptr<Objective> objective_;

 private:
  void set_initial(RunSetup& setup) const {
    TrainEvents silent;
    set_initial_weights(setup, run_, silent);
  }
  const ShouldStop never_ = [] { return false; };
  Comm alone_;
};

TEST_F(StepShareTest, SharesAddUpToTheStep) {
  for (const std::string_view kind : kKinds) {
    SCOPED_TRACE(kind);
    prepare(kind);
    for (std::size_t part = 0; part < parts(); ++part) {
      SCOPED_TRACE(objective_->sampled()[part].name);
      const auto ten = rows(10);
      const Update whole = step(part, ten, {});
      EXPECT_GT(whole.outcome.grad_norm, 0);
      for (const Cuts& cuts : {Cuts{3, 3, 4}, Cuts{0, 9}, Cuts{1, 2, 3, 4, 5, 6, 7, 8, 9}, Cuts{10}})
        expect_equal(whole, step(part, ten, cuts), 2e-5f);
      // Shares that end where micro-steps end add the same numbers in the same order.
      const Update aligned = step(part, ten, {4, 8});
      EXPECT_EQ(aligned.gradients, whole.gradients);
      EXPECT_EQ(aligned.values, whole.values);
    }
  }
}

TEST_F(StepShareTest, CachedVectorsGiveTheStepOfTheWholeModel) {
  const auto ten = rows(10);
  const auto update_of = [&](std::string_view kind, std::size_t part) {
    prepare(std::string(kNoDropout) + std::string(kind));
    return step(part, ten, {});
  };
  prepare(kHeads);
  for (std::size_t part = 0, count = parts(); part < count; ++part) {
    SCOPED_TRACE(objective_->sampled()[part].name);
    const Update cached = update_of(kHeads, part);
    EXPECT_GT(cached.outcome.grad_norm, 0);
    expect_equal(update_of(kHeadsUncached, part), cached, 1e-4f);
  }
}

TEST_F(StepShareTest, AnAnnouncedGradientIsFinal) {
  for (const std::string_view kind : {kFinetune, kMlmLinear, kMlmTied}) {
    SCOPED_TRACE(kind);
    prepare(kind);
    for (std::size_t part = 0; part < parts(); ++part) {
      SCOPED_TRACE(objective_->sampled()[part].name);
      Optimizer optimizer = this->optimizer();
      std::vector<int> announced(setup_->params->table().size());
      std::vector<std::vector<float>> gradients(announced.size());
      const auto ten = rows(10);
      StepShare share = objective_->whole_step(part, ten, 1);
      share.on_grad_ready = [&](ParamSpan span) {
        for (std::size_t i = span.begin; i < span.end; ++i) {
          ++announced[i];
          gradients[i].resize(static_cast<std::size_t>(setup_->params->table()[i].numel()));
          backend->copy_to_host(gradients[i].data(), optimizer.gradients()[i]);
        }
      };
      objective_->step(part, share, 1, dropout(), optimizer);
      const auto last = copy([&](std::size_t p) { return optimizer.gradients()[p]; });
      for (std::size_t i = 0; i < announced.size(); ++i) {
        const bool used = std::ranges::any_of(last[i], [](float x) { return x != 0; });
        EXPECT_LE(announced[i], 1) << setup_->params->table()[i].name;
        EXPECT_TRUE(announced[i] == 1 || !used) << setup_->params->table()[i].name;
        if (announced[i] == 1) {
          EXPECT_EQ(gradients[i], last[i]) << setup_->params->table()[i].name;
        }
      }
    }
  }
}

TEST_F(StepShareTest, MicroStepsHaveMasksOfTheirOwn) {
  for (const std::string_view kind : kKinds) {
    for (const bool dropped : {true, false}) {
      SCOPED_TRACE(fmt::format("{}{}", kind, dropped ? "" : "without dropout"));
      std::string overlay = dropped ? std::string(kind) : std::string(kNoDropout) + std::string(kind);
      if (const auto at = overlay.find("mask = 0.4"); at != std::string::npos && !dropped) overlay.insert(at, "dropout = 0.0, ");
      prepare(overlay);
      for (std::size_t part = 0; part < parts(); ++part) {
        const std::vector<std::uint32_t> once = rows(4);
        std::vector<std::uint32_t> twice = once;
        twice.insert(twice.end(), once.begin(), once.end());
        const double one = step(part, once, {}).outcome.loss, both = step(part, twice, {}).outcome.loss;
        EXPECT_EQ(std::abs(one - both) < 1e-9 * one, !dropped) << one << " " << both;
      }
    }
  }
}

TEST_F(StepShareTest, DivergenceIsSaidBeforeAnythingMoves) {
  prepare(kFinetune);
  Optimizer optimizer = this->optimizer();
  const auto ten = rows(10);
  StepResult result = objective_->step(0, objective_->whole_step(0, ten, 1), 1, dropout(), optimizer);
  const auto before = copy([&](std::size_t p) { return setup_->params->value(p); });
  result.loss = std::nan("");
  expect_error(ErrorTag::kDiverged, {"here", "finite"}, [&] { finish_step(result, objective_->head(0), 1, optimizer, "here"); });
  EXPECT_EQ(copy([&](std::size_t p) { return setup_->params->value(p); }), before);
}

}  // namespace
}  // namespace minbert
