// SPDX-License-Identifier: GPL-2.0-only
//
// The parts of the extension module kvm._core, one function per bound type. module.cpp calls them
// at import, with the GIL held; later calls release it wherever they may wait for the guest.
#pragma once

#include <pybind11/pybind11.h>

namespace vmm::bindings {

void bind_errors(pybind11::module_& module);
void bind_config(pybind11::module_& module);
void bind_machine(pybind11::module_& module);
void bind_probe(pybind11::module_& module);

}  // namespace vmm::bindings
