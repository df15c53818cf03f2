// SPDX-License-Identifier: GPL-2.0-only
#include "machine/config.hpp"

#include <pybind11/stl.h>

#include "bindings.hpp"

namespace py = pybind11;

namespace vmm::bindings {

void bind_config(py::module_& module) {
  using machine::DiskConfig;
  using machine::DisplayConfig;
  using machine::ForwardConfig;
  using machine::MachineConfig;
  using machine::NetConfig;
  using machine::ShareConfig;
  using machine::VsockConfig;

  py::class_<DiskConfig>(module, "DiskConfig")
      .def(py::init<std::string, bool, bool, std::string, bool, std::string, bool,
                    std::vector<std::string>, std::vector<std::string>>(),
           py::arg("path"), py::arg("read_only"), py::arg("volatile_cache"),
           py::arg("format") = "raw", py::arg("direct") = false, py::arg("backing_folder") = "",
           py::arg("format_said") = false, py::arg("backing") = std::vector<std::string>{},
           py::arg("backing_files") = std::vector<std::string>{})
      .def_readwrite("path", &DiskConfig::path)
      .def_readwrite("read_only", &DiskConfig::read_only)
      .def_readwrite("volatile_cache", &DiskConfig::volatile_cache)
      .def_readwrite("format", &DiskConfig::format)
      .def_readwrite("direct", &DiskConfig::direct)
      .def_readwrite("backing_folder", &DiskConfig::backing_folder)
      .def_readwrite("format_said", &DiskConfig::format_said)
      .def_readwrite("backing", &DiskConfig::backing)
      .def_readwrite("backing_files", &DiskConfig::backing_files);

  py::class_<ShareConfig>(module, "ShareConfig")
      .def(py::init<std::string, std::string, bool>(), py::arg("path"), py::arg("tag"),
           py::arg("read_only"))
      .def_readwrite("path", &ShareConfig::path)
      .def_readwrite("tag", &ShareConfig::tag)
      .def_readwrite("read_only", &ShareConfig::read_only);

  py::class_<ForwardConfig>(module, "ForwardConfig")
      .def(py::init<bool, std::string, uint16_t, uint16_t>(), py::arg("udp"),
           py::arg("host_address"), py::arg("host_port"), py::arg("guest_port"));

  py::class_<NetConfig>(module, "NetConfig")
      .def(py::init<>())
      .def_readwrite("kind", &NetConfig::kind)
      .def_readwrite("mac", &NetConfig::mac)
      .def_readwrite("mtu", &NetConfig::mtu)
      .def_readwrite("forwards", &NetConfig::forwards)
      .def_readwrite("host_loopback", &NetConfig::host_loopback)
      .def_readwrite("closed", &NetConfig::closed)
      .def_readwrite("tap", &NetConfig::tap)
      .def_readwrite("tap_fd", &NetConfig::tap_fd)
      .def_readwrite("queue_pairs", &NetConfig::queue_pairs)
      .def_readwrite("host_address", &NetConfig::host_address)
      .def_readwrite("vhost", &NetConfig::vhost);

  py::class_<VsockConfig>(module, "VsockConfig")
      .def(py::init<std::string, uint64_t, bool>(), py::arg("path"), py::arg("cid"),
           py::arg("vhost"));

  py::class_<DisplayConfig>(module, "DisplayConfig")
      .def(py::init<uint32_t, uint32_t, std::string>(), py::arg("width"), py::arg("height"),
           py::arg("password") = "");

  py::class_<MachineConfig>(module, "MachineConfig")
      .def(py::init<>())
      .def_readwrite("kernel", &MachineConfig::kernel)
      .def_readwrite("initrd", &MachineConfig::initrd)
      .def_readwrite("cmdline", &MachineConfig::cmdline)
      .def_readwrite("vcpus", &MachineConfig::vcpus)
      .def_readwrite("memory_mib", &MachineConfig::memory_mib)
      .def_readwrite("disks", &MachineConfig::disks)
      .def_readwrite("nets", &MachineConfig::nets)
      .def_readwrite("vsock", &MachineConfig::vsock)
      .def_readwrite("shares", &MachineConfig::shares)
      .def_readwrite("balloon_mib", &MachineConfig::balloon_mib)
      .def_readwrite("rng", &MachineConfig::rng)
      .def_readwrite("display", &MachineConfig::display)
      .def_readwrite("ttys", &MachineConfig::ttys)
      .def_readwrite("vfio_pci", &MachineConfig::vfio_pci)
      .def_readwrite("guest_events", &MachineConfig::guest_events)
      .def_readwrite("transport", &MachineConfig::transport)
      .def_readwrite("ring", &MachineConfig::ring)
      .def_readwrite("kvm_device", &MachineConfig::kvm_device)
      .def_readwrite("split_irqchip", &MachineConfig::split_irqchip)
      .def_readwrite("hugepages", &MachineConfig::hugepages)
      .def_readwrite("cpu", &MachineConfig::cpu)
      .def_readwrite("protocol", &MachineConfig::protocol)
      .def_readwrite("payload", &MachineConfig::payload);
}

}  // namespace vmm::bindings
