// The command line: chooses the command by the program's name or first word and runs it.
#pragma once

namespace headrace::cli {

// Exit status as documented in headrace(8).
int run(int argc, char** argv);

}  // namespace headrace::cli
