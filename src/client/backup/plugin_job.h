// A dump made by an application of the Application API.
#pragma once

#include <filesystem>
#include <memory>

#include "client/backup/dump_job.h"

namespace headrace::client {

// The request outlives the job.
base::Result<std::unique_ptr<DumpJob>> make_plugin_job(const ClientContext& context,
                                                       const ClientRequest& request,
                                                       const std::filesystem::path& program);

// MESG lines before "info end" of a dump by an application, also of amgtar's when we do its work ourselves.
std::string application_announcement(const ClientPaths& paths, const wire::Dle& dle);
// What undoes the client's compression: the beginning of a command that restores; and its MESG line, if any.
std::string decompressor(const ClientPaths& paths, const wire::Dle& dle);
std::string suffix_line(const wire::Dle& dle);

}  // namespace headrace::client
