// SPDX-License-Identifier: GPL-2.0-only
#include "vfio/function.hpp"

#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>
#include <optional>
#include <utility>

#include "base/error.hpp"

namespace vmm::vfio {
namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kMaxBarBytes = 1ULL << 31;  // for a 32-bit bar
constexpr uint64_t kHeaderEnd = PCI_STD_HEADER_SIZEOF;
constexpr uint64_t kSpaceEnd = pci::ConfigSpace::kBytes;
constexpr unsigned kMaxCapabilities = (kSpaceEnd - kHeaderEnd) / PCI_CAP_SIZEOF;

uint32_t config(const Device& device, uint64_t offset, unsigned width) {
  uint32_t value = 0;
  device.read(device.region(VFIO_PCI_CONFIG_REGION_INDEX), offset,
              std::as_writable_bytes(std::span(&value, 1)).first(width));
  return value;
}

pci::Identity identity(const Device& device) {
  return {.vendor = static_cast<uint16_t>(config(device, PCI_VENDOR_ID, 2)),
          .device = static_cast<uint16_t>(config(device, PCI_DEVICE_ID, 2)),
          .class_code = config(device, PCI_CLASS_REVISION, 4) >> 8,
          .revision = static_cast<uint8_t>(config(device, PCI_REVISION_ID, 1)),
          .subsystem_vendor = static_cast<uint16_t>(config(device, PCI_SUBSYSTEM_VENDOR_ID, 2)),
          .subsystem = static_cast<uint16_t>(config(device, PCI_SUBSYSTEM_ID, 2))};
}

}  // namespace

// The location of the MSI-X table or its pending bits in a bar.
struct Function::Place {
  uint64_t start = 0;
  uint64_t bytes = 0;

  bool holds(uint64_t offset) const { return offset >= start && offset - start < bytes; }
};

// A bar's unmapped registers: accesses go to the device, except those to the MSI-X table.
class Function::BarRegisters final : public bus::Device {
 public:
  BarRegisters(const vfio::Device& device, const Region& region)
      : device_(device), region_(region) {}

  void show_table(pci::MsixTable& msix, Place table) {
    msix_ = &msix;
    table_ = table;
  }
  void show_pending(pci::MsixTable& msix, Place pending) {
    msix_ = &msix;
    pending_ = pending;
  }
  bool mappable() const {
    return region_.mappable && msix_ == nullptr && region_.size % kPage == 0;
  }
  const Region& region() const { return region_; }

  void read(uint64_t offset, std::span<std::byte> data) override {
    if (const auto place = in_table(offset)) {
      msix_->read(*place, data);
    } else {
      device_.read(region_, offset, data);
    }
  }

  void write(uint64_t offset, std::span<const std::byte> data) override {
    if (const auto place = in_table(offset)) {
      msix_->write(*place, data);
    } else {
      device_.write(region_, offset, data);
    }
  }

 private:
  std::optional<uint64_t> in_table(uint64_t offset) const {
    if (table_.holds(offset)) return offset - table_.start;
    if (pending_.holds(offset)) return pci::MsixTable::kPendingOffset + offset - pending_.start;
    return std::nullopt;
  }

  const vfio::Device& device_;
  const Region region_;
  pci::MsixTable* msix_ = nullptr;
  Place table_;
  Place pending_;
};

// All interrupts of one kind; the device uses one kind at a time.
struct Function::Kind {
  bool holds(uint64_t offset) const { return offset >= at && offset - at < bytes; }

  const unsigned index;  // VFIO_PCI_*_IRQ_INDEX
  const uint8_t at;      // the capability's offset, and its size
  const size_t bytes;
  std::vector<std::unique_ptr<base::EventSource>> vectors;  // written by the host
  size_t connected = 0;                                     // how many, from the first on
};

// A mapped bar, and its present address in the guest.
struct Function::Window {
  Window(const Device& device, const Region& region, const pci::Bar& of, uint32_t reserved)
      : bar(of), number(reserved) {
    void* mapped = mmap(nullptr, region.size, PROT_READ | PROT_WRITE, MAP_SHARED, device.fd(),
                        static_cast<off_t>(region.offset));
    if (mapped == MAP_FAILED) throw base::SystemError("mmap of a PCI bar", errno);
    memory = {static_cast<std::byte*>(mapped), region.size};
  }
  ~Window() { munmap(memory.data(), memory.size()); }

