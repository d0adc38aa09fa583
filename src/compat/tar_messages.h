// What GNU tar says on its standard error, sorted as Amanda sorts it: the size line, lines nobody needs to
// see, normal ones, and strange ones that an operator must see. Pure. Source of the classes: Amanda 3.5's
// GNUTAR program and its amgtar application; "|" and "?" are how sendbackup marks them on MESG.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace headrace::compat {

enum class TarDialect { gnutar, amgtar };

struct TarMessage {
  enum class Class {
    size,     // bytes: what was written; also shown as normal
    ignored,  // not shown
    normal,   // shown with "|"
    strange,  // shown with "?"
  };
  Class what = Class::strange;
  uint64_t bytes = 0;
};

// A user's extra classes: POSIX extended regular expressions, searched anywhere in a line.
struct MessagePatterns {
  std::vector<std::string> ignore, normal, strange;
};

class TarMessages {
 public:
  // The gnutar dialect as it is.
  explicit TarMessages(TarDialect dialect);
  // Refused: an expression that does not compile, with the library's reason.
  static base::Result<TarMessages> make(TarDialect dialect, const MessagePatterns& patterns);
  TarMessages(TarMessages&&) noexcept;
  TarMessages& operator=(TarMessages&&) noexcept;
  ~TarMessages();

  // `line` without its newline.
  TarMessage classify(std::string_view line) const;

 private:
  struct UserPatterns;
  TarDialect dialect_;
  std::unique_ptr<UserPatterns> user_;  // null when there are none
};

}  // namespace headrace::compat
