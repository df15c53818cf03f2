// SPDX-License-Identifier: GPL-2.0-only
//
// A whole virtual machine: the only place that sees every part, creates them in order, wires them
// and runs them. The Python bindings own one; its public methods may be called on any thread,
// those marked "after stop" once wait() has returned a StopInfo.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/event_loop.hpp"
#include "devices/debug_exit.hpp"
#include "devices/debug_port.hpp"
#include "devices/guest_events.hpp"
#include "devices/i8042.hpp"
#include "devices/power_control.hpp"
#include "devices/pvpanic.hpp"
#include "devices/reset_control.hpp"
#include "devices/serial.hpp"
#include "kvm/coalesced_ring.hpp"
#include "kvm/kvm.hpp"
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
#include "machine/parts/timer.hpp"
#include "machine/parts/virtio_slot.hpp"
#include "machine/run/dispatch.hpp"
#include "machine/run/exit_log.hpp"
#include "machine/run/gate.hpp"
#include "machine/run/stop.hpp"
#include "machine/run/vcpu_thread.hpp"
#include "machine/streams/host_link.hpp"
#include "machine/streams/outputs.hpp"
#include "machine/streams/serial_input.hpp"
#include "machine/streams/serial_lines.hpp"
#include "memory/guest_memory.hpp"
#include "virtio/device/balloon.hpp"
#include "virtio/device/console.hpp"

namespace vmm::machine {

class Machine : private devices::PowerControl, private RunControl {
 public:
  // Loads the kernel and leaves the machine ready to start. Throws base::ConfigError,
  // base::LoadError or base::SystemError.
  explicit Machine(MachineConfig config);
  ~Machine() override;

  // Once.
  void start();

  // Why the machine stopped, or nothing when it still runs after `timeout`.
  std::optional<StopInfo> wait(std::chrono::nanoseconds timeout);

  // Asks the vCPUs to stop; wait() tells when they have.
  void stop();

  // No vCPU is in the guest when it returns; devices and clocks go on. Again, or on a machine that
  // has stopped: nothing. Throws base::SystemError when a vCPU does not come out; the machine then
  // goes on. Waits for the vCPUs' threads, at most 5 s.
  void pause();
  void resume();
  bool paused() const { return gate_.pausing(); }

  // A non-maskable interrupt. Throws base::ConfigError if there is no such vCPU, or no way to it.
  void nmi(uint32_t vcpu);

  // A break on COM1 and then `key`: magic SysRq to a kernel whose console that is.
  void serial_sysrq(char key);

  // The host's ends of the guest's byte streams; they live as long as the machine.
  int console_fd() const { return console_link_.host_end.get(); }
  int agent_fd() const { return agent_link_.host_end.get(); }
  int serial_agent_fd() const { return serial_agent_link_.host_end.get(); }
  // Of the serial lines that the user has, by number.
  std::map<uint32_t, int> tty_fds() const { return ttys_.host_ends(); }
  // A new viewer's connection to the display (RFB). Throws base::ConfigError if there is none.
  base::UniqueFd connect_viewer();

  // The size of the terminal that hvc0 is shown on, if it is; nothing for a payload. Any thread.
  void resize_console(uint16_t columns, uint16_t rows);
  // Carries GuestEvents' records.
  int events_fd() const { return events_link_.host_end.get(); }
  // Whether more will come out of these descriptors once the host has read what is in them.
  bool output_unsent() const;

  // Becomes readable when wait() has something to tell.
  int stopped_fd() const { return finished_event_.get(); }

  const std::string& command_line() const { return command_line_; }
  // CLOCK_MONOTONIC when the first vCPU was about to enter the guest; 0 before.
  uint64_t started_ns() const { return started_ns_.load(); }
  // How long the constructor took to load kernel and initrd.
  uint64_t load_ns() const { return load_ns_; }

