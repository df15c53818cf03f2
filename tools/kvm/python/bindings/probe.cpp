// SPDX-License-Identifier: GPL-2.0-only
#include "machine/probe/probe.hpp"

#include "bindings.hpp"

namespace py = pybind11;

namespace vmm::bindings {

void bind_probe(py::module_& module) {
  using machine::ProbeResult;

  py::class_<ProbeResult>(module, "ProbeResult")
      .def_property_readonly("state",
                             [](const ProbeResult& result) { return name_of(result.state); })
      .def_readonly("detail", &ProbeResult::detail)
      .def_readonly("nested", &ProbeResult::nested);

  module.def(
      "probe",
      [](double timeout_s) {
        const py::gil_scoped_release release;
        return machine::probe(std::chrono::duration_cast<std::chrono::milliseconds>(
            std::chrono::duration<double>(timeout_s)));
      },
      py::arg("timeout_s"));
}

}  // namespace vmm::bindings
