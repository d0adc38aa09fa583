#include "auth/host_check.h"

#include <fmt/format.h>
#include <strings.h>

namespace headrace::auth {

namespace {

using base::ErrorKind;
using base::Result;

class HostCheck : public loop::Operation {
 public:
  HostCheck(loop::Loop& loop, loop::Address address, std::move_only_function<void(Result<std::string>)> done,
            loop::LookupFor whom)
      : loop_(loop), address_(address), done_(std::move(done)) {
    step_ = loop::name_of_address(
        loop_, address_,
        [this, whom](Result<std::string> name) {
          if (!name) return end(std::unexpected(std::move(name).error()));
          name_ = std::move(*name);
          step_ = loop::resolve(
              loop_, name_, 0, [this](Result<loop::ResolvedName> back) { compare(std::move(back)); }, whom);
        },
        whom);
  }

 private:
  void compare(Result<loop::ResolvedName> back) {
    if (!back) return end(std::unexpected(std::move(back).error()));
    if (strncasecmp(back->canonical.c_str(), name_.c_str(), name_.size()) != 0) {
      return end(base::fail(ErrorKind::refused, fmt::format("{} doesn't resolve to itself, it resolves to {}",
                                                            name_, back->canonical)));
    }
    for (const auto& address : back->addresses) {
      if (address.same_host(address_)) return end(name_);
    }
    end(base::fail(ErrorKind::refused, fmt::format("{} doesn't resolve to {}", name_, address_.host_text())));
  }

  void end(Result<std::string> outcome) {
    auto done = std::move(done_);
    done(std::move(outcome));
  }

  loop::Loop& loop_;
  loop::Address address_;
  std::move_only_function<void(Result<std::string>)> done_;
  std::string name_;
  std::unique_ptr<loop::Operation> step_;
};

}  // namespace

std::unique_ptr<loop::Operation> check_host(loop::Loop& loop, loop::Address address,
                                            std::move_only_function<void(Result<std::string>)> done,
                                            loop::LookupFor whom) {
  return std::make_unique<HostCheck>(loop, address, std::move(done), whom);
}

}  // namespace headrace::auth
