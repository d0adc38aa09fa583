// An archiver that costs nothing, for benches in which tar would be the limit: named to `headrace client
// --gnutar`, it pours the file "data" of the directory that it is told to archive into its standard output,
// over and over, without copying, until nobody reads any more. What comes out is no archive.
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <string>

int main(int argc, char** argv) {
  std::string folder = ".";
  for (int i = 1; i + 1 < argc; ++i) {
    if (std::strcmp(argv[i], "--directory") == 0) folder = argv[i + 1];
  }
  const int file = open((folder + "/data").c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) {
    std::perror("outpour: data");
    return 2;
  }
  while (true) {
    loff_t at = 0;
    ssize_t moved = 0;
    while ((moved = splice(file, &at, STDOUT_FILENO, nullptr, size_t{1} << 20U, SPLICE_F_MOVE)) > 0) {
    }
    if (moved < 0) return 2;
    if (at == 0) return 0;  // an empty file
  }
}
