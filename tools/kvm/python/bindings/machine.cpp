// SPDX-License-Identifier: GPL-2.0-only
#include "machine/machine.hpp"

#include <pybind11/stl.h>

#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bindings.hpp"

namespace py = pybind11;

namespace vmm::bindings {
namespace {

using machine::Machine;
using machine::StopInfo;
using machine::VcpuSnapshot;

// Python's Machine. close() ends the VM at once; the destructor only runs when Python collects the
// object.
class OwnedMachine {
 public:
  explicit OwnedMachine(const py::dict& record) {
    machine::MachineConfig config = read_config(record);
    const py::gil_scoped_release release;
    machine_ = std::make_shared<Machine>(std::move(config));
  }
  ~OwnedMachine() { close(); }
  OwnedMachine(const OwnedMachine&) = delete;
  OwnedMachine& operator=(const OwnedMachine&) = delete;

  // Calls `work` without the GIL and returns its result: it may wait for the guest or for host
  // files, and Python's other threads must not wait too. It must not touch Python objects.
  template <class Work>
  auto call(Work work) const {
    std::shared_ptr<Machine> machine = machine_;
    if (!machine) throw std::runtime_error("the machine is closed");
    const py::gil_scoped_release release;
    // Released before the GIL is taken again, as the machine may have been closed meanwhile.
    const std::shared_ptr<Machine> kept = std::move(machine);
    return work(*kept);
  }

  void close() {
    std::shared_ptr<Machine> doomed = std::move(machine_);
    const py::gil_scoped_release release;
    if (doomed)
      doomed->stop();  // ends calls on other threads, after which the machine is destroyed
    doomed.reset();
  }

 private:
  std::shared_ptr<Machine> machine_;
};

// Binds a method of the machine.
template <auto kMethod, class... Arguments>
auto method(const OwnedMachine& owned, Arguments... arguments) {
  return owned.call([&](Machine& machine) { return (machine.*kMethod)(arguments...); });
}

std::optional<StopInfo> wait(const OwnedMachine& owned, double timeout_s) {
  return owned.call([=](Machine& machine) {
    return machine.wait(std::chrono::duration_cast<std::chrono::nanoseconds>(
        std::chrono::duration<double>(timeout_s)));
  });
}

struct Exits {
  std::vector<std::pair<std::string_view, uint64_t>> reasons;
  std::vector<std::pair<uint16_t, uint64_t>> ports;
  std::vector<bus::AccessCount> devices;
};

py::dict exits(const OwnedMachine& owned) {
  const Exits counted = owned.call([](Machine& machine) {
    return Exits{machine.exits().reasons(), machine.exits().ports(), machine.device_counters()};
  });
  py::dict reasons;
  for (const auto& [name, count] : counted.reasons) reasons[py::str(name)] = count;
  py::dict ports;
  for (const auto& [port, count] : counted.ports) {
    char name[8];
    std::snprintf(name, sizeof name, "%#x", port);
    ports[name] = count;
  }
  py::dict devices;
  for (const bus::AccessCount& device : counted.devices) {
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

void require_stopped(Machine& machine, const char* what) {
  if (machine.wait(std::chrono::nanoseconds::zero())) return;
  throw std::runtime_error(std::string(what) + " are known once the machine has stopped");
}

py::list registers(const OwnedMachine& owned) {
  const auto snapshots = owned.call([](Machine& machine) {
    require_stopped(machine, "registers");
    return machine.snapshots();
  });
  py::list all;
  for (const VcpuSnapshot& snapshot : snapshots) all.append(registers_of(snapshot));
  return all;
}

py::bytes read_memory(const OwnedMachine& owned, uint64_t gpa, uint64_t size) {
  return py::bytes(owned.call([=](Machine& machine) {
    const auto range = machine.memory().slice(memory::GuestAddress{gpa}, size);
    if (!range) throw py::value_error("no guest memory at that address and size");
    return std::string(reinterpret_cast<const char*>(range->data()), range->size());
  }));
}

std::string events_offered(const OwnedMachine& owned) {
  return owned.call(
      [](Machine& machine) { return std::string(name_of(machine.events_offered())); });
}

std::string events_seen(const OwnedMachine& owned) {
  return owned.call(
      [](Machine& machine) { return std::string(name_of(machine.guest_events().seen())); });
}

py::bytes unsent_events(const OwnedMachine& owned) {
  const auto record = owned.call([](Machine& machine) {
    require_stopped(machine, "unsent events");
    return machine.guest_events().unsent();
  });
  return py::bytes(reinterpret_cast<const char*>(record.data()), record.size());
}

int connect_viewer(const OwnedMachine& owned) {
  return owned.call([](Machine& machine) { return machine.connect_viewer().release(); });
}

py::object balloon(const OwnedMachine& owned) {
  const auto state = method<&Machine::balloon>(owned);
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
      .def(py::init<const py::dict&>(), py::arg("record"))
      .def("start", &method<&Machine::start>)
      .def("wait", &wait, py::arg("timeout_s"))
      .def("stop", &method<&Machine::stop>)
      .def("close", &OwnedMachine::close)
      .def("pause", &method<&Machine::pause>)
      .def("resume", &method<&Machine::resume>)
      .def_property_readonly("paused", &method<&Machine::paused>)
      .def("checkpoint", &method<&Machine::checkpoint>)
      .def("rewind", &method<&Machine::rewind>)
      .def("nmi", &method<&Machine::nmi, uint32_t>, py::arg("vcpu"))
      .def("serial_sysrq", &method<&Machine::serial_sysrq, char>, py::arg("key"))
      .def_property_readonly("console_fd", &method<&Machine::console_fd>)
      .def_property_readonly("agent_fd", &method<&Machine::agent_fd>)
      .def_property_readonly("serial_agent_fd", &method<&Machine::serial_agent_fd>)
      .def("connect_viewer", &connect_viewer)
      .def("resize_console", &method<&Machine::resize_console, uint16_t, uint16_t>,
           py::arg("columns"), py::arg("rows"))
      .def_property_readonly("tty_fds", &method<&Machine::tty_fds>)
      .def_property_readonly("events_fd", &method<&Machine::events_fd>)
      .def_property_readonly("output_unsent", &method<&Machine::output_unsent>)
      .def_property_readonly("stopped_fd", &method<&Machine::stopped_fd>)
      .def_property_readonly("cmdline", &method<&Machine::command_line>)
      .def_property_readonly("started_ns", &method<&Machine::started_ns>)
      .def_property_readonly("load_ns", &method<&Machine::load_ns>)
      .def_property_readonly("events_offered", &events_offered)
      .def_property_readonly("events_seen", &events_seen)
      .def("unsent_events", &unsent_events)
      .def("balloon", &balloon)
      .def("ask_balloon_statistics", &method<&Machine::ask_balloon_statistics>)
      .def("set_balloon", &method<&Machine::set_balloon_target, uint64_t>, py::arg("mib"))
      .def("exits", &exits)
      .def("last_exits", &method<&Machine::last_exits>)
      .def("registers", &registers)
      .def("read_memory", &read_memory, py::arg("gpa"), py::arg("size"));
}

}  // namespace vmm::bindings
