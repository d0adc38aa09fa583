// The images on holding disks, as the catalog lists them: complete names only, headers read, nothing changed.
// Blocking. Internal to the catalog's loader; what a crash left and its repair is hold/'s business.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "server/catalog/catalog.h"

namespace headrace::catalog {

// Appends to both; a directory that is not there holds nothing.
void list_held_images(const std::filesystem::path& directory, std::vector<Image>& images,
                      std::vector<std::string>& warnings);

}  // namespace headrace::catalog
