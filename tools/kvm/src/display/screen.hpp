// SPDX-License-Identifier: GPL-2.0-only
//
// The content of a display, and the listener for its keyboard and pointer. machine/ implements
// both; a server calls them on its own thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace vmm::display {

// A pixel has 32 bits: blue in the lowest eight, then green, red, and eight unused bits.
inline constexpr uint32_t kPixelBytes = 4;

struct Geometry {
  uint32_t width;  // in pixels; there is no gap between rows
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
  // The guest may write to them at any time.
  virtual std::span<std::byte> pixels() = 0;

  // Whether there are viewers. While there are none, changes need not be tracked.
  virtual void watch(bool watched) = 0;
  // Returns the rows that have changed since the last call, in order, possibly with more.
  virtual std::vector<Rows> changed_rows() = 0;
};

class InputListener {
 public:
  virtual ~InputListener() = default;

  // A key by its X11 keysym, as viewers send it.
  virtual void key(uint32_t keysym, bool down) = 0;
  // Position in pixels; one bit per button: left, middle, right, wheel up, wheel down.
  virtual void pointer(uint32_t x, uint32_t y, uint32_t buttons) = 0;
};

}  // namespace vmm::display
