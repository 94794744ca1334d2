// Token rows and batches: layout, row ids, targets, truncation.
#include "minbert/pipeline/tokens.h"

#include <gtest/gtest.h>

#include "tests/pipeline/text_fixture.h"

namespace minbert {
namespace {

using Ids = std::vector<std::int32_t>;

template <class T>
std::vector<std::int32_t> copy(std::span<const T> values) {
  return {values.begin(), values.end()};
}

TEST(Tokens, SinglePairAndJoint) {
  const Tokenizer tokenizer = word_tokenizer();
  const auto tasks = three_tasks();
  const std::vector<Row> rows = {make_row("a b", "c", 1), make_row("d", "e f", 0)};

  const TokenizedRows single = tokenize_rows(tokenizer, tasks[0], rows, 0);
  EXPECT_EQ(single.ids, (Ids{2, 5, 6, 3, 2, 8, 3}));
  EXPECT_EQ(single.rows(), 2);
  const TokenizedRows pair = tokenize_rows(tokenizer, tasks[1], rows, 0);
  EXPECT_EQ(pair.sequences(), 4);
  EXPECT_EQ(pair.ids, (Ids{2, 5, 6, 3, 2, 7, 3, 2, 8, 3, 2, 9, 10, 3}));
  EXPECT_EQ(pair.row_tokens(1), 7);
  const TokenizedRows joint = tokenize_rows(tokenizer, tasks[2], rows, 0);
  EXPECT_EQ(joint.ids, (Ids{2, 5, 6, 3, 7, 3, 2, 8, 3, 9, 10, 3}));
  EXPECT_EQ(joint.first_segments, (Ids{4, 3}));
}

TEST(Tokens, TruncationIsCounted) {
  const Tokenizer tokenizer = word_tokenizer();
  const auto tasks = three_tasks();
  const std::vector<Row> rows = {make_row("a b", "c"), make_row("a b c", "d"), make_row("a", "b c d e")};
  EXPECT_EQ(tokenize_rows(tokenizer, tasks[0], rows, 4).truncated, 1);
  EXPECT_EQ(tokenize_rows(tokenizer, tasks[1], rows, 4).truncated, 2);
  EXPECT_EQ(tokenize_rows(tokenizer, tasks[2], rows, 7).truncated, 1);
  EXPECT_EQ(tokenize_rows(tokenizer, tasks[0], rows, 0).truncated, 0);
}

TEST(Tokens, BatchOfSeparatePairsHasFirstTextsFirst) {
  const Tokenizer tokenizer = word_tokenizer();
  const std::vector<Row> rows = {make_row("a", "b"), make_row("c d", "e"), make_row("f", "f f")};
  const TokenizedRows tokens = tokenize_rows(tokenizer, three_tasks()[1], rows, 0);
  Batch batch;
  batch.fill(tokens, std::vector<std::uint32_t>{0}, 0);  // must not keep anything of the batch before
  batch.fill(tokens, std::vector<std::uint32_t>{2, 1}, 4);
  const TokenBatch view = batch.tokens();
  EXPECT_EQ(copy(view.ids), (Ids{2, 10, 3, 2, 7, 8, 3, 2, 10, 10, 3, 2, 9, 3}));
  EXPECT_EQ(copy(view.offsets), (Ids{0, 3, 7, 11, 14}));
  EXPECT_EQ(copy(view.positions), (Ids{0, 1, 2, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2}));
  EXPECT_EQ(view.rows[3].row, 5u);
  EXPECT_EQ(view.rows[3].pass, 0);
  EXPECT_EQ(view.rows[8].row, 4u);
  EXPECT_EQ(view.rows[8].pass, 1);
  EXPECT_EQ(view.rows[8].position, 1);
}

TEST(Tokens, JointBatchHasTypeIds) {
  const Tokenizer tokenizer = word_tokenizer();
  const std::vector<Row> rows = {make_row("a", "b c")};
  const TokenizedRows tokens = tokenize_rows(tokenizer, three_tasks()[2], rows, 0);
  Batch batch;
  batch.fill(tokens, std::vector<std::uint32_t>{0}, 0);
  EXPECT_EQ(copy(batch.tokens().type_ids), (Ids{0, 0, 0, 1, 1, 1}));
}

TEST(Tokens, TargetsInTheFormOfTheLoss) {
  const Tokenizer tokenizer = word_tokenizer();
  auto tasks = three_tasks();
  const std::vector<Row> rows = {make_row("a", "b", 1), make_row("c", "d", 0)};
  const std::vector<std::uint32_t> both = {1, 0};
  BatchTargets targets;
  targets.fill(tasks[0], tokenize_rows(tokenizer, tasks[0], rows, 0), both);
  EXPECT_EQ(copy(targets.targets().labels), (Ids{0, 1}));
  EXPECT_TRUE(targets.targets().values.empty());
  tasks[2].loss = LossName::kBce;
  tasks[2].data.label_range = {-1, 3};
  targets.fill(tasks[2], tokenize_rows(tokenizer, tasks[2], rows, 0), both);
  EXPECT_EQ(targets.targets().values[0], 0.25f);
  EXPECT_EQ(targets.targets().values[1], 0.5f);
}

TEST(Tokens, ASymmetricPairIsReadInBothOrders) {
  const Tokenizer tokenizer = word_tokenizer();
  TaskSpec task = three_tasks()[2];
  const std::vector<Row> rows = {make_row("a b", "c"), make_row("d", "e f")}, swapped = {make_row("c", "a b"), make_row("e f", "d")};
  task.symmetric = true;
  const TokenizedRows tokens = tokenize_rows(tokenizer, task, rows, 0);
  task.symmetric = false;
  ASSERT_NE(tokens.windows, nullptr);
  EXPECT_EQ(tokens.windows->of, (std::vector<std::uint32_t>{0, 1}));
  const TokenizedRows other = tokenize_rows(tokenizer, task, swapped, 0);
  EXPECT_EQ(tokens.windows->rows.ids, other.ids);
  EXPECT_EQ(tokens.windows->rows.first_segments, other.first_segments);
  EXPECT_EQ(tokens.ids, tokenize_rows(tokenizer, task, rows, 0).ids);
}

TEST(Tokens, TeachersAnswersHaveAShareOfTheTargets) {
  const Tokenizer tokenizer = word_tokenizer();
  auto tasks = three_tasks();
  const std::vector<Row> rows = {make_row("a", "b", 1), make_row("c", "d", 0)};
  const std::vector<std::uint32_t> both = {1, 0};
  const auto values = [&](const TaskSpec& task, const SoftLabels& soft) {
    BatchTargets targets;
    targets.fill(task, tokenize_rows(tokenizer, task, rows, 0), both, soft);
    return std::vector<float>(targets.targets().values.begin(), targets.targets().values.end());
  };
  using Values = std::vector<float>;
  // Row 0 has the label 1, row 1 the label 0; the teachers' rows come in the same order.
  EXPECT_EQ(values(tasks[0], {.values = {0, 0.5, 0.5, 0.25, 0.25, 0.5}, .share = 0.5}), (Values{0.625f, 0.125f, 0.25f, 0, 0.75f, 0.25f}));
  tasks[1].label_smoothing = 0.5;
  EXPECT_EQ(values(tasks[1], {.values = {0.5, 0.5, 1, 0}, .share = 0.5}), (Values{0.125f, 0.625f}));
  EXPECT_EQ(values(tasks[2], {.values = {3, 2}, .share = 0.25}), (Values{0.5f, 1.5f}));
  tasks[2].loss = LossName::kBce;
  tasks[2].data.label_range = {-1, 3};
  EXPECT_EQ(values(tasks[2], {.values = {9, 2}, .share = 0.5}), (Values{0.5f, 1}));  // (1 + 9) / 2 lies above the range
}

TEST(Tokens, ARowThatOrdinalSharesOutKeepsTheFactorOfItsLabel) {
  const Tokenizer tokenizer = word_tokenizer();
  TaskSpec task = three_tasks()[0];
  const std::vector<Row> rows = {make_row("a", "b", 1), make_row("c", "d", 0)};
  const auto values = [&] {
    BatchTargets targets;
    targets.fill(task, tokenize_rows(tokenizer, task, rows, 0), std::vector<std::uint32_t>{0, 1}, {});
    const auto all = targets.targets().values;
    return std::vector<float>(all.begin(), all.end());
  };
  task.ordinal = 2;
  std::vector<float> expected = values();
  task.class_factors = {10, 1, 1};
  for (std::size_t k = 3; k < 6; ++k) expected[k] *= 10;
  EXPECT_EQ(values(), expected);
}

TEST(Tokens, OfARowWithoutALabelTeachersSayAll) {
  const Tokenizer tokenizer = word_tokenizer();
  auto tasks = three_tasks();
  const double none = Row().label;
  const std::vector<Row> rows = {make_row("a", "b", none), make_row("c", "d", none)};
  const auto expect_values = [&](const TaskSpec& task, const std::vector<double>& taught, const std::vector<float>& expected) {
    BatchTargets targets;
    targets.fill(task, tokenize_rows(tokenizer, task, rows, 0), std::vector<std::uint32_t>{1, 0}, {.values = taught, .share = 0.25});
    const auto values = targets.targets().values;
    EXPECT_EQ(std::vector<float>(values.begin(), values.end()), expected) << task.name;
  };
  expect_values(tasks[0], {0, 0.5, 0.5, 0.25, 0.25, 0.5}, {0.25f, 0.25f, 0.5f, 0, 0.5f, 0.5f});
  tasks[0].ordinal = 1;
  expect_values(tasks[0], {0, 0.5, 0.5, 0.25, 0.25, 0.5}, {0.25f, 0.25f, 0.5f, 0, 0.5f, 0.5f});
  expect_values(tasks[1], {0.5, 0.5, 1, 0}, {0, 0.5f});
  expect_values(tasks[2], {3, 2}, {2, 3});
}

TEST(Tokens, WindowsReachOverLongTexts) {
  const Tokenizer tokenizer = word_tokenizer();
  TaskSpec task = three_tasks()[0];
  const std::vector<Row> rows = {make_row("a b"), make_row("a b c d e f a b c d"), make_row("a b c d e"), make_row("f e d c")};
  EXPECT_EQ(tokenize_rows(tokenizer, task, rows, 6).windows, nullptr);
  task.windows = Windows::kMean;
  const TokenizedRows tokens = tokenize_rows(tokenizer, task, rows, 6);
  EXPECT_EQ(tokens.truncated, 2);
  ASSERT_NE(tokens.windows, nullptr);
  EXPECT_EQ(tokens.windows->of, (std::vector<std::uint32_t>{1, 1, 2}));
  const auto window = [&](const TokenizedRows& of, std::int64_t row) {
    std::string text;
    for (std::int64_t i = of.offsets[static_cast<std::size_t>(row)]; i < of.offsets[static_cast<std::size_t>(row) + 1]; ++i)
      text += tokenizer.token(of.ids[static_cast<std::size_t>(i)]) + " ";
    return text;
  };
  EXPECT_EQ(window(tokens, 1), "[CLS] a b c d [SEP] ");
  EXPECT_EQ(window(tokens.windows->rows, 0), "[CLS] d e f a [SEP] ");
  EXPECT_EQ(window(tokens.windows->rows, 1), "[CLS] a b c d [SEP] ") << "the text's last four";
  EXPECT_EQ(window(tokens.windows->rows, 2), "[CLS] b c d e [SEP] ");
  EXPECT_EQ(tokens.windows->rows.first_segments, (std::vector<std::int32_t>{6, 6, 6}));

  const TokenizedRows prompted = tokenize_rows(tokenizer, task, std::span(rows).subspan(2, 1), 6, 3);  // "a b" is the prompt
  EXPECT_EQ(window(prompted, 0), "[CLS] a b c d [SEP] ");
  EXPECT_EQ(window(prompted.windows->rows, 0), "[CLS] a b d e [SEP] ");
}

TEST(Tokens, TextsThatAreAddedOneByOneAreReadAsRows) {
  const Tokenizer tokenizer = word_tokenizer();
  auto tasks = three_tasks();
  tasks[0].windows = Windows::kMean;
  tasks[2].symmetric = true;
  const std::vector<Row> rows = {make_row("a b c d e f a b c d", "c"), make_row("a", "b c d e f a b"), make_row("f e d c b a f", "")};
  for (const TaskSpec& task : tasks) {
    const TokenizedRows expected = tokenize_rows(tokenizer, task, rows, 6);
    TokenizedRows got;
    std::int64_t cut = 0;
    for (const Row& row : rows) cut += append_text(got, tokenizer, task, row.text, row.text_pair, 6);
    EXPECT_EQ(cut > 0, task.windows == Windows::kNone) << task.name;
    EXPECT_EQ(got.ids, expected.ids) << task.name;
    EXPECT_EQ(got.offsets, expected.offsets) << task.name;
    ASSERT_EQ(got.windows != nullptr, expected.windows != nullptr) << task.name;
    if (!expected.windows) continue;
    EXPECT_EQ(got.windows->of, expected.windows->of) << task.name;
    EXPECT_EQ(got.windows->rows.ids, expected.windows->rows.ids) << task.name;
    EXPECT_EQ(got.windows->rows.first_segments, expected.windows->rows.first_segments) << task.name;
  }
  // What windows read has lost nothing at either end.
  TokenizedRows start, end;
  append_text(start, tokenizer, tasks[0], rows[0].text, "", 6, CutSide::kStart);
  append_text(end, tokenizer, tasks[0], rows[0].text, "", 6);
  EXPECT_EQ(start.ids, end.ids);
}

}  // namespace
}  // namespace minbert
