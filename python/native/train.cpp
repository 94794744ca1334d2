// Binds train(); minbert/_training.py makes its configs and shows its events.
#include <nanobind/stl/map.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <exception>

#include "python/native/texts.h"

namespace minbert::python {
namespace {

/// The first exception of Python that a run meets, a Ctrl-C or one of its callback: the run then stops after a checkpoint, and the
/// exception goes on.
class Interruption {
 public:
  /// Calls `work` with the interpreter's lock.
  template <class Work>
  void guard(const Work& work) {
    const nb::gil_scoped_acquire lock;
    try {
      work();
    } catch (nb::python_error&) {
      if (!reason_) reason_ = std::current_exception();
    }
  }
  bool raised() const { return reason_ != nullptr; }
  void rethrow() const {
    if (reason_) std::rethrow_exception(reason_);
  }

 private:
  std::exception_ptr reason_;
};

/// (folder, dev scores, dev mean).
nb::tuple run(const std::vector<std::string>& files, const std::vector<std::string>& texts, const std::vector<std::string>& set,
              const std::string& output, bool resume, bool overwrite, int threads, nb::handle on_event) {
  Interruption interruption;
  TrainOptions options;
  options.output = output;
  options.resume = resume;
  options.overwrite = overwrite;
  options.threads = threads;
  options.on_event = [&](std::string_view json) {
    if (!interruption.raised()) interruption.guard([&] { on_event(nb::str(json.data(), json.size())); });
  };
  options.should_stop = [&] {
    if (!interruption.raised())
      interruption.guard([] {
        if (PyErr_CheckSignals() != 0) throw nb::python_error();
      });
    return interruption.raised();
  };
  TrainConfig config;
  config.files.assign(files.begin(), files.end());
  config.texts = texts;
  config.set = set;
  TrainResult result;
  {
    const nb::gil_scoped_release unlocked;
    result = train(config, options);
  }
  interruption.rethrow();
  return nb::make_tuple(result.folder.string(), result.dev_scores, result.dev_mean);
}

}  // namespace

void bind_train(nb::module_& module) {
  module.def("train", &run, nb::arg("files"), nb::arg("texts"), nb::arg("set"), nb::arg("output"), nb::arg("resume"), nb::arg("overwrite"),
             nb::arg("threads"), nb::arg("on_event"));
  module.def("usual_config", [](const std::string& init, const std::string& name, bool is_pair, bool is_regression, double rows,
                                bool tunes) { return usual_config(init, {name, is_pair, is_regression, rows, tunes}); });
}

}  // namespace minbert::python
