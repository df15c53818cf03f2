// SPDX-License-Identifier: GPL-2.0-only
#include "machine/parts/display.hpp"

#include <linux/input-event-codes.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "display/keymap.hpp"
#include "machine/streams/host_link.hpp"

namespace vmm::machine {
namespace {

constexpr uint16_t kKeyboardProduct = 1;
constexpr uint16_t kPointerProduct = 2;

// Indexed by their bits in RFB (RFC 6143, 7.5.5); the next two bits are the wheel.
constexpr std::array<uint16_t, 3> kButtons = {BTN_LEFT, BTN_MIDDLE, BTN_RIGHT};
constexpr uint32_t kWheelUp = 1 << 3;
constexpr uint32_t kWheelDown = 1 << 4;

}  // namespace

std::unique_ptr<virtio::Input> make_keyboard() {
  virtio::InputTraits traits;
  traits.name = "tools-kvm keyboard";
  traits.product = kKeyboardProduct;
  traits.keys = display::key_codes();
  traits.repeats = true;
  return std::make_unique<virtio::Input>(std::move(traits));
}

std::unique_ptr<virtio::Input> make_pointer(const display::Geometry& geometry) {
  virtio::InputTraits traits;
  traits.name = "tools-kvm pointer";
  traits.product = kPointerProduct;
  traits.keys.assign(kButtons.begin(), kButtons.end());
  traits.relative = {REL_WHEEL};
  traits.absolute = {{ABS_X, geometry.width - 1}, {ABS_Y, geometry.height - 1}};
  return std::make_unique<virtio::Input>(std::move(traits));
}

Display::Display(kvm::Vm& vm, const display::Geometry& geometry, virtio::Input& keyboard,
                 virtio::Input& pointer, const std::string& password)
    : keyboard_(keyboard),
      pointer_(pointer),
      frame_buffer_(vm, geometry),
      server_(frame_buffer_, *this, "tools-kvm", password) {}

base::UniqueFd Display::connect_viewer() {
  HostLink link;
  server_.add_viewer(std::move(link.device_end));
  return std::move(link.host_end);
}

void Display::key(uint32_t keysym, bool down) {
  const auto code = display::key_code(keysym);
  if (!code) return;
  const std::array event = {virtio::InputEvent{EV_KEY, *code, down ? 1U : 0U}};
  keyboard_.report(event);
}

void Display::pointer(uint32_t x, uint32_t y, uint32_t buttons) {
  // A viewer may send any 16-bit value.
  x = std::min(x, frame_buffer_.geometry().width - 1);
  y = std::min(y, frame_buffer_.geometry().height - 1);
  std::vector<virtio::InputEvent> events;
  if (x != x_) events.push_back({EV_ABS, ABS_X, x});
  if (y != y_) events.push_back({EV_ABS, ABS_Y, y});
  const uint32_t changed = buttons ^ buttons_;
  for (size_t bit = 0; bit < kButtons.size(); ++bit) {
    if ((changed >> bit & 1) != 0) events.push_back({EV_KEY, kButtons[bit], buttons >> bit & 1});
  }
  const uint32_t pressed = changed & buttons;
  if ((pressed & kWheelUp) != 0) events.push_back({EV_REL, REL_WHEEL, 1});
  if ((pressed & kWheelDown) != 0) events.push_back({EV_REL, REL_WHEEL, static_cast<uint32_t>(-1)});
  x_ = x, y_ = y, buttons_ = buttons;
  if (!events.empty()) pointer_.report(events);
}

}  // namespace vmm::machine
