// SPDX-License-Identifier: GPL-2.0-only
#include "kvm/processor_state.hpp"

#include <linux/kvm.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <new>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"

namespace vmm::kvm {
namespace {

constexpr uint32_t kMsrTsc = 0x10;
// Hyper-V's MSRs, which no guest is offered; some of them are counters and can't be written.
constexpr uint32_t kHyperVFirst = 0x40000000;
constexpr uint32_t kHyperVLast = 0x400001ff;

constexpr std::array<uint32_t, 3> kChips = {KVM_IRQCHIP_PIC_MASTER, KVM_IRQCHIP_PIC_SLAVE,
                                            KVM_IRQCHIP_IOAPIC};

bool is_kept(uint32_t msr) { return msr != kMsrTsc && (msr < kHyperVFirst || msr > kHyperVLast); }

// Storage for KVM structures that end in a flexible array, which ISO C++ cannot have: a head and
// `count` elements after it.
template <class Head, class Element>
class Table {
 public:
  explicit Table(size_t count) : storage_(sizeof(Head) + count * sizeof(Element)) {
    new (storage_.data()) Head{};
  }
  Head* head() { return reinterpret_cast<Head*>(storage_.data()); }
  Element element(size_t index) const {
    Element value{};
    std::memcpy(&value, storage_.data() + sizeof(Head) + index * sizeof(Element), sizeof value);
    return value;
  }
  void set_element(size_t index, const Element& value) {
    std::memcpy(storage_.data() + sizeof(Head) + index * sizeof(Element), &value, sizeof value);
  }

