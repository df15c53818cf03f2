// SPDX-License-Identifier: GPL-2.0-only
//
// Maps X11 keysyms, which name a key's meaning, to evdev codes, which name its position, on an
// American keyboard: a guest with that layout gets the intended character. Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace vmm::display {

// KEY_* of <linux/input-event-codes.h>; nothing for a keysym that this keyboard lacks.
std::optional<uint16_t> key_code(uint32_t keysym);

// All codes that key_code() may return.
std::vector<uint16_t> key_codes();

}  // namespace vmm::display