  const pci::Bar& bar;
  const uint32_t number;
  std::span<std::byte> memory;
  uint64_t address = pci::Bar::kUnmapped;
  bool visible = false;
};

Function::Function(const std::string& address, Device device, base::MessageInterrupt& messages,
                   base::EventLoop& loop, GuestWindows& windows)
    : pci::Function(identity(device)),
      device_(std::move(device)),
      config_region_(device_.region(VFIO_PCI_CONFIG_REGION_INDEX)),
      messages_(messages),
      windows_(windows) {
  add_bars(address);
  adopt_capabilities(messages, loop);
  if (msix_kind_ == nullptr && msi_kind_ == nullptr) {
    throw base::ConfigError("vfio-pci " + address +
                            ": it has neither MSI nor MSI-X, and a guest can be given no other "
                            "interrupts");
  }
  for (const auto& bar : bars()) {
    const auto& registers = static_cast<BarRegisters&>(bar->device);
    if (!registers.mappable()) continue;
    mapped_.push_back(
        std::make_unique<Window>(device_, registers.region(), *bar, windows_.reserve()));
  }
}

Function::~Function() {
  for (Kind* kind : {msix_kind_.get(), msi_kind_.get()}) {
    if (kind != nullptr) switch_interrupts(*kind, 0);
  }
  if (msix_kind_ == nullptr) return;
  for (const auto& vector : msix_kind_->vectors) msix_table_->unwire(*vector);
}

void Function::add_bars(const std::string& address) {
  for (unsigned index = 0; index < PCI_STD_NUM_BARS; ++index) {
    const Region region = device_.region(index);
    const uint32_t value = read_device(PCI_BASE_ADDRESS_0 + uint64_t{index} * 4, 4);
    if (region.size == 0 || (value & PCI_BASE_ADDRESS_SPACE_IO) != 0) continue;
    if (region.size >= kMaxBarBytes) {
      throw base::ConfigError("vfio-pci " + address + ": bar " + std::to_string(index) +
                              " is too large for a window below 4 GiB");
    }
    registers_.push_back(std::make_unique<BarRegisters>(device_, region));
    add_bar(index, static_cast<uint32_t>(region.size), *registers_.back());
  }
}

// The list stays at the device's offsets, with the device's links.
void Function::adopt_capabilities(base::MessageInterrupt& messages, base::EventLoop& loop) {
  if ((read_device(PCI_STATUS, 2) & PCI_STATUS_CAP_LIST) == 0) return;
  config_.set(PCI_STATUS, 2, PCI_STATUS_CAP_LIST);
  uint32_t at = read_device(PCI_CAPABILITY_LIST, 1) & ~3U;
  config_.set(PCI_CAPABILITY_LIST, 1, at);
  for (unsigned seen = 0; at >= kHeaderEnd && seen < kMaxCapabilities; ++seen) {
    const uint32_t id = read_device(at, 1);
    if (id == PCI_CAP_ID_MSIX) adopt_msix_at(static_cast<uint8_t>(at), messages, loop);
    if (id == PCI_CAP_ID_MSI) adopt_msi_at(static_cast<uint8_t>(at), loop);
    at = read_device(at + PCI_CAP_LIST_NEXT, 1) & ~3U;
  }
}

