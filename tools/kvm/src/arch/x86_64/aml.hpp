// SPDX-License-Identifier: GPL-2.0-only
//
// The few elements of ACPI machine language that a table of devices is made of (ACPI 6.5, 20.2),
// and the resource descriptors of a device (6.4). Pure functions from values to bytes, used while
// the DSDT is built.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <vector>

namespace vmm::arch::aml {

using Bytes = std::vector<std::byte>;

Bytes concat(std::initializer_list<Bytes> parts);

// Objects. Names have four characters; a scope's name may begin with a backslash.
Bytes integer(uint32_t value);
Bytes string(std::string_view text);
Bytes package(std::initializer_list<Bytes> elements);
Bytes name(std::string_view name, const Bytes& object);
Bytes device(std::string_view name, const Bytes& contents);
Bytes scope(std::string_view name, const Bytes& contents);

// A plug-and-play id such as PNP0A03, packed into an integer (EISAID, 19.6.36).
Bytes eisa_id(std::string_view id);

// A resource template that holds these descriptors.
Bytes resources(std::initializer_list<Bytes> descriptors);

Bytes fixed_memory(uint64_t start, uint64_t length);
Bytes io_ports(uint16_t first, uint8_t count);
Bytes edge_interrupt(uint32_t gsi);  // active high, may be shared
// Bus numbers and memory that a bridge forwards to the devices behind it.
Bytes bus_numbers(uint16_t first, uint16_t last);
Bytes memory_window(uint64_t start, uint64_t length);

}  // namespace vmm::arch::aml
