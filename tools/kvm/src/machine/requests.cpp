// SPDX-License-Identifier: GPL-2.0-only
//
// Requests to a machine, running or stopped: the part of Board that does no wiring.
#include <span>
#include <string>

#include "arch/x86_64/layout.hpp"
#include "base/error.hpp"
#include "machine/board.hpp"
#include "machine/config/validate.hpp"

namespace vmm::machine {
namespace {

namespace layout = arch::layout;

// Message address and data of the local APIC (SDM volume 3, "Message Signalled Interrupts").
constexpr uint32_t kMessageDestinationShift = 12;
constexpr uint32_t kMessageNmi = 4 << 8;  // delivery mode

}  // namespace

void Board::resize_console(uint16_t columns, uint16_t rows) {
  if (console_ != nullptr) console_->resize(columns, rows);
}

base::UniqueFd Board::connect_viewer() {
  if (!display_) throw base::ConfigError("this machine has no display: give it one");
  return display_->connect_viewer();
}

void Board::nmi(uint32_t vcpu) {
  if (vcpu >= config_.vcpus) {
    throw base::ConfigError("no vCPU " + std::to_string(vcpu) + ": this machine has 0 to " +
                            std::to_string(config_.vcpus - 1));
  }
  if (kvm_.check_extension(kvm::Capability::kSignalMsi) == 0) {
    throw base::ConfigError("nmi: this KVM has no KVM_CAP_SIGNAL_MSI");
  }
  vm_.signal_msi(layout::kLocalApic | uint64_t{vcpu} << kMessageDestinationShift, kMessageNmi);
}

void Board::serial_sysrq(char key) {
  com1_->receive_break();
  com1_->receive(std::as_bytes(std::span(&key, 1)));
}

void Board::set_balloon_target(uint64_t mib) {
  if (balloon_ == nullptr) throw base::ConfigError("this machine has no balloon: give it one");
  validate_balloon(mib, config_.memory_mib);
  balloon_->set_target(virtio::Balloon::pages(mib));
}

void Board::ask_balloon_statistics() {
  if (balloon_ != nullptr) balloon_->ask_for_statistics();
}

std::optional<virtio::BalloonState> Board::balloon() const {
  if (balloon_ == nullptr) return std::nullopt;
  return balloon_->state();
}

std::vector<bus::AccessCount> Board::device_counters() const {
  auto all = buses_.pio.counters();
  for (bus::AccessCount& count : all) {
    if (count.name == "unclaimed") count.name = "unclaimed-port";
  }
  auto mmio = buses_.mmio.counters();
  for (bus::AccessCount& count : mmio) {
    if (count.name == "unclaimed") count.name = "unclaimed-mmio";
  }
  all.insert(all.end(), mmio.begin(), mmio.end());
  if (pci_) {
    std::erase_if(all, [](const auto& count) { return count.name == PciBus::kWindowName; });
    const auto bars = pci_->root.counters();
    all.insert(all.end(), bars.begin(), bars.end());
  }
  std::erase_if(
      all, [](const bus::AccessCount& count) { return count.reads == 0 && count.writes == 0; });
  return all;
}

std::vector<std::string> Board::faults() const {
  std::vector<std::string> lines;
  for (const auto& slot : virtio_) {
    if (const auto fault = slot->fault()) {
      lines.push_back(slot->name + " needs a reset: " + *fault);
    }
  }
  return lines;
}

}  // namespace vmm::machine
