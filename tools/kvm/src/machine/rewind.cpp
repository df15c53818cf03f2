// SPDX-License-Identifier: GPL-2.0-only
//
// A checkpoint of a board and the way back: memory, processors, interrupt controllers, and each
// device's own part. The guest's counters go on from the checkpoint, too; the host's clock, which
// the CMOS clock shows, goes on.
#include <string>
#include <utility>

#include "base/error.hpp"
#include "base/socket.hpp"
#include "kvm/processor_state.hpp"
#include "machine/board.hpp"

namespace vmm::machine {

void Board::require_rewindable() const {
  if (!config_.rewindable) {
    throw base::ConfigError("this machine can't be rewound: make it with rewindable");
  }
  for (const auto& slot : virtio_) {
    if (slot->device->can_rewind()) continue;
    throw base::ConfigError(slot->name + " can't be rewound; leave it out");
  }
}

std::vector<virtio::Device::Hold> Board::hold_devices() {
  std::vector<virtio::Device::Hold> held;
  for (const auto& slot : virtio_) held.push_back(slot->device->hold());
  return held;
}

void Board::checkpoint(std::span<kvm::Vcpu* const> vcpus) {
  require_rewindable();
  if (checkpoint_) throw base::ConfigError("this machine has a checkpoint already");
  const auto held = hold_devices();
  std::vector<kvm::ProcessorState> processors;
  for (const kvm::Vcpu* vcpu : vcpus) processors.emplace_back(kvm_, *vcpu);
  std::unique_ptr<const Checkpoint> made(
      new Checkpoint{kvm::ClockState(vm_, vcpus), std::move(processors), kvm::ChipState(vm_)});
  memory_.checkpoint();
  if (pci_) pci_->checkpoint();
  for (const auto& slot : virtio_) slot->checkpoint();
  com1_->checkpoint();
  com2_->checkpoint();
  acpi_power_.checkpoint();
  guest_events_.checkpoint();
  checkpoint_ = std::move(made);
}

void Board::rewind(std::span<kvm::Vcpu* const> vcpus) {
  if (!checkpoint_) throw base::ConfigError("this machine has no checkpoint to go back to");
  // It would come in the middle of what the guest says next.
  if (outputs_.serial_agent.unsent()) {
    throw base::ConfigError("a rewind: output of the agent's serial line was not read");
  }
  const auto held = hold_devices();
  memory_.rewind();
  if (pci_) pci_->rewind();
  for (const auto& slot : virtio_) slot->rewind();
  com1_->rewind();
  base::drop_received(serial_agent_link_.device_end.get());
  com2_->rewind();
  acpi_power_.rewind();
  guest_events_.rewind();
  // Timers depend on the clocks, and the controllers on the lines that devices have changed.
  checkpoint_->clocks.restore(vm_, vcpus);
  for (size_t id = 0; id < vcpus.size(); ++id) checkpoint_->processors[id].restore(*vcpus[id]);
  checkpoint_->chips.restore(vm_);
}

}  // namespace vmm::machine
