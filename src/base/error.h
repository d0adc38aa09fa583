// The one error type of the tree and the Result that carries it. An Error says what was tried, on what and
// why it failed, in words an operator can act on; its kind says what the caller may do next. Values only.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace headrace::base {

// Chosen by what the caller does next, not by where the error came from.
enum class ErrorKind {
  again,        // try later, not at once
  gone,         // the peer or source went away: restart this dump
  full,         // no room here: next chunk, disk or volume
  refused,      // the operator must act: permission, configuration, unknown name
  corrupt,      // data is not what it should be: stop, keep the evidence
  unsupported,  // use another way
  cancelled,    // somebody asked for the end
};

std::string_view name_of(ErrorKind kind);

class [[nodiscard]] Error {
 public:
  Error(ErrorKind kind, std::string what) : kind_(kind), what_(std::move(what)) {}

  // An error from a system call: `tried` names call and object ("open /x/y"), `number` is errno.
  // The kind follows from errno: ENOSPC/EDQUOT/EFBIG full, ENOENT/EACCES/EPERM… refused, EPIPE/ECONNRESET… gone.
  static Error system(std::string_view tried, int number);

  ErrorKind kind() const { return kind_; }
  int sys_errno() const { return sys_errno_; }
  // The sentence, followed by the notes added on the way up: "…, while dumping host:/disk".
  const std::string& what() const { return what_; }

  // Adds where this happened; `doing` follows the word "while".
  Error during(std::string_view doing) &&;
  Error with_kind(ErrorKind kind) && {
    kind_ = kind;
    return std::move(*this);
  }

 private:
  ErrorKind kind_;
  int sys_errno_ = 0;
  std::string what_;
};

template <class T = void>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> fail(ErrorKind kind, std::string what) {
  return std::unexpected(Error(kind, std::move(what)));
}
// Uses the current errno.
std::unexpected<Error> fail_errno(std::string_view tried);
std::unexpected<Error> fail_errno(std::string_view tried, int number);

// Ends the process with file, line and expression: for broken invariants only. No input may reach one.
[[noreturn]] void check_failed(const char* file, int line, const char* expression);

}  // namespace headrace::base

#define HEADRACE_CHECK(condition) \
  ((condition) ? void() : ::headrace::base::check_failed(__FILE__, __LINE__, #condition))
