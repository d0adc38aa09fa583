// Sorts what tar writes on its standard error while it names its members: names become lines of the index
// ("/path", as Amanda's own) and of the state ("BLOCK /path"), everything else is a message. Tar's messages
// begin with its own name or a sentence, member names with "./", so neither is taken for the other.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "flow/transform_pump.h"

namespace headrace::client {

class NameListing : public flow::Transform {
 public:
  using Message = std::move_only_function<void(std::string_view line)>;
  struct Wanted {
    bool index = true;
    bool state = false;
  };
  // `message` gets each other line without its newline.
  NameListing(Wanted wanted, Message message) : wanted_(wanted), message_(std::move(message)) {}

  void feed(base::Bytes input, std::string& index, std::string& state) override;
  void end(std::string& index, std::string& state) override;

 private:
  void line(std::string_view text, std::string& index, std::string& state);

  Wanted wanted_;
  Message message_;
  std::string unfinished_;
};

}  // namespace headrace::client
