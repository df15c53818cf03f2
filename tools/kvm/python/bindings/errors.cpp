// SPDX-License-Identifier: GPL-2.0-only
#include "base/error.hpp"
#include "bindings.hpp"

namespace py = pybind11;

namespace vmm::bindings {

void bind_errors(py::module_& module) {
  py::register_exception<base::ConfigError>(module, "ConfigError", PyExc_ValueError);
  py::register_exception<base::LoadError>(module, "LoadError", PyExc_RuntimeError);
  py::register_exception<base::SystemError>(module, "KvmError", PyExc_RuntimeError);
}

}  // namespace vmm::bindings
