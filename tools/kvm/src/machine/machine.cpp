// SPDX-License-Identifier: GPL-2.0-only
#include "machine/machine.hpp"

#include <sys/eventfd.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <ctime>
#include <system_error>

#include "arch/x86_64/acpi.hpp"
#include "arch/x86_64/cpu_model.hpp"
#include "arch/x86_64/cpuid.hpp"
#include "arch/x86_64/layout.hpp"
#include "arch/x86_64/mptable.hpp"
#include "arch/x86_64/registers.hpp"
#include "base/error.hpp"
#include "machine/build/disk.hpp"
#include "machine/build/network.hpp"
#include "machine/build/share.hpp"
#include "machine/config/validate.hpp"
#include "virtio/device/block.hpp"
#include "virtio/device/rng.hpp"

namespace vmm::machine {
namespace {

using memory::GuestAddress;
namespace layout = arch::layout;

// Coalesced output waits for an exit or for this; short enough to read along.
constexpr std::chrono::milliseconds kDrainPeriod{20};
// A kick takes microseconds, and on a busy host some milliseconds.
constexpr std::chrono::seconds kPauseTimeout{5};
// What a stopped machine waits for whoever reads its output; the rest can still be read later.
constexpr std::chrono::seconds kLastWords{1};

uint64_t monotonic_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

MachineConfig validated(MachineConfig config) {
  validate(config);
  return config;
}

uint32_t balloon_pages(uint64_t mib) {
  return static_cast<uint32_t>(mib * layout::kMiB / layout::kPageSize);
}

void place(memory::GuestMemory& memory, uint64_t address, const std::vector<std::byte>& table) {
  const bool written = memory.write(GuestAddress{address}, table);
  assert(written);
  static_cast<void>(written);
}

}  // namespace

Machine::Machine(MachineConfig config)
    : config_(validated(std::move(config))),
      command_line_(full_command_line(config_, count_virtio_devices(config_))),
      kvm_(config_.kvm_device),
      memory_(config_.memory_mib * layout::kMiB,
              config_.hugepages ? memory::Backing::kHugePages : memory::Backing::kAnonymous),
      vm_(kvm_),
      routes_(vm_),
      finished_event_(base::check(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd")),
      outputs_(loop_, gate_, console_link_, serial_agent_link_, events_link_),
      ttys_(config_.ttys, loop_),
      i8042_command_(*this),
      reset_control_(*this),
      acpi_power_(
          *this, memory_, loop_, [this](uint32_t gsi, bool level) { set_line(gsi, level); },
          config_.vcpus),
      debug_port_(outputs_.console),
      debug_exit_(*this),
      pvpanic_(*this),
      guest_events_(memory_, outputs_.events) {
  load();
  vm_.set_reserved_pages(layout::kIdentityMapPage, layout::kTssPages);
  create_interrupt_controllers();
  uint32_t slot = 0;
  for (const memory::Region& region : memory_.regions()) vm_.add_memory(slot++, region);
  attach_ports();
  if (config_.guest_events != EventPaths::kNone && !config_.payload) offer_guest_events();
  add_virtio_devices();
  if (!config_.vfio_pci.empty()) {
    assigned_ =
        std::make_unique<AssignedFunctions>(vm_, memory_, loop_, *pci_, config_.vfio_pci);
  }
  create_vcpus();
}

Machine::~Machine() {
  stop();
  {
    // A vCPU that stops the machine signals the others: none may be joined before all are done.
    std::unique_lock lock(mutex_);
    finished_changed_.wait(lock, [this] { return finished_; });
  }
  for (const auto& vcpu : vcpus_) vcpu->join();
  loop_.stop();
}

void Machine::load() {
  const uint64_t begun_ns = monotonic_ns();
  boot_point_ = load_guest(memory_, config_, command_line_);
  const bool pci = has_pci(config_);
  const arch::AcpiDevices devices = {pci ? 0 : count_virtio_devices(config_), pci,
                                     !config_.split_irqchip,
                                     config_.payload ? devices::Hpet::kBlockId : 0};
  // The in-tree kernel reads the one, distributions' kernels the other.
  place(memory_, layout::kMpTable, arch::mp_table(layout::kMpTable, config_.vcpus));
  place(memory_, layout::kAcpiTables,
        arch::acpi_tables(layout::kAcpiTables, config_.vcpus, devices));
  load_ns_ = monotonic_ns() - begun_ns;
}

void Machine::create_interrupt_controllers() {
  if (!config_.split_irqchip) {
    vm_.create_irqchip();
    vm_.create_pit();
    acpi_power_.keep(vm_, nullptr);
    return;
  }
  if (kvm_.check_extension(kvm::Capability::kSplitIrqchip) == 0) {
    throw base::ConfigError("split_irqchip: this KVM has no KVM_CAP_SPLIT_IRQCHIP; leave it out");
  }
  split_irqchip_ = std::make_unique<SplitIrqchip>(buses_, vm_, routes_);
  acpi_power_.keep(vm_, [this] { split_irqchip_->reset(); });
}

void Machine::set_line(uint32_t gsi, bool level) {
  if (split_irqchip_) {
    split_irqchip_->set_line(gsi, level);
  } else {
    vm_.set_line(gsi, level);
  }
}

void Machine::attach_ports() {
  com1_line_ = std::make_unique<IrqLine>(vm_, layout::kIrqCom1);
  com2_line_ = std::make_unique<IrqLine>(vm_, layout::kIrqCom2);
  com1_ = std::make_unique<devices::Serial>(ttys_.com1_output(outputs_.console), *com1_line_);
  com2_ = std::make_unique<devices::Serial>(outputs_.serial_agent, *com2_line_);
  serial_agent_input_ =
      std::make_unique<SerialInput>(loop_, serial_agent_link_.device_end.get(), *com2_);

  ttys_.feed_com1(*com1_, loop_);

  bus::Bus& ports = buses_.pio;
  ttys_.attach(vm_, ports, loop_);
  ports.attach(layout::kPortCom1, 8, *com1_, "com1");
  ports.attach(layout::kPortCom2, 8, *com2_, "com2");
  ports.attach(layout::kPortI8042Data, 1, i8042_data_, "i8042-data");
  ports.attach(layout::kPortI8042Command, 1, i8042_command_, "i8042");
  if (has_pci(config_)) {
    if (kvm_.check_extension(kvm::Capability::kSignalMsi) == 0) {
      throw base::ConfigError("transport pci: this KVM has no KVM_CAP_SIGNAL_MSI; use mmio");
    }
    const memory::Region& low = memory_.regions().front();
    pci_ = std::make_unique<PciBus>(vm_, routes_, buses_, reset_control_,
                                    low.start.value + low.length);
  } else {
    static_assert(layout::kPortReset == layout::kPortPciConfig + devices::ResetControl::kRegister);
    ports.attach(layout::kPortPciConfig, reset_control_.kSizeBytes, reset_control_, "reset");
  }
  acpi_power_.attach(ports);
  ports.attach(layout::kPortDebugExit, 4, debug_exit_, "debug-exit");
  ports.attach(layout::kPortPvpanic, 1, pvpanic_, "pvpanic");
  // Output alone: whatever a driver looks at next takes an exit, and that drains the ring first.
  vm_.add_coalesced_port(layout::kPortCom1, 1);
  vm_.add_coalesced_port(layout::kPortCom2, 1);
  if (config_.payload) {
    attach_payload_devices();
  } else {  // the test device's latch lies there
    ports.attach(layout::kPortDebug, 1, debug_port_, "debug-port");
    vm_.add_coalesced_port(layout::kPortDebug, 1);
  }
}

void Machine::attach_payload_devices() {
  const auto drive = [this](uint32_t gsi, bool level) { set_line(gsi, level); };
  test_device_ = std::make_unique<TestDevice>(buses_, memory_, drive);
  hpet_ = std::make_unique<HpetTimer>(buses_, loop_, drive, [this](bool replaced) {
    if (!split_irqchip_) vm_.replace_pit(replaced);
    acpi_power_.replace_clock(replaced);
  });
}

// The port is for a KVM that does not know the hypercall.
void Machine::offer_guest_events() {
  const uint64_t hypercall = devices::GuestEvents::hypercall_mask();
  if (hypercall == 0) return;
  if (config_.guest_events != EventPaths::kPort && vm_.add_hypercall_exits(hypercall)) {
    events_path_ = devices::EventPath::kHypercall;
    return;
  }
  events_path_ = devices::EventPath::kPort;
  buses_.pio.attach(devices::GuestEvents::port(), devices::GuestEvents::kPortBytes, guest_events_,
                    "guest-events");
}

void Machine::add_virtio_devices() {
  if (config_.payload) return;
  virtio::Console::Ports ports{console_link_.duplicate_device_end(),
                               std::move(agent_link_.device_end)};
  auto console = std::make_unique<virtio::Console>(loop_, std::move(ports));
  console_ = console.get();
  add_virtio("virtio-console", std::move(console));
  const auto queues =
      static_cast<uint16_t>(std::min<uint32_t>(config_.vcpus, virtio::Block::kMaxQueues));
  for (const DiskConfig& disk : config_.disks) {
    const size_t number = virtio_.size() - 1;
    add_virtio("virtio-block" + std::to_string(number),
               std::make_unique<virtio::Block>(open_disk(loop_, disk), queues));
  }
  for (const ShareConfig& share : config_.shares) {
    add_virtio("virtio-9p-" + share.tag, open_share(share));
  }
  for (size_t number = 0; number < config_.nets.size(); ++number) {
    add_virtio("virtio-net" + std::to_string(number),
               make_net(loop_, memory_, config_.nets[number], number));
  }
  if (config_.vsock) add_virtio("virtio-vsock", make_vsock(loop_, memory_, *config_.vsock));
  if (config_.rng) add_virtio("virtio-rng", std::make_unique<virtio::Rng>());
  if (config_.balloon_mib) {
    auto balloon = std::make_unique<virtio::Balloon>(memory_, balloon_pages(*config_.balloon_mib));
    balloon_ = balloon.get();
    add_virtio("virtio-balloon", std::move(balloon));
  }
  if (config_.display) add_display();
  assert(virtio_.size() == count_virtio_devices(config_));
}

void Machine::add_display() {
  const display::Geometry geometry{config_.display->width, config_.display->height};
  auto keyboard = make_keyboard();
  auto pointer = make_pointer(geometry);
  display_ = std::make_unique<Display>(vm_, geometry, *keyboard, *pointer,
                                       config_.display_password);
  add_virtio("virtio-keyboard", std::move(keyboard));
  add_virtio("virtio-pointer", std::move(pointer));
}

void Machine::set_balloon_target(uint64_t mib) {
  if (balloon_ == nullptr) throw base::ConfigError("this machine has no balloon: give it one");
  validate_balloon(mib, config_.memory_mib);
  balloon_->set_target(balloon_pages(mib));
}

void Machine::ask_balloon_statistics() {
  if (balloon_ != nullptr) balloon_->ask_for_statistics();
}

std::optional<virtio::BalloonState> Machine::balloon() const {
  if (balloon_ == nullptr) return std::nullopt;
  return balloon_->state();
}

void Machine::add_virtio(std::string name, std::unique_ptr<virtio::Device> device) {
  const auto rings = config_.ring == Ring::kPacked ? virtio::Rings::kPacked : virtio::Rings::kSplit;
  const auto leave = [this] { return stopping() || pausing(); };
  if (pci_) {
    auto slot = std::make_unique<PciSlot>(std::move(name), std::move(device), memory_, rings, leave,
                                          vm_, *pci_);
    pci_->root.attach(slot->transport, slot->name);
    virtio_.push_back(std::move(slot));
    return;
  }
  const size_t index = virtio_.size();
  const uint64_t address = layout::kVirtioMmio + index * layout::kVirtioMmioStride;
  auto slot = std::make_unique<MmioSlot>(std::move(name), std::move(device), memory_, rings, leave,
                                         vm_, layout::irq_virtio(index), address);
  buses_.mmio.attach(address, virtio::MmioTransport::kSizeBytes, slot->transport, slot->name);
  virtio_.push_back(std::move(slot));
}

void Machine::create_vcpus() {
  const auto supported = kvm_.supported_cpuid();
  const arch::CpuExtras extras = {
      kvm_.check_extension(kvm::Capability::kTscDeadlineTimer) != 0,
      devices::GuestEvents::feature_bit(events_path_)};
  const arch::CpuModel model = arch::parse_cpu_model(config_.cpu);
  for (uint32_t id = 0; id < config_.vcpus; ++id) {
    vcpus_.push_back(std::make_unique<VcpuThread>(vm_, id, static_cast<RunControl&>(*this)));
    kvm::Vcpu& vcpu = vcpus_.back()->vcpu();
    auto cpuid = arch::guest_cpuid(supported, {id, config_.vcpus}, extras);
    arch::apply_cpu_model(cpuid, model);
    vcpu.set_cpuid(cpuid);
    arch::reset_processor(vcpu, arch::supported_xcr0(cpuid));
    acpi_power_.keep(kvm_, vcpu);
  }
  // The others wait for the INIT and SIPI that the guest sends them.
  enter_guest(vcpus_.front()->vcpu(), boot_point_);
  ring_ = std::make_unique<kvm::CoalescedRing>(
      vcpus_.front()->vcpu().coalesced_page(),
      [this](uint16_t port, std::span<const std::byte> data) { buses_.pio.write(port, data); });
}

void Machine::start() {
  {
    const std::lock_guard lock(mutex_);
    assert(!started_);
    started_ = true;
    running_ = vcpus_.size();
  }
  drain_timer_ = std::make_unique<Timer>(loop_, kDrainPeriod, [this] {
    if (!gate_.output_full()) ring_->drain();  // as in handle_exit()
    flush_output();
  });
  started_ns_.store(monotonic_ns());
  for (const auto& vcpu : vcpus_) {
    try {
      vcpu->start();
    } catch (const std::system_error& error) {
      request_stop({StopReason::kVmmError, std::string("starting a vCPU thread: ") + error.what()});
      vcpu_finished();
    }
  }
}

std::optional<StopInfo> Machine::wait(std::chrono::nanoseconds timeout) {
  std::unique_lock lock(mutex_);
  finished_changed_.wait_for(lock, timeout, [this] { return finished_; });
  return finished_ ? stop_info_ : std::nullopt;
}

void Machine::stop() { request_stop({StopReason::kStopped, "asked by the host"}); }

void Machine::request_stop(StopInfo info) {
  {
    const std::lock_guard lock(mutex_);
    if (stop_info_) return;
    stop_info_ = std::move(info);
    if (!started_) finish();
  }
  stopping_.store(true, std::memory_order_release);
  gate_.open_for_good();
  acpi_power_.suspend().abandon();
  for (const auto& vcpu : vcpus_) vcpu->kick();
}

void Machine::pause() {
  size_t running = 0;
  {
    const std::lock_guard lock(mutex_);
    running = running_;
  }
  gate_.begin_pause();
  acpi_power_.suspend().stir();
  for (const auto& vcpu : vcpus_) vcpu->kick();
  if (gate_.wait_for_paused(running, kPauseTimeout)) return;
  gate_.end_pause();
  throw base::SystemError("pausing: a vCPU did not leave the guest", ETIMEDOUT);
}

void Machine::resume() { gate_.end_pause(); }

void Machine::wait_out_pause() {
  if (gate_.pausing()) {
    gate_.wait_out_pause();
  } else {
    acpi_power_.suspend().wait_out(gate_);
  }
}

void Machine::vcpu_finished() {
  {
    const std::lock_guard lock(mutex_);
    if (--running_ != 0) return;
  }
  // The last words of a guest are the ones that matter. No lock is held here, and no vCPU is left
  // that could be waited for.
  ring_->drain();
  flush_output();
  const auto deadline = std::chrono::steady_clock::now() + kLastWords;
  outputs_.wait_sent(deadline);
  ttys_.wait_sent(deadline);
  const std::lock_guard lock(mutex_);
  finish();
}

void Machine::finish() {
  finished_ = true;
  static_cast<void>(eventfd_write(finished_event_.get(), 1));
  finished_changed_.notify_all();
}

void Machine::flush_output() {
  outputs_.flush();
  ttys_.flush();
}

bool Machine::output_unsent() const {
  return outputs_.unsent() || ttys_.unsent() || (console_ != nullptr && console_->output_unsent());
}

// While an output is full, only who writes to one drains the ring, and waits afterwards. So the ring
// fills up, which makes its writers exit, and no output grows without end.
std::optional<StopInfo> Machine::handle_exit(uint32_t vcpu, const kvm::Exit& exit) {
  if (!gate_.output_full() || Outputs::written_by(exit)) ring_->drain();
  auto stop = dispatch(exit, buses_, guest_events_);
  exits_.record(vcpu, exit);
  return stop;
}

bool Machine::must_wait(const kvm::Exit& exit) const {
  return gate_.output_full() && Outputs::written_by(exit);
}

void Machine::reset(std::string_view how) {
  request_stop({StopReason::kReset, std::string(how)});
}

void Machine::debug_exit(uint32_t status) {
  request_stop({StopReason::kDebugExit, std::to_string(status)});
}

void Machine::suspend() {
  acpi_power_.suspend().begin();
  for (const auto& vcpu : vcpus_) vcpu->kick();
}

void Machine::wake() {
  try {
    acpi_power_.suspend().wake();
  } catch (const base::SystemError& error) {
    request_stop({StopReason::kVmmError, error.what()});
  }
}

void Machine::guest_panicked() {
  request_stop({StopReason::kGuestPanic, "pvpanic, port 0x505"});
}

}  // namespace vmm::machine
