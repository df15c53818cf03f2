// SPDX-License-Identifier: GPL-2.0-only
#include "machine/board.hpp"

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <span>
#include <utility>

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
#include "virtio/device/block/block.hpp"
#include "virtio/device/rng.hpp"

namespace vmm::machine {
namespace {

using memory::GuestAddress;
namespace layout = arch::layout;

MachineConfig validated(MachineConfig config) {
  validate(config);
  return config;
}

memory::Backing backing_of(const MachineConfig& config) {
  if (config.rewindable) return memory::Backing::kFile;
  return config.hugepages ? memory::Backing::kHugePages : memory::Backing::kAnonymous;
}

void place(memory::GuestMemory& memory, uint64_t address, const std::vector<std::byte>& table) {
  const bool written = memory.write(GuestAddress{address}, table);
  assert(written);
  static_cast<void>(written);
}

}  // namespace

Board::Board(MachineConfig config, devices::PowerControl& power, Gate& gate,
             virtio::Backlog::Leave leave)
    : config_(validated(std::move(config))),
      command_line_(full_command_line(config_, count_virtio_devices(config_))),
      leave_(std::move(leave)),
      kvm_(config_.kvm_device),
      memory_(config_.memory_mib * layout::kMiB, backing_of(config_)),
      vm_(kvm_),
      routes_(vm_),
      outputs_(loop_, gate, console_link_, serial_agent_link_, events_link_),
      ttys_(config_.ttys, loop_),
      i8042_command_(power),
      reset_control_(power),
      acpi_power_(
          power, memory_, loop_, [this](uint32_t gsi, bool level) { set_line(gsi, level); },
          config_.vcpus),
      debug_port_(outputs_.console),
      debug_exit_(power),
      pvpanic_(power),
      guest_events_(memory_, outputs_.events) {
  load();
  vm_.set_reserved_pages(layout::kIdentityMapPage, layout::kTssPages);
  create_interrupt_controllers();
  uint32_t slot = 0;
  for (const memory::Region& region : memory_.regions()) vm_.add_memory(slot++, region);
  attach_serial_ports();
  attach_ports();
  if (config_.guest_events != EventPaths::kNone && !config_.payload) offer_guest_events();
  add_virtio_devices();
  if (!config_.vfio_pci.empty()) {
    assigned_ = std::make_unique<AssignedFunctions>(vm_, memory_, loop_, *pci_, config_.vfio_pci);
  }
}

void Board::load() {
  const auto begun = std::chrono::steady_clock::now();
  boot_point_ = load_guest(memory_, config_, command_line_);
  const bool pci = has_pci(config_);
  const arch::AcpiDevices devices = {pci ? 0 : count_virtio_devices(config_), pci,
                                     !config_.split_irqchip,
                                     config_.payload ? devices::Hpet::kBlockId : 0};
  // The in-tree kernel reads the MP table, distributions' kernels read ACPI.
  place(memory_, layout::kMpTable, arch::mp_table(layout::kMpTable, config_.vcpus));
  place(memory_, layout::kAcpiTables,
        arch::acpi_tables(layout::kAcpiTables, config_.vcpus, devices));
  const std::chrono::nanoseconds taken = std::chrono::steady_clock::now() - begun;
  load_ns_ = static_cast<uint64_t>(taken.count());
}

void Board::create_interrupt_controllers() {
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

void Board::set_line(uint32_t gsi, bool level) {
  if (split_irqchip_) {
    split_irqchip_->set_line(gsi, level);
  } else {
    vm_.set_line(gsi, level);
  }
}

void Board::attach_serial_ports() {
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
  // Only the output register: any register that a driver reads next causes an exit, which drains
  // the ring first.
  vm_.add_coalesced_port(layout::kPortCom1, 1);
  vm_.add_coalesced_port(layout::kPortCom2, 1);
}

void Board::attach_ports() {
  bus::Bus& ports = buses_.pio;
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
  if (config_.payload) {
    attach_payload_devices();
  } else {  // the test device's latch uses these ports
    ports.attach(layout::kPortDebug, 1, debug_port_, "debug-port");
    vm_.add_coalesced_port(layout::kPortDebug, 1);
  }
}

void Board::attach_payload_devices() {
  const auto drive = [this](uint32_t gsi, bool level) { set_line(gsi, level); };
  test_device_ = std::make_unique<TestDevice>(buses_, memory_, drive);
  hpet_ = std::make_unique<HpetTimer>(buses_, loop_, drive, [this](bool replaced) {
    if (!split_irqchip_) vm_.replace_pit(replaced);
    acpi_power_.replace_clock(replaced);
  });
}

// The port serves a KVM without the hypercall.
void Board::offer_guest_events() {
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

void Board::add_virtio_devices() {
  if (config_.payload) return;
  virtio::Console::Ports ports{console_link_.duplicate_device_end(),
                               std::move(agent_link_.device_end)};
  auto console = std::make_unique<virtio::Console>(loop_, std::move(ports));
  console_ = console.get();
  add_virtio("virtio-console", std::move(console));
  add_disks();
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
    auto balloon =
        std::make_unique<virtio::Balloon>(memory_, virtio::Balloon::pages(*config_.balloon_mib));
    balloon_ = balloon.get();
    add_virtio("virtio-balloon", std::move(balloon));
  }
  if (config_.display) add_display();
  assert(virtio_.size() == count_virtio_devices(config_));
}

void Board::add_disks() {
  const auto queues =
      static_cast<uint16_t>(std::min<uint32_t>(config_.vcpus, virtio::Block::kMaxQueues));
  for (const DiskConfig& disk : config_.disks) {
    const size_t number = virtio_.size() - 1;
    add_virtio("virtio-block" + std::to_string(number),
               std::make_unique<virtio::Block>(open_disk(loop_, disk), queues));
  }
}

void Board::add_display() {
  const display::Geometry geometry{config_.display->width, config_.display->height};
  auto keyboard = make_keyboard();
  auto pointer = make_pointer(geometry);
  display_ =
      std::make_unique<Display>(vm_, geometry, *keyboard, *pointer, config_.display_password);
  add_virtio("virtio-keyboard", std::move(keyboard));
  add_virtio("virtio-pointer", std::move(pointer));
}

void Board::add_virtio(std::string name, std::unique_ptr<virtio::Device> device) {
  const auto rings = config_.ring == Ring::kPacked ? virtio::Rings::kPacked : virtio::Rings::kSplit;
  if (pci_) {
    auto slot = std::make_unique<PciSlot>(std::move(name), std::move(device), memory_, rings,
                                          leave_, vm_, *pci_);
    pci_->root.attach(slot->transport, slot->name);
    virtio_.push_back(std::move(slot));
    return;
  }
  const size_t index = virtio_.size();
  const uint64_t address = layout::kVirtioMmio + index * layout::kVirtioMmioStride;
  auto slot = std::make_unique<MmioSlot>(std::move(name), std::move(device), memory_, rings, leave_,
                                         vm_, layout::irq_virtio(index), address);
  buses_.mmio.attach(address, virtio::MmioTransport::kSizeBytes, slot->transport, slot->name);
  virtio_.push_back(std::move(slot));
}

void Board::create_vcpus(const std::function<kvm::Vcpu&(uint32_t id)>& create) {
  const auto supported = kvm_.supported_cpuid();
  const arch::CpuExtras extras = {kvm_.check_extension(kvm::Capability::kTscDeadlineTimer) != 0,
                                  devices::GuestEvents::feature_bit(events_path_)};
  const arch::CpuModel model = arch::parse_cpu_model(config_.cpu);
  kvm::Vcpu* first = nullptr;
  for (uint32_t id = 0; id < config_.vcpus; ++id) {
    kvm::Vcpu& vcpu = create(id);
    auto cpuid = arch::guest_cpuid(supported, {id, config_.vcpus}, extras);
    arch::apply_cpu_model(cpuid, model);
    vcpu.set_cpuid(cpuid);
    arch::reset_processor(vcpu, arch::supported_xcr0(cpuid));
    acpi_power_.keep(kvm_, vcpu);
    if (id == 0) first = &vcpu;
  }
  assert(first != nullptr);
  // The other vCPUs wait for INIT and SIPI from the guest.
  enter_guest(*first, boot_point_);
}

void Board::flush_output() {
  outputs_.flush();
  ttys_.flush();
}

bool Board::output_unsent() const {
  return outputs_.unsent() || ttys_.unsent() || (console_ != nullptr && console_->output_unsent());
}

void Board::wait_output_sent(std::chrono::steady_clock::time_point deadline) {
  outputs_.wait_sent(deadline);
  ttys_.wait_sent(deadline);
}

}  // namespace vmm::machine
