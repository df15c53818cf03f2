// SPDX-License-Identifier: GPL-2.0-only
#include "machine/run/dispatch.hpp"

#include <cstring>
#include <string>

namespace vmm::machine {
namespace {

class Dispatcher {
 public:
  Dispatcher(Buses& buses, devices::GuestEvents& events) : buses_(buses), events_(events) {}

  std::optional<StopInfo> operator()(const kvm::Pio& io) const {
    for (uint32_t i = 0; i < io.count; ++i) {
      const auto element = io.data.subspan(size_t{i} * io.width, io.width);
      if (io.direction == kvm::Direction::kRead) {
        buses_.pio.read(io.port, element);
      } else {
        buses_.pio.write(io.port, element);
      }
    }
    return std::nullopt;
  }

  std::optional<StopInfo> operator()(const kvm::Mmio& access) const {
    if (access.direction == kvm::Direction::kRead) {
      buses_.mmio.read(access.address, access.data);
    } else {
      buses_.mmio.write(access.address, access.data);
    }
    return std::nullopt;
  }

  std::optional<StopInfo> operator()(const kvm::IoApicEoi& end) const {
    if (buses_.io_apic == nullptr) return unexpected("ioapic_eoi");
    buses_.io_apic->end_of_interrupt(end.vector);
    return std::nullopt;
  }

  std::optional<StopInfo> operator()(const kvm::Interrupted&) const { return std::nullopt; }

  std::optional<StopInfo> operator()(const kvm::Shutdown&) const {
    return StopInfo{StopReason::kShutdown, "triple fault"};
  }
  std::optional<StopInfo> operator()(const kvm::SystemEvent& event) const {
    return StopInfo{StopReason::kSystemEvent, "system event type " + std::to_string(event.type)};
  }
  std::optional<StopInfo> operator()(const kvm::FailEntry& failure) const {
    return StopInfo{StopReason::kFailEntry, "the processor refused to enter the guest, reason " +
                                                std::to_string(failure.hardware_reason) +
                                                " on CPU " + std::to_string(failure.cpu)};
  }
  std::optional<StopInfo> operator()(const kvm::InternalError& error) const {
    return StopInfo{StopReason::kInternalError, error.detail};
  }

  // With an in-kernel APIC, KVM handles HLT itself.
  std::optional<StopInfo> operator()(const kvm::Halt&) const { return unexpected("halt"); }
  std::optional<StopInfo> operator()(const kvm::Debug&) const { return unexpected("debug"); }
  std::optional<StopInfo> operator()(const kvm::Hypercall& call) const {
    if (!devices::GuestEvents::is_hypercall(call.number)) {
      return unexpected("hypercall " + std::to_string(call.number));
    }
    const uint64_t result =
        events_.take(memory::GuestAddress{call.argument}, devices::EventPath::kHypercall);
    std::memcpy(call.result.data(), &result, sizeof result);
    return std::nullopt;
  }
  std::optional<StopInfo> operator()(const kvm::Unknown& exit) const {
    return unexpected("number " + std::to_string(exit.reason));
  }

 private:
  static StopInfo unexpected(const std::string& what) {
    return {StopReason::kVmmError, "this VMM never asked for KVM exit " + what};
  }

  Buses& buses_;
  devices::GuestEvents& events_;
};

}  // namespace

std::optional<StopInfo> dispatch(const kvm::Exit& exit, Buses& buses,
                                 devices::GuestEvents& events) {
  return std::visit(Dispatcher(buses, events), exit);
}

}  // namespace vmm::machine
