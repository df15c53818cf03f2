// SPDX-License-Identifier: GPL-2.0-only
//
// The parts of a machine: memory, the VM, interrupt controllers, buses, devices, and the byte
// streams to the host. They are created and wired in the order of the members, and destroyed in
// reverse. Life owns a board and drives its vCPUs. Public methods may be called on any thread,
// except those for creating the machine and those marked "after stop".
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/event_loop.hpp"
#include "base/unique_fd.hpp"
#include "devices/debug_exit.hpp"
#include "devices/debug_port.hpp"
#include "devices/guest_events.hpp"
#include "devices/i8042.hpp"
#include "devices/power_control.hpp"
#include "devices/pvpanic.hpp"
#include "devices/reset_control.hpp"
#include "devices/serial.hpp"
#include "kvm/clock_state.hpp"
#include "kvm/kvm.hpp"
#include "kvm/vcpu.hpp"
#include "kvm/vm.hpp"
#include "machine/build/boot_protocol.hpp"
#include "machine/config/config.hpp"
#include "machine/interrupts/irq_line.hpp"
#include "machine/interrupts/routes.hpp"
#include "machine/interrupts/split_irqchip.hpp"
#include "machine/parts/acpi_power.hpp"
#include "machine/parts/assigned.hpp"
#include "machine/parts/display.hpp"
#include "machine/parts/hpet_timer.hpp"
#include "machine/parts/pci_bus.hpp"
#include "machine/parts/test_device.hpp"
#include "machine/parts/virtio_slot.hpp"
#include "machine/run/dispatch.hpp"
#include "machine/run/gate.hpp"
#include "machine/run/suspend.hpp"
#include "machine/streams/host_link.hpp"
#include "machine/streams/outputs.hpp"
#include "machine/streams/serial_input.hpp"
#include "machine/streams/serial_lines.hpp"
#include "memory/guest_memory.hpp"
#include "virtio/backlog.hpp"
#include "virtio/device/balloon.hpp"
#include "virtio/device/console/console.hpp"

namespace vmm::machine {

class Board {
 public:
  // Loads the kernel. Devices report a reset or a sleep to `power`, vCPUs wait at `gate` for room
  // in an output, and `leave` returns whether vCPU threads should leave their work because the
  // machine pauses or stops; all three outlive the board. Throws base::ConfigError, base::LoadError
  // or base::SystemError.
  Board(MachineConfig config, devices::PowerControl& power, Gate& gate,
        virtio::Backlog::Leave leave);
  Board(const Board&) = delete;
  Board& operator=(const Board&) = delete;

  // Part of creating the machine. `create` makes the vCPU with this id in the board's VM; it is
  // called once per id, in order, and each vCPU is then set up for its first instruction. The vCPUs
  // must be destroyed before the board.
  void create_vcpus(const std::function<kvm::Vcpu&(uint32_t id)>& create);

  const MachineConfig& config() const { return config_; }
  kvm::Vm& vm() { return vm_; }
  base::EventLoop& loop() { return loop_; }
  Buses& buses() { return buses_; }
  devices::GuestEvents& guest_events() { return guest_events_; }
  const devices::GuestEvents& guest_events() const { return guest_events_; }
  Suspend& suspend() { return acpi_power_.suspend(); }
  const Suspend& suspend() const { return acpi_power_.suspend(); }
  const memory::GuestMemory& memory() const { return memory_; }

  const std::string& command_line() const { return command_line_; }
  uint64_t load_ns() const { return load_ns_; }
  devices::EventPath events_offered() const { return events_path_; }

  // The host's ends of the guest's byte streams.
  int console_fd() const { return console_link_.host_end.get(); }
  int agent_fd() const { return agent_link_.host_end.get(); }
  int serial_agent_fd() const { return serial_agent_link_.host_end.get(); }
  int events_fd() const { return events_link_.host_end.get(); }
  std::map<uint32_t, int> tty_fds() const { return ttys_.host_ends(); }

  void flush_output();
  bool output_unsent() const;
  // Waits until readers have read all output, or the deadline has passed.
  void wait_output_sent(std::chrono::steady_clock::time_point deadline);

  // A checkpoint of the whole machine, once, and the way back to it, any number of times
  // (rewind.cpp). No vCPU is in the guest, and none sleeps. Throw base::SystemError.
  void checkpoint(std::span<kvm::Vcpu* const> vcpus);
  void rewind(std::span<kvm::Vcpu* const> vcpus);

  // Requests to a machine, running or stopped (requests.cpp); Machine documents them.
  void nmi(uint32_t vcpu);
  void serial_sysrq(char key);
  base::UniqueFd connect_viewer();
  void resize_console(uint16_t columns, uint16_t rows);
  void set_balloon_target(uint64_t mib);
  void ask_balloon_statistics();
  std::optional<virtio::BalloonState> balloon() const;
  std::vector<bus::AccessCount> device_counters() const;
  // Why virtio devices need a reset, one line for each that does.
  std::vector<std::string> faults() const;

 private:
  void load();
  void create_interrupt_controllers();
  void set_line(uint32_t gsi, bool level);
  void attach_serial_ports();
  void attach_ports();
  void attach_payload_devices();
  void offer_guest_events();
  void add_virtio_devices();
  void add_disks();
  void add_virtio(std::string name, std::unique_ptr<virtio::Device> device);
  void add_display();
  void require_rewindable() const;
  std::vector<virtio::Device::Hold> hold_devices();

  struct Checkpoint {
    kvm::ClockState clocks;
    std::vector<kvm::ProcessorState> processors;  // by id
    kvm::ChipState chips;
  };

  const MachineConfig config_;
  const std::string command_line_;
  const virtio::Backlog::Leave leave_;

  kvm::Kvm kvm_;
  memory::GuestMemory memory_;  // outlives the VM that maps it
  kvm::Vm vm_;
  Routes routes_;
  BootPoint boot_point_;
  uint64_t load_ns_ = 0;

  HostLink console_link_;
  HostLink agent_link_;
  HostLink serial_agent_link_;
  HostLink events_link_;

  Buses buses_;
  std::unique_ptr<SplitIrqchip> split_irqchip_;  // only if configured
  base::EventLoop loop_;

  Outputs outputs_;
  SerialLines ttys_;
  std::unique_ptr<IrqLine> com1_line_;
  std::unique_ptr<IrqLine> com2_line_;
  std::unique_ptr<devices::Serial> com1_;
  std::unique_ptr<devices::Serial> com2_;
  devices::I8042Data i8042_data_;
  devices::I8042Command i8042_command_;
  devices::ResetControl reset_control_;
  AcpiPower acpi_power_;
  devices::DebugPort debug_port_;
  devices::DebugExit debug_exit_;
  devices::Pvpanic pvpanic_;
  std::unique_ptr<TestDevice> test_device_;  // payload machines only
  std::unique_ptr<HpetTimer> hpet_;          // payload machines only
  devices::GuestEvents guest_events_;
  devices::EventPath events_path_ = devices::EventPath::kNone;
  std::unique_ptr<PciBus> pci_;  // null without PCI
  std::vector<std::unique_ptr<VirtioSlot>> virtio_;
  virtio::Console* console_ = nullptr;           // in virtio_; null for a payload
  virtio::Balloon* balloon_ = nullptr;           // in virtio_; null without a balloon
  std::unique_ptr<Display> display_;             // null without a display
  std::unique_ptr<AssignedFunctions> assigned_;  // null without VFIO functions
  std::unique_ptr<SerialInput> serial_agent_input_;
  std::unique_ptr<const Checkpoint> checkpoint_;
};

}  // namespace vmm::machine
