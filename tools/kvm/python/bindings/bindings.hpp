// SPDX-License-Identifier: GPL-2.0-only
//
// The parts of the extension module kvm._core. module.cpp calls the bind functions at import, with
// the GIL held; later calls release it wherever they may wait for the guest.
#pragma once

#include <pybind11/pybind11.h>

#include "machine/config/config.hpp"

namespace vmm::bindings {

void bind_errors(pybind11::module_& module);
void bind_config(pybind11::module_& module);
void bind_machine(pybind11::module_& module);
void bind_probe(pybind11::module_& module);

// The configuration that `record` describes, by the names in machine/config/fields.hpp. Throws a
// base::ConfigError with the field that is unknown, missing or of a wrong type. Needs the GIL.
machine::MachineConfig read_config(const pybind11::dict& record);

}  // namespace vmm::bindings
