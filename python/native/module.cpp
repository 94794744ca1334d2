// minbert._native: the C++ library as Python sees it. Errors become those of minbert/_errors.py.
#include <nanobind/stl/string.h>

#include "python/native/texts.h"

NB_MODULE(_native, module) {
  namespace nb = nanobind;
  module.doc() = "The C++ library; use the names of the package minbert instead.";
  nb::register_exception_translator([](const std::exception_ptr& thrown, void*) {
    try {
      std::rethrow_exception(thrown);
    } catch (const minbert::Error& error) {
      const auto tag = minbert::tag_name(error.tag());
      const nb::object made = nb::module_::import_("minbert._errors")
                                  .attr("make_error")(nb::str(tag.data(), tag.size()), error.place(), error.message(), error.hint());
      PyErr_SetObject(made.type().ptr(), made.ptr());
    }
  });
  minbert::python::bind_model(module);
  minbert::python::bind_train(module);
  module.def("version", &minbert::version);
}
