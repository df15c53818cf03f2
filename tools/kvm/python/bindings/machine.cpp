// SPDX-License-Identifier: GPL-2.0-only
#include "machine/machine.hpp"

#include <pybind11/stl.h>

#include <cstdio>
#include <memory>
#include <stdexcept>

#include "bindings.hpp"

namespace py = pybind11;

namespace vmm::bindings {
namespace {

using machine::Machine;
using machine::MachineConfig;
using machine::StopInfo;
using machine::VcpuSnapshot;

// Python's Machine: close() ends the VM, which a destructor at the collector's pleasure would not.
class OwnedMachine {
 public:
  explicit OwnedMachine(const MachineConfig& config) {
    const py::gil_scoped_release release;
    machine_ = std::make_unique<Machine>(config);
  }
  ~OwnedMachine() { close(); }
  OwnedMachine(const OwnedMachine&) = delete;
  OwnedMachine& operator=(const OwnedMachine&) = delete;

  Machine& get() const {
    if (!machine_) throw std::runtime_error("the machine is closed");
    return *machine_;
  }

  void close() {
    std::unique_ptr<Machine> doomed = std::move(machine_);
    const py::gil_scoped_release release;
    doomed.reset();
  }

 private:
  std::unique_ptr<Machine> machine_;
};

std::optional<StopInfo> wait(const OwnedMachine& owned, double timeout_s) {
  Machine& machine = owned.get();
  const py::gil_scoped_release release;
  return machine.wait(std::chrono::duration_cast<std::chrono::nanoseconds>(
      std::chrono::duration<double>(timeout_s)));
}

void start(const OwnedMachine& owned) {
  Machine& machine = owned.get();
  const py::gil_scoped_release release;
  machine.start();
}

void stop(const OwnedMachine& owned) {
  Machine& machine = owned.get();
  const py::gil_scoped_release release;
  machine.stop();
}

void serial_sysrq(const OwnedMachine& owned, char key) {
  Machine& machine = owned.get();
  const py::gil_scoped_release release;
  machine.serial_sysrq(key);
}

void pause(const OwnedMachine& owned) {
  Machine& machine = owned.get();
  const py::gil_scoped_release release;
  machine.pause();
}

py::dict exits(const OwnedMachine& owned) {
  const Machine& machine = owned.get();
  py::dict reasons;
  for (const auto& [name, count] : machine.exits().reasons()) reasons[py::str(name)] = count;
  py::dict ports;
  for (const auto& [port, count] : machine.exits().ports()) {
    char name[8];
    std::snprintf(name, sizeof name, "%#x", port);
    ports[name] = count;
  }
  py::dict devices;
  for (const bus::AccessCount& device : machine.device_counters()) {
    devices[py::str(device.name)] = device.reads + device.writes;
  }
  py::dict all;
  all["reasons"] = reasons;
  all["ports"] = ports;
  all["devices"] = devices;
  return all;
}

py::dict registers_of(const VcpuSnapshot& snapshot) {
  const kvm::Registers& r = snapshot.registers;
  const kvm::SystemRegisters& s = snapshot.system;
  py::dict all;
  all["vcpu"] = snapshot.vcpu;
  all["rip"] = r.rip, all["rflags"] = r.rflags;
  all["rax"] = r.rax, all["rbx"] = r.rbx, all["rcx"] = r.rcx, all["rdx"] = r.rdx;
  all["rsi"] = r.rsi, all["rdi"] = r.rdi, all["rsp"] = r.rsp, all["rbp"] = r.rbp;
  all["r8"] = r.r8, all["r9"] = r.r9, all["r10"] = r.r10, all["r11"] = r.r11;
  all["r12"] = r.r12, all["r13"] = r.r13, all["r14"] = r.r14, all["r15"] = r.r15;
  all["cr0"] = s.cr0, all["cr2"] = s.cr2, all["cr3"] = s.cr3, all["cr4"] = s.cr4;
  all["efer"] = s.efer, all["cs"] = s.cs.selector;
  return all;
}

py::list registers(const OwnedMachine& owned) {
  if (!owned.get().wait(std::chrono::nanoseconds::zero())) {
    throw std::runtime_error("registers are known once the machine has stopped");
  }
  py::list all;
  for (const VcpuSnapshot& snapshot : owned.get().snapshots()) all.append(registers_of(snapshot));
  return all;
}

py::bytes read_memory(const OwnedMachine& owned, uint64_t gpa, uint64_t size) {
  const auto range = owned.get().memory().slice(memory::GuestAddress{gpa}, size);
  if (!range) throw py::value_error("no guest memory at that address and size");
  return py::bytes(reinterpret_cast<const char*>(range->data()), range->size());
}

py::str events_offered(const OwnedMachine& owned) {
  return py::str(std::string(name_of(owned.get().events_offered())));
}

py::str events_seen(const OwnedMachine& owned) {
  return py::str(std::string(name_of(owned.get().guest_events().seen())));
}

py::bytes unsent_events(const OwnedMachine& owned) {
  if (!owned.get().wait(std::chrono::nanoseconds::zero())) {
    throw std::runtime_error("unsent events are known once the machine has stopped");
  }
  const std::vector<std::byte> record = owned.get().guest_events().unsent();
  return py::bytes(reinterpret_cast<const char*>(record.data()), record.size());
}

py::object balloon(const OwnedMachine& owned) {
  const auto state = owned.get().balloon();
  if (!state) return py::none();
  constexpr uint64_t kPageBytes = 4096;
  py::dict all;
  all["target_bytes"] = state->target_pages * kPageBytes;
  all["actual_bytes"] = state->actual_pages * kPageBytes;
  all["reported_bytes"] = state->reported_bytes;
  all["statistics_count"] = state->statistics_count;
  all["statistics"] = state->statistics;
  return all;
}

}  // namespace

void bind_machine(py::module_& module) {
  py::class_<StopInfo>(module, "StopInfo")
      .def_property_readonly("reason", [](const StopInfo& info) { return name_of(info.reason); })
      .def_readonly("detail", &StopInfo::detail);

  py::class_<OwnedMachine>(module, "Machine")
      .def(py::init<const MachineConfig&>(), py::arg("config"))
      .def("start", &start)
      .def("wait", &wait, py::arg("timeout_s"))
      .def("stop", &stop)
      .def("close", &OwnedMachine::close)
      .def("pause", &pause)
      .def("resume", [](const OwnedMachine& m) { m.get().resume(); })
      .def_property_readonly("paused", [](const OwnedMachine& m) { return m.get().paused(); })
      .def(
          "nmi", [](const OwnedMachine& m, uint32_t vcpu) { m.get().nmi(vcpu); }, py::arg("vcpu"))
      .def("serial_sysrq", &serial_sysrq, py::arg("key"))
      .def_property_readonly("console_fd",
                             [](const OwnedMachine& m) { return m.get().console_fd(); })
      .def_property_readonly("agent_fd",
                             [](const OwnedMachine& m) { return m.get().agent_fd(); })
      .def_property_readonly("serial_agent_fd",
                             [](const OwnedMachine& m) { return m.get().serial_agent_fd(); })
      .def("connect_viewer",
           [](const OwnedMachine& m) { return m.get().connect_viewer().release(); })
      .def(
          "resize_console",
          [](const OwnedMachine& m, uint16_t columns, uint16_t rows) {
            m.get().resize_console(columns, rows);
          },
          py::arg("columns"), py::arg("rows"))
      .def_property_readonly("tty_fds", [](const OwnedMachine& m) { return m.get().tty_fds(); })
      .def_property_readonly("events_fd",
                             [](const OwnedMachine& m) { return m.get().events_fd(); })
      .def_property_readonly("output_unsent",
                             [](const OwnedMachine& m) { return m.get().output_unsent(); })
      .def_property_readonly("stopped_fd",
                             [](const OwnedMachine& m) { return m.get().stopped_fd(); })
      .def_property_readonly("cmdline",
                             [](const OwnedMachine& m) { return m.get().command_line(); })
      .def_property_readonly("started_ns",
                             [](const OwnedMachine& m) { return m.get().started_ns(); })
      .def_property_readonly("load_ns",
                             [](const OwnedMachine& m) { return m.get().load_ns(); })
      .def_property_readonly("events_offered", &events_offered)
      .def_property_readonly("events_seen", &events_seen)
      .def("unsent_events", &unsent_events)
      .def("balloon", &balloon)
      .def("ask_balloon_statistics",
           [](const OwnedMachine& m) { m.get().ask_balloon_statistics(); })
      .def(
          "set_balloon",
          [](const OwnedMachine& m, uint64_t mib) { m.get().set_balloon_target(mib); },
          py::arg("mib"))
      .def("exits", &exits)
      .def("last_exits", [](const OwnedMachine& m) { return m.get().last_exits(); })
      .def("registers", &registers)
      .def("read_memory", &read_memory, py::arg("gpa"), py::arg("size"));
}

}  // namespace vmm::bindings
