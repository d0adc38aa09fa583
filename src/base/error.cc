#include "base/error.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace headrace::base {

std::string_view name_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::again: return "again";
    case ErrorKind::gone: return "gone";
    case ErrorKind::full: return "full";
    case ErrorKind::refused: return "refused";
    case ErrorKind::corrupt: return "corrupt";
    case ErrorKind::unsupported: return "unsupported";
    case ErrorKind::cancelled: return "cancelled";
  }
  return "?";
}

static ErrorKind kind_of_errno(int number) {
  switch (number) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG: return ErrorKind::full;
    case EAGAIN:
    case EINTR:
    case EBUSY:
    case ETIMEDOUT:
    case EMFILE:
    case ENFILE:
    case ENOMEM: return ErrorKind::again;
    case EPIPE:
    case ECONNRESET:
    case ECONNREFUSED:
    case ECONNABORTED:
    case EHOSTUNREACH:
    case ENETUNREACH: return ErrorKind::gone;
    case EIO: return ErrorKind::corrupt;
    case ENOSYS:
    case EOPNOTSUPP: return ErrorKind::unsupported;
    default: return ErrorKind::refused;
  }
}

Error Error::system(std::string_view tried, int number) {
  Error error(kind_of_errno(number), std::string(tried) + ": " + std::strerror(number));
  error.sys_errno_ = number;
  return error;
}

Error Error::during(std::string_view doing) && {
  what_ += ", while ";
  what_ += doing;
  return std::move(*this);
}

std::unexpected<Error> fail_errno(std::string_view tried) { return fail_errno(tried, errno); }
std::unexpected<Error> fail_errno(std::string_view tried, int number) {
  return std::unexpected(Error::system(tried, number));
}

void check_failed(const char* file, int line, const char* expression) {
  std::fprintf(stderr, "headrace: %s:%d: broken invariant: %s\n", file, line, expression);
  std::abort();
}

}  // namespace headrace::base
