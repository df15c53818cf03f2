// SPDX-License-Identifier: GPL-2.0-only
#include "machine/config.hpp"

#include <pybind11/stl.h>

#include "bindings.hpp"

namespace py = pybind11;

namespace vmm::bindings {

void bind_config(py::module_& module) {
  using machine::DiskConfig;
  using machine::MachineConfig;

  py::class_<DiskConfig>(module, "DiskConfig")
      .def(py::init<std::string, bool, bool>(), py::arg("path"), py::arg("read_only"),
           py::arg("volatile_cache"))
      .def_readwrite("path", &DiskConfig::path)
      .def_readwrite("read_only", &DiskConfig::read_only)
      .def_readwrite("volatile_cache", &DiskConfig::volatile_cache);

  py::class_<MachineConfig>(module, "MachineConfig")
      .def(py::init<>())
      .def_readwrite("kernel", &MachineConfig::kernel)
      .def_readwrite("initrd", &MachineConfig::initrd)
      .def_readwrite("cmdline", &MachineConfig::cmdline)
      .def_readwrite("vcpus", &MachineConfig::vcpus)
      .def_readwrite("memory_mib", &MachineConfig::memory_mib)
      .def_readwrite("disks", &MachineConfig::disks)
      .def_readwrite("rng", &MachineConfig::rng)
      .def_readwrite("guest_events", &MachineConfig::guest_events)
      .def_readwrite("transport", &MachineConfig::transport)
      .def_readwrite("ring", &MachineConfig::ring)
      .def_readwrite("split_irqchip", &MachineConfig::split_irqchip)
      .def_readwrite("hugepages", &MachineConfig::hugepages)
      .def_readwrite("cpu", &MachineConfig::cpu)
      .def_readwrite("protocol", &MachineConfig::protocol)
      .def_readwrite("payload", &MachineConfig::payload);
}

}  // namespace vmm::bindings
