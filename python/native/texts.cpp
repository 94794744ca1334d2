// Reads lists of str.
#include "python/native/texts.h"

namespace minbert::python {

namespace {

/// UTF-8 in which each lone surrogate, three bytes that are no UTF-8, is U+FFFD.
std::string without_surrogates(std::string_view text) {
  std::string out(text);
  for (std::size_t at = 0; at + 2 < out.size(); ++at)
    if (out[at] == '\xed' && static_cast<unsigned char>(out[at + 1]) >= 0xa0) out.replace(at, 3, "\xef\xbf\xbd");
  return out;
}

}  // namespace

Texts::Texts(nb::handle list) : items_(nb::tuple(nb::borrow(list))) {
  views_.reserve(items_.size());
  for (std::size_t i = 0; i < items_.size(); ++i) {
    const nb::handle item = items_[i];
    if (!PyUnicode_Check(item.ptr()))
      throw Error(ErrorTag::kData, "input " + std::to_string(i), "expected a str, got " + std::string(Py_TYPE(item.ptr())->tp_name));
    Py_ssize_t size = 0;
    if (const char* const text = PyUnicode_AsUTF8AndSize(item.ptr(), &size)) {
      views_.emplace_back(text, static_cast<std::size_t>(size));
      continue;
    }
    PyErr_Clear();
    const nb::object bytes = nb::steal(PyUnicode_AsEncodedString(item.ptr(), "utf-8", "surrogatepass"));
    if (!bytes.is_valid()) throw nb::python_error();
    char* data = nullptr;
    if (PyBytes_AsStringAndSize(bytes.ptr(), &data, &size) != 0) throw nb::python_error();
    views_.emplace_back(encoded_.emplace_back(without_surrogates({data, static_cast<std::size_t>(size)})));
  }
}

Inputs::Inputs(nb::handle texts, nb::handle pairs) : texts_(texts) {
  if (!pairs.is_none()) pairs_.emplace(pairs);
  if (pairs_ && pairs_->views().size() != texts_.views().size())
    throw Error(ErrorTag::kUsage, "inputs",
                "expected as many second texts as first ones, got " + std::to_string(pairs_->views().size()) + " and " +
                    std::to_string(texts_.views().size()));
  for (std::size_t i = 0; i < texts_.views().size(); ++i) {
    inputs_.push_back({.text = texts_.views()[i], .text_pair = {}});
    if (pairs_) inputs_.back().text_pair = pairs_->views()[i];
  }
}

Progress progress_of(nb::handle progress) {
  return [progress](std::size_t done) {
    const nb::gil_scoped_acquire lock;
    if (PyErr_CheckSignals() != 0) throw nb::python_error();
    if (!progress.is_none()) progress(done);
  };
}

}  // namespace minbert::python
