// The C function that trains.
#include "minbert/capi/boundary.h"
#include "minbert/train/api.h"

extern "C" minbert_status minbert_train(const char* config, size_t size, const minbert_train_options* given, int32_t* stopped,
                                        minbert_error** error) noexcept {
  return minbert::at_boundary(error, [&] {
    minbert::expect_given(config, "config");
    const minbert_train_options options = minbert::read_options(given);
    minbert::api::TrainOptions run;
    if (options.output != nullptr) run.output = options.output;
    run.resume = options.resume != 0;
    run.overwrite = options.overwrite != 0;
    run.threads = options.threads;
    if (options.on_event != nullptr)
      run.on_event = [&options](std::string_view json) { options.on_event(options.user, json.data(), json.size()); };
    if (options.should_stop != nullptr) run.should_stop = [&options] { return options.should_stop(options.user) != 0; };
    const std::string text = size == MINBERT_ZERO_TERMINATED ? std::string(config) : std::string(config, size);
    const auto result = minbert::api::train({.files = {}, .texts = {text}, .set = {}}, run);
    if (stopped != nullptr) *stopped = result.stopped ? 1 : 0;
  });
}
