// SPDX-License-Identifier: GPL-2.0-only
//
// Registers of the 16550A, read by serial.cpp and its tests. The bits come from the kernel's
// <linux/serial_reg.h>; this header only adds what is missing there.
#pragma once

#include <linux/serial_reg.h>

#include <cstdint>

namespace vmm::devices::serial_regs {

inline constexpr uint64_t kPorts = 8;
inline constexpr uint8_t kIirFifosEnabled = 0xc0;
inline constexpr uint8_t kIerImplemented = 0x0f;
inline constexpr uint8_t kMcrImplemented = 0x1f;
// A connected terminal: carrier, data set ready, clear to send.
inline constexpr uint8_t kMsrConnected = UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS;

}  // namespace vmm::devices::serial_regs
