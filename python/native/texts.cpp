// Reads lists of str.
#include "python/native/texts.h"

namespace minbert::python {

Texts::Texts(nb::handle list) : items_(nb::tuple(nb::borrow(list))) {
  views_.reserve(items_.size());
  for (std::size_t i = 0; i < items_.size(); ++i) {
    const nb::handle item = items_[i];
    if (!PyUnicode_Check(item.ptr()))
      throw Error(ErrorTag::kUsage, "input " + std::to_string(i), "expected a str, got " + nb::cast<std::string>(nb::str(item.type())));
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
    views_.emplace_back(data, static_cast<std::size_t>(size));
    encoded_.push_back(bytes);
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
