// The library's front door: open a model folder, predict, embed, rank; train one. Everything a program may include is included here.
#pragma once

#include "minbert/pipeline/api.h"
#include "minbert/train/api.h"

namespace minbert {

// pipeline
using api::DType;
using api::EmbedOptions;
using api::Input;
using api::Options;
using api::Pipeline;
using api::Prediction;
using api::Progress;
using api::quantize_embeddings;
using api::RankedDocument;
using api::RankOptions;
using api::TaskInfo;
using api::TaskPrediction;
using api::Tokens;
// train
using api::train;
using api::TrainConfig;
using api::TrainOptions;
using api::TrainResult;
using api::usual_config;
using api::UsualTask;
using api::version;

}  // namespace minbert