 private:
  std::vector<std::byte> storage_;
};

std::vector<uint32_t> msr_indices(int kvm_fd) {
  kvm_msr_list none{};
  // KVM reports their number when it refuses a table that is too small (api.rst, 4.3).
  if (ioctl(kvm_fd, KVM_GET_MSR_INDEX_LIST, &none) == 0) return {};
  if (errno != E2BIG) throw base::SystemError("KVM_GET_MSR_INDEX_LIST", errno);
  Table<kvm_msr_list, uint32_t> table(none.nmsrs);
  table.head()->nmsrs = none.nmsrs;
  base::check(ioctl(kvm_fd, KVM_GET_MSR_INDEX_LIST, table.head()), "KVM_GET_MSR_INDEX_LIST");
  std::vector<uint32_t> indices;
  for (uint32_t i = 0; i < table.head()->nmsrs; ++i) {
    if (is_kept(table.element(i))) indices.push_back(table.element(i));
  }
  return indices;
}

// Reads those of these MSRs that the vCPU has.
std::vector<kvm_msr_entry> read_msrs(int fd, const std::vector<uint32_t>& indices) {
  std::vector<kvm_msr_entry> values;
  for (size_t next = 0; next < indices.size();) {
    const size_t count = indices.size() - next;
    Table<kvm_msrs, kvm_msr_entry> table(count);
    table.head()->nmsrs = static_cast<uint32_t>(count);
    for (size_t i = 0; i < count; ++i) table.set_element(i, {indices[next + i], 0, 0});
    // KVM stops at the first that it refuses.
    const auto read =
        static_cast<size_t>(base::check(ioctl(fd, KVM_GET_MSRS, table.head()), "KVM_GET_MSRS"));
    for (size_t i = 0; i < read; ++i) values.push_back(table.element(i));
    next += read + 1;
  }
  return values;
}

void write_msr(int fd, const kvm_msr_entry& entry) {
  Table<kvm_msrs, kvm_msr_entry> table(1);
  table.head()->nmsrs = 1;
  table.set_element(0, entry);
  if (base::check(ioctl(fd, KVM_SET_MSRS, table.head()), "KVM_SET_MSRS") == 1) return;
  char index[16];
  std::snprintf(index, sizeof index, "%#x", entry.index);
  throw base::SystemError(std::string("KVM_SET_MSRS of ") + index, EINVAL);
}

// Writes only MSRs that have changed, which excludes those that KVM does not allow to be written.
void restore_msrs(int fd, const std::vector<kvm_msr_entry>& wanted) {
  std::vector<uint32_t> indices;
  for (const kvm_msr_entry& entry : wanted) indices.push_back(entry.index);
  for (const kvm_msr_entry& now : read_msrs(fd, indices)) {
    const auto then = std::ranges::find(wanted, now.index, &kvm_msr_entry::index);
    if (then->data != now.data) write_msr(fd, *then);
  }
}

template <class T>
T get(int fd, unsigned long request, const char* name) {
  T value{};
  base::check(ioctl(fd, request, &value), name);
  return value;
}

// x87, SSE, AVX and what else XCR0 enables; nothing if this KVM can't tell, or if it is more than
// this structure holds.
std::optional<kvm_xsave> get_xsave(int fd) {
  kvm_xsave value{};
  if (ioctl(fd, KVM_GET_XSAVE, &value) != 0) return std::nullopt;
  return value;
}

template <class T>
void set(int fd, unsigned long request, const T& value, const char* name) {
  T copy = value;
  base::check(ioctl(fd, request, &copy), name);
}

}  // namespace

struct ProcessorState::Values {
  kvm_mp_state running;
  kvm_sregs system;
  kvm_regs registers;
  kvm_lapic_state apic;
  kvm_fpu fpu;
  std::optional<kvm_xsave> xsave;  // more than fpu, if there is one
  kvm_xcrs extended_control;
  kvm_debugregs debug;
  kvm_vcpu_events events;
  std::vector<kvm_msr_entry> msrs;
};

ProcessorState::ProcessorState(const Kvm& kvm, const Vcpu& vcpu)
    : values_(std::make_unique<const Values>(
          Values{get<kvm_mp_state>(vcpu.fd(), KVM_GET_MP_STATE, "KVM_GET_MP_STATE"),
                 get<kvm_sregs>(vcpu.fd(), KVM_GET_SREGS, "KVM_GET_SREGS"),
                 get<kvm_regs>(vcpu.fd(), KVM_GET_REGS, "KVM_GET_REGS"),
                 get<kvm_lapic_state>(vcpu.fd(), KVM_GET_LAPIC, "KVM_GET_LAPIC"),
                 get<kvm_fpu>(vcpu.fd(), KVM_GET_FPU, "KVM_GET_FPU"), get_xsave(vcpu.fd()),
                 get<kvm_xcrs>(vcpu.fd(), KVM_GET_XCRS, "KVM_GET_XCRS"),
                 get<kvm_debugregs>(vcpu.fd(), KVM_GET_DEBUGREGS, "KVM_GET_DEBUGREGS"),
                 get<kvm_vcpu_events>(vcpu.fd(), KVM_GET_VCPU_EVENTS, "KVM_GET_VCPU_EVENTS"),
                 read_msrs(vcpu.fd(), msr_indices(kvm.fd()))})) {}

ProcessorState::~ProcessorState() = default;
ProcessorState::ProcessorState(ProcessorState&&) noexcept = default;

void ProcessorState::restore(Vcpu& vcpu) const {
  const int fd = vcpu.fd();
  // The system registers come before the local APIC, as they include its mode and address.
  set(fd, KVM_SET_SREGS, values_->system, "KVM_SET_SREGS");
  set(fd, KVM_SET_REGS, values_->registers, "KVM_SET_REGS");
  set(fd, KVM_SET_LAPIC, values_->apic, "KVM_SET_LAPIC");
  if (values_->extended_control.nr_xcrs != 0) {
    set(fd, KVM_SET_XCRS, values_->extended_control, "KVM_SET_XCRS");
  }
  if (values_->xsave) {
    set(fd, KVM_SET_XSAVE, *values_->xsave, "KVM_SET_XSAVE");
  } else {
    set(fd, KVM_SET_FPU, values_->fpu, "KVM_SET_FPU");
  }
  set(fd, KVM_SET_DEBUGREGS, values_->debug, "KVM_SET_DEBUGREGS");
  restore_msrs(fd, values_->msrs);
  set(fd, KVM_SET_VCPU_EVENTS, values_->events, "KVM_SET_VCPU_EVENTS");
  set(fd, KVM_SET_MP_STATE, values_->running, "KVM_SET_MP_STATE");
}

struct ChipState::Values {
  std::array<kvm_irqchip, kChips.size()> chips;
  kvm_pit_state2 pit;
};

ChipState::ChipState(const Vm& vm) {
  auto values = std::make_unique<Values>();
  for (size_t i = 0; i < kChips.size(); ++i) {
    values->chips[i] = {};
    values->chips[i].chip_id = kChips[i];
    base::check(ioctl(vm.fd(), KVM_GET_IRQCHIP, &values->chips[i]), "KVM_GET_IRQCHIP");
  }
  values->pit = get<kvm_pit_state2>(vm.fd(), KVM_GET_PIT2, "KVM_GET_PIT2");
  values_ = std::move(values);
}

ChipState::~ChipState() = default;

void ChipState::restore(Vm& vm) const {
  for (const kvm_irqchip& chip : values_->chips) {
    set(vm.fd(), KVM_SET_IRQCHIP, chip, "KVM_SET_IRQCHIP");
  }
  set(vm.fd(), KVM_SET_PIT2, values_->pit, "KVM_SET_PIT2");
}

}  // namespace vmm::kvm
