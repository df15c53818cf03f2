// SPDX-License-Identifier: GPL-2.0-only
//
// What a display shows, and who hears its keyboard and pointer. machine/ implements both; a server
// calls them on its own thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace vmm::display {

// A pixel has 32 bits: blue in the lowest eight, then green, red, and eight of no meaning.
inline constexpr uint32_t kPixelBytes = 4;

struct Geometry {
  uint32_t width;  // pixels; a row follows the other without a gap
  uint32_t height;
  size_t row_bytes() const { return size_t{width} * kPixelBytes; }
  size_t bytes() const { return row_bytes() * height; }
};

struct Rows {
  uint32_t first;
  uint32_t end;
};

class Screen {
 public:
  virtual ~Screen() = default;

  virtual Geometry geometry() const = 0;
  // The guest writes there at any time.
  virtual std::span<std::byte> pixels() = 0;

  // Somebody looks from now on, or nobody does: then changes need not be told apart.
  virtual void watch(bool watched) = 0;
  // Those that have changed since the last call, in order; at least these.
  virtual std::vector<Rows> changed_rows() = 0;
};

class InputListener {
 public:
  virtual ~InputListener() = default;

  // A key by its X11 keysym, which is what viewers tell.
  virtual void key(uint32_t keysym, bool down) = 0;
  // In pixels; buttons bit by bit: left, middle, right, wheel up, wheel down.
  virtual void pointer(uint32_t x, uint32_t y, uint32_t buttons) = 0;
};

}  // namespace vmm::display
