// SPDX-License-Identifier: GPL-2.0-only
#include "bindings.hpp"

PYBIND11_MODULE(_core, module) {
  module.doc() = "The VMM: runs one virtual machine in this process.";
  module.attr("version") = TOOLS_KVM_VERSION;
  vmm::bindings::bind_errors(module);
  vmm::bindings::bind_config(module);
  vmm::bindings::bind_machine(module);
  vmm::bindings::bind_probe(module);
}
