// SPDX-License-Identifier: GPL-2.0-only
//
// Kernels of a few bytes for whole machines: they run even on a KVM that cannot boot Linux. Used by
// the tests of this folder that need a real /dev/kvm; without it, they report that and pass.
#pragma once

#include <doctest/doctest.h>
#include <elf.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "machine/machine.hpp"

namespace vmm::test {

using machine::Machine;
using machine::MachineConfig;

inline constexpr uint64_t kLoadAt = 1 << 20;

inline bool have_kvm() {
  if (access("/dev/kvm", R_OK | W_OK) == 0) return true;
  MESSAGE("no /dev/kvm: nothing tested");
  return false;
}

// An ELF file whose entry point is the first byte of `code`.
class Kernel {
 public:
  explicit Kernel(const std::vector<uint8_t>& code) {
    Elf64_Ehdr header{};
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_type = ET_EXEC;
    header.e_machine = EM_X86_64;
    header.e_entry = kLoadAt;
    header.e_phoff = sizeof header;
    header.e_phentsize = sizeof(Elf64_Phdr);
    header.e_phnum = 1;
    Elf64_Phdr segment{};
    segment.p_type = PT_LOAD;
    segment.p_offset = sizeof header + sizeof segment;
    segment.p_paddr = kLoadAt;
    segment.p_filesz = segment.p_memsz = code.size();
    const int fd = mkstemp(path_.data());
    REQUIRE(fd >= 0);
    put(fd, &header, sizeof header);
    put(fd, &segment, sizeof segment);
    put(fd, code.data(), code.size());
    close(fd);
  }
  ~Kernel() { unlink(path_.c_str()); }
  Kernel(const Kernel&) = delete;
  Kernel& operator=(const Kernel&) = delete;

  MachineConfig config(uint32_t vcpus = 1) const {
    MachineConfig config;
    config.kernel = path_;
    config.memory_mib = MachineConfig::kMinMemoryMib;
    config.vcpus = vcpus;
    return config;
  }

 private:
  static void put(int fd, const void* data, size_t size) {
    REQUIRE(write(fd, data, size) == static_cast<ssize_t>(size));
  }

  std::string path_ = "/tmp/vmm-machine-test-XXXXXX";
};

inline std::string received(int fd) {
  std::array<char, 4096> buffer;
  const ssize_t count = recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
  return count > 0 ? std::string(buffer.data(), static_cast<size_t>(count)) : "";
}

// The address where guests count.
inline constexpr uint64_t kCountAt = 2 << 20;

// Code that counts for ever.
inline const std::vector<uint8_t> kCount = {
    0xff, 0x04, 0x25, 0x00, 0x00, 0x20, 0x00,  // incl 0x200000
    0xeb, 0xf7,                                // jmp back
};

inline uint32_t count_of(const Machine& machine, uint64_t at = kCountAt) {
  return *machine.memory().read_object<uint32_t>(memory::GuestAddress{at});
}

inline bool counts_on(const Machine& machine) {
  const uint32_t before = count_of(machine);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (std::chrono::steady_clock::now() < deadline) {
    if (count_of(machine) != before) return true;
  }
  return false;
}

// Waits until it no longer counts, like a guest that waits for its host.
inline bool comes_to_a_stand(const Machine& machine) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (std::chrono::steady_clock::now() < deadline) {
    const uint32_t before = count_of(machine);
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    if (before != 0 && count_of(machine) == before) return true;
  }
  return false;
}

}  // namespace vmm::test