  const ExitLog& exits() const { return exits_; }
  // Bus traffic by device.
  std::vector<bus::AccessCount> device_counters() const;
  // The last exits, and what any virtio device has against its driver.
  std::vector<std::string> last_exits() const;
  const memory::GuestMemory& memory() const { return memory_; }
  devices::EventPath events_offered() const { return events_path_; }
  const devices::GuestEvents& guest_events() const { return guest_events_; }

  // The guest's memory balloon. Setting a target throws base::ConfigError if there is no balloon,
  // or too little memory; asking brings newer statistics in some time later.
  void set_balloon_target(uint64_t mib);
  void ask_balloon_statistics();
  std::optional<virtio::BalloonState> balloon() const;

  // After stop.
  std::vector<VcpuSnapshot> snapshots() const;

 private:
  void load();
  void create_interrupt_controllers();
  void set_line(uint32_t gsi, bool level);
  void attach_ports();
  void attach_payload_devices();
  void offer_guest_events();
  void add_virtio_devices();
  void add_virtio(std::string name, std::unique_ptr<virtio::Device> device);
  void add_display();
  void create_vcpus();
  void flush_output();
  void finish();  // with mutex_ held

  // devices::PowerControl
  void reset(std::string_view how) override;
  void debug_exit(uint32_t status) override;
  void suspend() override;
  void wake() override;
  void guest_panicked() override;

  // RunControl
  bool stopping() const override { return stopping_.load(std::memory_order_acquire); }
  bool pausing() const override { return gate_.pausing() || acpi_power_.suspend().wanted(); }
  void wait_out_pause() override;
  std::optional<StopInfo> handle_exit(uint32_t vcpu, const kvm::Exit& exit) override;
  bool must_wait(const kvm::Exit& exit) const override;
  bool wait_for_room() override { return gate_.wait_for_room(); }
  void request_stop(StopInfo info) override;
  void vcpu_finished() override;

  const MachineConfig config_;
  const std::string command_line_;
  std::atomic<uint64_t> started_ns_{0};

  kvm::Kvm kvm_;
  memory::GuestMemory memory_;  // outlives the VM that maps it
  kvm::Vm vm_;
  Routes routes_;
  BootPoint boot_point_;
  uint64_t load_ns_ = 0;

  base::UniqueFd finished_event_;
  HostLink console_link_;
  HostLink agent_link_;
  HostLink serial_agent_link_;
  HostLink events_link_;

  std::atomic<bool> stopping_{false};  // devices look at it, and at gate_
  ExitLog exits_;
  Buses buses_;
  std::unique_ptr<SplitIrqchip> split_irqchip_;  // where that was asked for
  Gate gate_;
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
  std::unique_ptr<TestDevice> test_device_;  // of a payload's machine
  std::unique_ptr<HpetTimer> hpet_;          // the same
  devices::GuestEvents guest_events_;
  devices::EventPath events_path_ = devices::EventPath::kNone;
  std::unique_ptr<PciBus> pci_;  // nothing when the machine has no PCI
  std::vector<std::unique_ptr<VirtioSlot>> virtio_;
  virtio::Console* console_ = nullptr;           // one of them, if there is one
  virtio::Balloon* balloon_ = nullptr;           // one of virtio_'s devices
  std::unique_ptr<Display> display_;             // where the machine has one
  std::unique_ptr<AssignedFunctions> assigned_;  // where the machine was given any
  std::unique_ptr<SerialInput> serial_agent_input_;

  mutable std::mutex mutex_;  // guards the members up to the next blank line
  std::condition_variable finished_changed_;
  std::optional<StopInfo> stop_info_;
  size_t running_ = 0;
  bool started_ = false;
  bool finished_ = false;

  std::vector<std::unique_ptr<VcpuThread>> vcpus_;
  std::unique_ptr<kvm::CoalescedRing> ring_;
  std::unique_ptr<Timer> drain_timer_;
};

}  // namespace vmm::machine
