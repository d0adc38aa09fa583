// From Settings to the typed configuration: adds the blocks that exist without being written, checks that
// names name something, fills in defaults and makes paths absolute. Pure.
#pragma once

#include <filesystem>

#include "config/client_config.h"
#include "config/lexer.h"
#include "config/server_config.h"
#include "config/settings.h"

namespace headrace::config {

// Before parsing: the dumptypes that Amanda knows without definition.
void add_built_in_dumptypes(Settings& settings);
// After parsing: interface `default`, tapetype DEFAULT_TAPE, policy and storage of the configuration's name.
void add_implicit_blocks(Settings& settings);
void check_settings(const Settings& settings, Report& report);

// The settings must have been checked.
ServerConfig resolve_server(Settings settings, const std::filesystem::path& directory);
ClientConfig resolve_client(Settings settings);
Dumptype resolve_dumptype(const Settings& settings, const Block& block);
// What is wrong with the properties that mean something to Headrace; empty: nothing.
std::string wrong_in_properties(const Dumptype& type);
Application resolve_application(const Settings& settings, const Block& block);
Script resolve_script(const Settings& settings, const Block& block);

}  // namespace headrace::config
