// Which programs turn a stored image back into an archive, and the archive into files: read from its header.
// Pure; whether the programs exist is found out when they are started.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"
#include "wire/dump_header.h"

namespace headrace::recover {

struct Command {
  std::string program;                 // absolute path
  std::vector<std::string> arguments;  // argv, including argv[0]
  std::string text() const;            // for messages
};

// In the order in which the stored bytes pass them: decryption, then decompression. Error unsupported: the
// header asks for what cannot be told from it or is not known here.
base::Result<std::vector<Command>> decoders(const wire::DumpHeader& header);

// Unpacks the archive on its standard input into `directory`; `members` as in the archive ("./sub"), empty
// for all. Error unsupported: it was not made by GNU tar or an application that uses it.
base::Result<Command> extractor(const wire::DumpHeader& header, const std::filesystem::path& directory,
                                const std::vector<std::string>& members);

}  // namespace headrace::recover
