// SPDX-License-Identifier: GPL-2.0-only
//
// Every guest-physical address, port and interrupt line of the machine, in one place. Constants
// only: read by arch/, loader/ and machine/ while a machine is set up.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace vmm::arch::layout {

inline constexpr uint64_t kPageSize = 4096;
inline constexpr uint64_t kMiB = 1ULL << 20;

// Below 1 MiB: what the VMM prepares for the kernel's first instructions. The kernel copies what it
// needs and reclaims the rest, because e820 reports it as RAM.
inline constexpr uint64_t kGdt = 0x500;
inline constexpr uint64_t kBootParams = 0x7000;
inline constexpr uint64_t kPageTables = 0x9000;  // PML4, PDPT, four page directories
inline constexpr uint64_t kBootStackTop = 0x8ff0;
inline constexpr uint64_t kCommandLine = 0x20000;
inline constexpr uint64_t kCommandLineMax = 0x10000;

// Other boot protocols use the same space. A multiboot payload may use all of it except the page
// with its information (page 0, where payloads start their other processors, stays free).
inline constexpr uint64_t kMultibootInfo = 0x7000;
inline constexpr uint64_t kMultibootInfoEnd = 0x8000;
inline constexpr uint64_t kMultibootCommandLine = 0x7300;
inline constexpr uint64_t kPvhStartInfo = 0x7000;
// Flat code starts in real mode at 1000:0000, with its stack in the same segment.
inline constexpr uint64_t kFlatLoad = 0x10000;
inline constexpr uint64_t kFlatStack = 0x8000;

// The classic hole: EBDA, VGA window and BIOS ROM. The kernel scans the last 64 KiB of it for the
// MP table (arch/x86/kernel/mpparse.c), and the last 128 KiB for ACPI's root pointer.
inline constexpr uint64_t kLowRamEnd = 0x9fc00;
inline constexpr uint64_t kAcpiTables = 0xe0000;  // the root pointer, then the tables it leads to
inline constexpr uint64_t kFacs = kAcpiTables + 64;
inline constexpr uint64_t kMpTable = 0xf0000;
inline constexpr uint64_t kHighRamStart = 0x100000;

// RAM ends at 3 GiB at the latest (memory::GuestMemory::kLowEnd) and goes on at 4 GiB.
inline constexpr uint64_t kFrameBuffer = 0xc0000000;
inline constexpr uint64_t kVirtioMmio = 0xd0000000;
inline constexpr uint64_t kVirtioMmioStride = 0x1000;
// PCI: the window for BARs, which ACPI reports, and the configuration spaces of bus 0 (ECAM). A
// kernel without ACPI takes all that is not RAM for PCI, so the bus gets everything up to ECAM.
inline constexpr uint64_t kPciWindow = 0xd1000000;
inline constexpr uint64_t kPciWindowBytes = 0x0f000000;
inline constexpr uint64_t kPciEcam = 0xe0000000;
inline constexpr uint64_t kPciEcamBytes = 1 << 20;
inline constexpr uint64_t kIoApic = 0xfec00000;
inline constexpr uint64_t kHpet = 0xfed00000;
inline constexpr uint64_t kLocalApic = 0xfee00000;

// Pages that KVM needs for itself on some Intel hosts; they lie below the BIOS area.
inline constexpr uint64_t kIdentityMapPage = 0xfeffc000;
inline constexpr uint64_t kTssPages = 0xfeffd000;

inline constexpr uint16_t kPortRtc = 0x70;
inline constexpr uint16_t kPortI8042Data = 0x60;
inline constexpr uint16_t kPortI8042Command = 0x64;
inline constexpr uint16_t kPortDebug = 0xe9;
inline constexpr uint16_t kPortDebugExit = 0xf4;
inline constexpr uint16_t kPortCom2 = 0x2f8;
inline constexpr uint16_t kPortCom3 = 0x3e8;
inline constexpr uint16_t kPortCom4 = 0x2e8;
inline constexpr uint16_t kPortCom1 = 0x3f8;
inline constexpr uint16_t kPortPm1Event = 0x600;
inline constexpr uint16_t kPortPm1Control = 0x604;
inline constexpr uint16_t kPortPciConfig = 0xcf8;
inline constexpr uint16_t kPortReset = 0xcf9;
inline constexpr uint16_t kPortPvpanic = 0x505;

// The test device of payload machines, where kvm-unit-tests look for it.
inline constexpr uint16_t kPortTestLatch = 0xe0;
inline constexpr uint16_t kPortTestFlush = 0xe4;
inline constexpr uint16_t kPortTestByteLatch = 0xe8;
inline constexpr uint16_t kPortTestIrq = 0x2000;
inline constexpr uint64_t kTestRam = 0xff000000;

inline constexpr uint32_t kIrqTimer = 0;
inline constexpr uint32_t kIrqCom2 = 3;
inline constexpr uint32_t kIrqCom1 = 4;
inline constexpr uint32_t kIrqRtc = 8;
inline constexpr uint32_t kIrqSci = 9;  // ACPI's SCI; level-triggered, so not shared
// Lines for virtio-mmio devices, assigned round-robin: drivers can share an edge-triggered line, as
// each pulse makes all of them look. Line 13 belongs to the FPU.
inline constexpr std::array<uint32_t, 8> kIrqsVirtio = {5, 6, 7, 10, 11, 12, 14, 15};
inline constexpr size_t kMaxVirtioDevices = 2 * kIrqsVirtio.size();
constexpr uint32_t irq_virtio(size_t device) { return kIrqsVirtio[device % kIrqsVirtio.size()]; }
inline constexpr uint32_t kIsaIrqs = 16;

// SLP_TYP of the sleep S3 and of the "off" state S5, in the DSDT and in the PM1 control register.
// The value for S3 is QEMU's, which payloads write without reading the DSDT.
inline constexpr uint8_t kSleepTypeSuspend = 1;
inline constexpr uint8_t kSleepTypeOff = 5;

// Selectors that the 64-bit boot protocol prescribes (Documentation/arch/x86/boot.rst).
inline constexpr uint16_t kSelectorCode = 0x10;
inline constexpr uint16_t kSelectorData = 0x18;
inline constexpr uint16_t kSelectorTask = 0x20;

// APIC ids are 8 bits in an MP table, and 255 means "all".
inline constexpr uint32_t kMaxVcpus = 255;

}  // namespace vmm::arch::layout
