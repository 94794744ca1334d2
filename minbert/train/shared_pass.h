// Passes over rows that train nothing, with the batches dealt to all ranks: every rank gets the results of all rows, to the bit those of a
// single process.
#pragma once

#include <string>
#include <vector>

#include "minbert/pipeline/mlm.h"
#include "minbert/pipeline/predict.h"
#include "minbert/train/objective.h"

namespace minbert {

/// predict_rows() for the rows of setup.tasks[task]. `what` names the pass in its events. All three throw StopRequested, on all ranks
/// alike.
std::vector<Prediction> predict_together(RunSetup& setup, std::string what, std::size_t task, const TokenizedRows& rows,
                                         TrainEvents& events, const ShouldStop& should_stop);
/// encode_rows().
std::vector<float> encode_together(RunSetup& setup, std::string what, Pool pool, const TokenizedRows& rows, TrainEvents& events,
                                   const ShouldStop& should_stop);
/// score_mlm(). The loss is the mean over all ranks' tokens, with the rounding of a sum in another order.
MlmScore score_together(RunSetup& setup, std::string what, const TokenizedRows& rows, const Masking& masking, TrainEvents& events,
                        const ShouldStop& should_stop);

}  // namespace minbert
