// Which program dumps a DLE on this machine: tar, run by us, or an application.
#pragma once

#include <filesystem>
#include <optional>

#include "base/error.h"
#include "client/context.h"
#include "wire/dle.h"

namespace headrace::client {

struct ArchiverChoice {
  std::optional<std::filesystem::path> plugin;  // nothing: we run tar, in the dialect of the DLE's program
};

// Refused: a program that this client has not got.
base::Result<ArchiverChoice> archiver_of(const ClientContext& context, const wire::Dle& dle);

}  // namespace headrace::client
