// SPDX-License-Identifier: GPL-2.0-only
// pybind11's headers, which take most of the time that a file of bindings compiles.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
