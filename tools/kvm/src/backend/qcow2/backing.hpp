// SPDX-License-Identifier: GPL-2.0-only
//
// Where an image's backing file may lie. An image comes from anywhere, and it could name any file
// that this user may read and the guest may not. So a name is followed within the image's own
// folder, and elsewhere only to places that the user has named. Used while an image is opened;
// values and functions on that thread.
#pragma once

#include <string>
#include <vector>

namespace vmm::backend::qcow2 {

struct BackingPlaces {
  std::string folder = "";             // base of relative names; empty: the image's own
  std::vector<std::string> allowed{};  // also allowed: files, and folders with all below them
  // Paths of the backing files on this host, the uppermost first, if they differ from their names:
  // in a lab host the user's files have other paths.
  std::vector<std::string> files{};
};

// Those places without links and "..", for an image and all of its backing files.
std::vector<std::string> resolve_places(const std::string& image, const BackingPlaces& places);

// The path of the backing file that `image` calls `name`, relative to `folder` (empty: the image's
// own), or its path `known` on this host. Throws base::ConfigError if that is no local file, or
// lies in none of the places.
std::string find_backing(const std::string& image, const std::string& name,
                         const std::string& folder, const std::vector<std::string>& places,
                         const std::string& known = "");

}  // namespace vmm::backend::qcow2
