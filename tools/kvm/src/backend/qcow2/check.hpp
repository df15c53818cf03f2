// SPDX-License-Identifier: GPL-2.0-only
//
// Follows every reference of an image before it is used: tables and clusters must lie at valid
// offsets, and, if the image will be written, be counted and referenced only once. So a corrupt
// image is refused when it is attached, and no allocation can hit a cluster that is in use. Costs
// reading all L2 tables that were ever written, 64 KiB for each 512 MiB of data and 1 GiB at most.
#pragma once

#include "backend/qcow2/header.hpp"
#include "backend/qcow2/image_file.hpp"
#include "backend/qcow2/mapping.hpp"
#include "backend/qcow2/refcounts.hpp"

namespace vmm::backend::qcow2 {

// Throws a base::ConfigError that names the first error found.
void check_image(const ImageFile& file, const Header& header, const Mapping& mapping,
                 Refcounts& refcounts);

}  // namespace vmm::backend::qcow2
