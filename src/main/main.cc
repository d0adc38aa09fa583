// The program's entry: hands argv to the command line and returns its exit status.
#include "cli/run.h"

int main(int argc, char** argv) { return headrace::cli::run(argc, argv); }
