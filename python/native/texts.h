// Texts of Python as views that C++ reads without the interpreter.
#pragma once

#include <nanobind/nanobind.h>

#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "minbert/pipeline.h"

namespace minbert::python {

namespace nb = nanobind;

/// The strings of a list, kept alive whatever becomes of the list. Lone surrogates, which UTF-8 cannot hold, become U+FFFD.
class Texts {
 public:
  /// Throws Error(kData) naming the place of what is no str.
  explicit Texts(nb::handle list);

  const std::vector<std::string_view>& views() const { return views_; }

 private:
  nb::tuple items_;
  std::deque<std::string> encoded_;  // that views point into
  std::vector<std::string_view> views_;
};

/// Holds texts and, for pairs, their second texts; `pairs` may be None.
class Inputs {
 public:
  Inputs(nb::handle texts, nb::handle pairs);

  const std::vector<Input>& list() const { return inputs_; }

 private:
  Texts texts_;
  std::optional<Texts> pairs_;
  std::vector<Input> inputs_;
};

/// A function that calls `progress`, unless it is None, with the number of inputs done, and before that the handlers of signals, so that
/// Ctrl-C ends the work. To be called without the interpreter's lock.
Progress progress_of(nb::handle progress);

void bind_model(nb::module_& module);
void bind_train(nb::module_& module);

}  // namespace minbert::python
