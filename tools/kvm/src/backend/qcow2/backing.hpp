// SPDX-License-Identifier: GPL-2.0-only
//
// Where an image's backing file may lie. An image comes from anywhere, and the name in it could be
// that of any file which this user may read and the guest may not. So a name is followed inside of
// the image's own folder, and elsewhere only to what the user has named. Used while an image is
// opened; values and functions on that thread.
#pragma once

#include <string>
#include <vector>

namespace vmm::backend::qcow2 {

struct BackingPlaces {
  std::string folder = "";             // of relative names; empty: the image's own
  std::vector<std::string> allowed{};  // files, and folders with all below them, besides that
  // Where this host has the backing files, the uppermost first, if not by their names: a lab host
  // has its user's files in another place.
  std::vector<std::string> files{};
};

// Those places without links and "..", for an image and for all that it stands on.
std::vector<std::string> resolve_places(const std::string& image, const BackingPlaces& places);

// The path of the backing file that `image` calls `name`, relative to `folder` (empty: the image's
// own), or that it has at `known`. Throws base::ConfigError if that is no local file, or lies in
// none of the places.
std::string find_backing(const std::string& image, const std::string& name,
                         const std::string& folder, const std::vector<std::string>& places,
                         const std::string& known = "");

}  // namespace vmm::backend::qcow2
