// SPDX-License-Identifier: GPL-2.0-only
#include "backend/qcow2/backing.hpp"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "backend/qcow2/header.hpp"

namespace vmm::backend::qcow2 {
namespace {

namespace fs = std::filesystem;

// Recognises names like "nbd:...": QEMU takes the part before a colon as a protocol.
bool names_protocol(const std::string& path) {
  const size_t colon = path.find(':');
  return colon != std::string::npos && path.find('/') > colon;
}

fs::path folder_of(const std::string& image, const std::string& folder) {
  return folder.empty() ? fs::path(image).parent_path() : fs::path(folder);
}

// Also works for a missing file, which is detected when it is opened.
fs::path without_links(const std::string& image, const fs::path& path) {
  std::error_code error;
  fs::path resolved = fs::weakly_canonical(fs::absolute(path), error);
  if (error) {
    refuse(image, "its backing file can't be looked at: " + path.string() + ": " + error.message(),
           "check the path");
  }
  return resolved.has_filename() ? resolved : resolved.parent_path();
}

bool is_below(const fs::path& path, const fs::path& place) {
  return std::ranges::mismatch(path, place).in2 == place.end();
}

}  // namespace

std::vector<std::string> resolve_places(const std::string& image, const BackingPlaces& places) {
  std::vector<std::string> resolved{without_links(image, folder_of(image, places.folder))};
  for (const std::string& place : places.allowed) resolved.push_back(without_links(image, place));
  return resolved;
}

std::string find_backing(const std::string& image, const std::string& name,
                         const std::string& folder, const std::vector<std::string>& places,
                         const std::string& known) {
  if (names_protocol(name)) {
    refuse(image, "has the backing file " + name + ", which is no local file",
           "copy that here: qemu-img rebase -F FORMAT -b LOCAL FILE");
  }
  const fs::path path = known.empty() ? folder_of(image, folder) / name : fs::path(known);
  const fs::path found = without_links(image, path);
  if (std::ranges::any_of(places, [&](const auto& place) { return is_below(found, place); })) {
    return path.string();
  }
  refuse(image, "has the backing file " + found.string() + ", outside of the folder " + places[0],
         "if the guest may read it, say so: --disk IMAGE,backing=" + found.string());
}

}  // namespace vmm::backend::qcow2
