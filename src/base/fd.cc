#include "base/fd.h"

#include <unistd.h>

namespace headrace::base {

void Fd::reset(int fd) {
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
}

}  // namespace headrace::base
