// Explains a prediction: how much each token adds to it.
#pragma once

#include <string>
#include <vector>

#include "minbert/pipeline/predict.h"
#include "minbert/tokenizer/tokenizer.h"

namespace minbert {

/// What one token of the input adds.
struct TokenAttribution {
  std::string token;       ///< as the tokenizer writes it
  int sequence = 0;        ///< 1 in the second text of a pair
  double attribution = 0;  ///< in the unit of Explanation::value
};

/// Attributions add up to value - baseline, but for the error of the sum that stands for an integral.
struct Explanation {
  std::string label = {};  ///< the class that is explained: the predicted one, of multi_label the likeliest; empty for numbers
  double value = 0;        ///< log-odds of the class's probability, or the predicted number
  double baseline = 0;     ///< the same of the input with [PAD] for each of its words, or [UNK] in a vocabulary without [PAD]
  std::vector<TokenAttribution> tokens = {};
};

/// The prediction for row `row`, or the `answer` that it has already, with its explanation by integrated gradients (Sundararajan et al.
/// 2017, arXiv:1703.01365, equation 1): the gradient of `value` by the word embeddings, averaged over `steps` points of the straight way
/// from the baseline's to the input's, times the difference of the two. Further windows of a long row, and its other order, are not read.
/// The model computes in f32 with weights for training (WeightUse::kTrain), because this runs it backward. `go_on` is called between
/// batches; what it throws ends the work.
Prediction explain_row(MultitaskModel& model, std::size_t head, const TaskSpec& task, const Tokenizer& tokenizer, const TokenizedRows& rows,
                       std::uint32_t row, const Prediction* answer = nullptr, int steps = 64, const std::function<void()>& go_on = {});

/// {"label", "value", "baseline", "tokens": [{"token", "sequence", "attribution"}]}, numbers with the digits of a float; no label for
/// numbers.
std::string explanation_json(const Explanation& explanation);

}  // namespace minbert
