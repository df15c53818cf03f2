// SPDX-License-Identifier: GPL-2.0-only
#include "machine/build/boot_protocol.hpp"

#include "arch/x86_64/boot_params.hpp"
#include "arch/x86_64/layout.hpp"
#include "arch/x86_64/multiboot_info.hpp"
#include "arch/x86_64/page_tables.hpp"
#include "arch/x86_64/pvh_start_info.hpp"
#include "arch/x86_64/registers.hpp"
#include "base/error.hpp"
#include "loader/image.hpp"

namespace vmm::machine {
namespace {

namespace layout = arch::layout;
using loader::Protocol;

void describe_machine(memory::GuestMemory& memory, Protocol protocol,
                      const arch::BootInputs& inputs) {
  switch (protocol) {
    case Protocol::kAuto:  // loaders never return these
    case Protocol::kAutoFlat:
    case Protocol::kLinux:
      arch::write_boot_params(memory, inputs);
      arch::write_page_tables(memory);
      arch::write_gdt(memory);
      break;
    case Protocol::kPvh:
      arch::write_pvh_start_info(memory, inputs);
      break;
    case Protocol::kMultiboot:
      arch::write_multiboot_info(memory, inputs);
      break;
    case Protocol::kFlat:
      break;
  }
}

// A payload may be any file, so an unrecognised one is flat code.
Protocol wanted_protocol(const MachineConfig& config) {
  const bool may_be_code = config.protocol == Protocol::kAuto && config.payload;
  return may_be_code ? Protocol::kAutoFlat : config.protocol;
}

}  // namespace

BootPoint load_guest(memory::GuestMemory& memory, const MachineConfig& config,
                     const std::string& command_line) {
  const loader::LoadedKernel kernel = loader::load_image(memory, wanted_protocol(config),
                                                         config.kernel, config.initrd.value_or(""));
  arch::BootInputs inputs;
  inputs.command_line = command_line;
  inputs.command_line_max = kernel.command_line_max;
  inputs.setup_header = kernel.setup_header;
  inputs.initrd_start = kernel.initrd_start;
  inputs.initrd_size = kernel.initrd_size;
  if (config.display) {
    if (kernel.protocol != Protocol::kLinux) {
      throw base::ConfigError(
          "a display needs a kernel that is entered by Linux's own protocol; "
          "leave out the protocol, or the display");
    }
    inputs.frame_buffer = {config.display->width, config.display->height};
  }
  describe_machine(memory, kernel.protocol, inputs);
  return {kernel.protocol, kernel.entry};
}

void enter_guest(kvm::Vcpu& vcpu, const BootPoint& point) {
  switch (point.protocol) {
    case Protocol::kAuto:
    case Protocol::kAutoFlat:
    case Protocol::kLinux:
      arch::enter_long_mode(vcpu, point.entry);
      break;
    case Protocol::kPvh:
      arch::enter_protected_mode(vcpu, point.entry, 0, layout::kPvhStartInfo);
      break;
    case Protocol::kMultiboot:
      arch::enter_protected_mode(vcpu, point.entry, arch::kMultibootBootMagic,
                                 layout::kMultibootInfo);
      break;
    case Protocol::kFlat:
      arch::enter_real_mode(vcpu, point.entry, layout::kFlatStack);
      break;
  }
}

}  // namespace vmm::machine