void Function::adopt_msix_at(uint8_t at, base::MessageInterrupt& messages, base::EventLoop& loop) {
  const uint32_t offered =
      (read_device(at + uint64_t{PCI_MSIX_FLAGS}, 2) & PCI_MSIX_FLAGS_QSIZE) + 1;
  const auto count = static_cast<uint16_t>(std::min<uint32_t>(
      {offered, device_.interrupts(VFIO_PCI_MSIX_IRQ_INDEX), pci::MsixTable::kMaxVectors}));
  if (count == 0) return;
  const uint32_t table = read_device(at + uint64_t{PCI_MSIX_TABLE}, 4);
  const uint32_t pending = read_device(at + uint64_t{PCI_MSIX_PBA}, 4);
  const uint32_t next = read_device(at + uint64_t{PCI_CAP_LIST_NEXT}, 1);
  msix_kind_.reset(new Kind{VFIO_PCI_MSIX_IRQ_INDEX, at, PCI_CAP_MSIX_SIZEOF, {}});
  pci::MsixTable& msix =
      adopt_msix(at, static_cast<uint8_t>(next), {table, pending}, messages, count);
  msix_table_ = &msix;
  for (const auto& bar : bars()) {
    auto& registers = static_cast<BarRegisters&>(bar->device);
    if (bar->index == (table & PCI_MSIX_TABLE_BIR)) {
      registers.show_table(msix,
                           {table & PCI_MSIX_TABLE_OFFSET, uint64_t{count} * PCI_MSIX_ENTRY_SIZE});
    }
    if (bar->index == (pending & PCI_MSIX_PBA_BIR)) {
      registers.show_pending(msix, {pending & PCI_MSIX_PBA_OFFSET, (count + 63U) / 64 * 8});
    }
  }
  for (uint16_t number = 0; number < count; ++number) {
    msix_kind_->vectors.push_back(
        std::make_unique<base::EventSource>(loop, [&msix, number] { msix.raise(number); }));
    msix.wire(number, *msix_kind_->vectors.back());
  }
}

// PCI Local Bus 3.0, 6.8.1. The registers of masks and pending bits read as zero: the flag that
// announces them is clear.
void Function::adopt_msi_at(uint8_t at, base::EventLoop& loop) {
  const auto count = static_cast<uint16_t>(device_.interrupts(VFIO_PCI_MSI_IRQ_INDEX));
  if (count == 0) return;
  const uint32_t theirs = read_device(at + uint64_t{PCI_MSI_FLAGS}, 2);
  const bool wide = (theirs & PCI_MSI_FLAGS_64BIT) != 0;
  const bool masks = (theirs & PCI_MSI_FLAGS_MASKBIT) != 0;
  const uint64_t data = wide ? PCI_MSI_DATA_64 : PCI_MSI_DATA_32;
  const size_t bytes = masks ? data + 4 + 8 : data + 2;
  msi_kind_.reset(new Kind{VFIO_PCI_MSI_IRQ_INDEX, at, bytes, {}});
  config_.set(at, 1, PCI_CAP_ID_MSI);
  config_.set(at + uint64_t{PCI_CAP_LIST_NEXT}, 1,
              read_device(at + uint64_t{PCI_CAP_LIST_NEXT}, 1));
  config_.set(at + uint64_t{PCI_MSI_FLAGS}, 2, theirs & (PCI_MSI_FLAGS_QMASK | PCI_MSI_FLAGS_64BIT),
              PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE);
  config_.set(at + uint64_t{PCI_MSI_ADDRESS_LO}, 4, 0, ~3U);
  if (wide) config_.set(at + uint64_t{PCI_MSI_ADDRESS_HI}, 4, 0, ~0U);
  config_.set(at + data, 2, 0, 0xffff);
  for (uint16_t number = 0; number < count; ++number) {
    msi_kind_->vectors.push_back(
        std::make_unique<base::EventSource>(loop, [this, number] { raise_msi(number); }));
  }
}

// The number of messages that the driver has enabled, a power of two, or zero.
uint16_t Function::msi_messages() const {
  const uint32_t flags = config_.get(msi_kind_->at + uint64_t{PCI_MSI_FLAGS}, 2);
  if ((flags & PCI_MSI_FLAGS_ENABLE) == 0) return 0;
  const uint32_t asked = (flags & PCI_MSI_FLAGS_QSIZE) >> 4;
  const uint32_t offered = (flags & PCI_MSI_FLAGS_QMASK) >> 1;
  return static_cast<uint16_t>(1U << std::min(asked, offered));
}

