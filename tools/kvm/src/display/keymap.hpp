// SPDX-License-Identifier: GPL-2.0-only
//
// From X11 keysyms, which name what a key means, to evdev codes, which name where it is, on an
// American keyboard: a guest with that layout understands what was meant. Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace vmm::display {

// KEY_* of <linux/input-event-codes.h>; nothing for a keysym that this keyboard has not.
std::optional<uint16_t> key_code(uint32_t keysym);

// All that key_code() may return.
std::vector<uint16_t> key_codes();

}  // namespace vmm::display
