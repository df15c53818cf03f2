// SPDX-License-Identifier: GPL-2.0-only
//
// A display with its keyboard and pointer: a frame buffer that viewers see by VNC, and two virtio
// input devices for their keyboard and pointer. machine/ owns it, after the VM, and also the input
// devices, which outlive its server.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/unique_fd.hpp"
#include "display/screen.hpp"
#include "display/vnc_server.hpp"
#include "kvm/vm.hpp"
#include "machine/parts/frame_buffer.hpp"
#include "virtio/device/input.hpp"

namespace vmm::machine {

std::unique_ptr<virtio::Input> make_keyboard();
std::unique_ptr<virtio::Input> make_pointer(const display::Geometry& geometry);

class Display final : private display::InputListener {
 public:
  // Throws base::ConfigError without libvncserver, or for a password that VNC does not support.
  Display(kvm::Vm& vm, const display::Geometry& geometry, virtio::Input& keyboard,
          virtio::Input& pointer, const std::string& password);

  // The host's end of a new viewer's connection: RFB, as on a TCP connection to a VNC server.
  base::UniqueFd connect_viewer();

 private:
  // Called on the server's thread.
  void key(uint32_t keysym, bool down) override;
  void pointer(uint32_t x, uint32_t y, uint32_t buttons) override;

  virtio::Input& keyboard_;
  virtio::Input& pointer_;
  uint32_t x_ = 0;
  uint32_t y_ = 0;
  uint32_t buttons_ = 0;
  FrameBuffer frame_buffer_;
  display::VncServer server_;  // last: its thread uses the rest
};

}  // namespace vmm::machine