// Called on the loop's thread. The low bits of a message's data are its number.
void Function::raise_msi(uint16_t number) {
  uint64_t address;
  uint32_t data;
  {
    const std::lock_guard lock(config_mutex_);
    const uint16_t messages = msi_messages();
    if (number >= messages) return;  // switched off meanwhile
    const uint64_t at = msi_kind_->at;
    const bool wide = (config_.get(at + PCI_MSI_FLAGS, 2) & PCI_MSI_FLAGS_64BIT) != 0;
    address = config_.get(at + PCI_MSI_ADDRESS_LO, 4);
    if (wide) address |= uint64_t{config_.get(at + PCI_MSI_ADDRESS_HI, 4)} << 32;
    data = config_.get(at + (wide ? PCI_MSI_DATA_64 : PCI_MSI_DATA_32), 2);
    data = (data & ~(messages - 1U)) | number;
  }
  messages_.signal(address, data);
}

bool Function::is_ours(uint64_t offset) const {
  if (offset < kHeaderEnd || offset >= kSpaceEnd) return true;
  return (msi_kind_ != nullptr && msi_kind_->holds(offset)) ||
         (msix_kind_ != nullptr && msix_kind_->holds(offset));
}

uint32_t Function::read_device(uint64_t offset, unsigned width) const {
  uint32_t value = 0;
  device_.read(config_region_, offset, std::as_writable_bytes(std::span(&value, 1)).first(width));
  return value;
}

void Function::read_config(uint64_t offset, std::span<std::byte> data) {
  std::array<std::byte, 8> theirs;
  assert(data.size() <= theirs.size());
  pci::Function::read_config(offset, data);
  if (offset >= kSpaceEnd) return;
  device_.read(config_region_, offset, std::span(theirs).first(data.size()));
  for (size_t i = 0; i < data.size(); ++i) {
    if (!is_ours(offset + i)) data[i] = theirs[i];
  }
}

void Function::write_config(uint64_t offset, std::span<const std::byte> data) {
  pci::Function::write_config(offset, data);
  bool theirs = true;
  for (size_t i = 0; i < data.size(); ++i) theirs = theirs && !is_ours(offset + i);
  // A write across the border of a capability is a driver's error.
  if (theirs) device_.write(config_region_, offset, data);
}

// Called under config_mutex_ after each write of the guest.
void Function::applied() {
  const auto command = static_cast<uint16_t>(config_.get(PCI_COMMAND, 2));
  device_.write(config_region_, PCI_COMMAND, std::as_bytes(std::span(&command, 1)));
  for (const auto& window : mapped_) {
    const uint64_t address = window->bar.address;
    if (address == window->address) continue;
    if (window->visible) windows_.remove(window->number);
    window->visible =
        address != pci::Bar::kUnmapped && windows_.place(window->number, address, window->memory);
    window->address = address;
  }
  size_t by_table = 0;
  if (msix_kind_ != nullptr) {
    const uint32_t flags = config_.get(msix_kind_->at + uint64_t{PCI_MSIX_FLAGS}, 2);
    if ((flags & PCI_MSIX_FLAGS_ENABLE) != 0) by_table = msix_kind_->vectors.size();
  }
  // If both are enabled, which is not allowed, MSI-X wins: the host's kernel supports one kind at a
  // time.
  const size_t by_space = msi_kind_ == nullptr || by_table != 0 ? 0 : msi_messages();
  if (msi_kind_ != nullptr && by_space == 0) switch_interrupts(*msi_kind_, 0);
  if (msix_kind_ != nullptr) switch_interrupts(*msix_kind_, by_table);
  if (by_space != 0) switch_interrupts(*msi_kind_, by_space);
}

void Function::switch_interrupts(Kind& kind, size_t wanted) {
  wanted = std::min(wanted, kind.vectors.size());
  if (wanted == kind.connected) return;
  // The host's kernel keeps the number of vectors of the first request, so disconnect first.
  if (kind.connected != 0) static_cast<void>(device_.connect(kind.index, {}));
  kind.connected = wanted;
  if (wanted == 0) return;
  std::vector<int> events;
  for (size_t i = 0; i < wanted; ++i) events.push_back(kind.vectors[i]->fd());
  // Without vectors of the host the guest gets no interrupts; its driver gives up after a while.
  static_cast<void>(device_.connect(kind.index, events));
}

}  // namespace vmm::vfio
