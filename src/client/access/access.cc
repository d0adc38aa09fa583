#include "client/access/access.h"

#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include <array>

#include "auth/host_check.h"
#include "base/alive.h"
#include "config/amandahosts.h"

namespace headrace::client {

namespace {

using base::ErrorKind;
using base::Result;

constexpr uint16_t kFirstUnreservedPort = 1024;

// Auths whose requests are datagrams: their sender's address is only a claim.
bool is_by_datagrams(const std::string& auth) { return auth == "bsd" || auth == "bsdudp"; }

class Amandahosts : public auth::Authorizer {
 public:
  Amandahosts(loop::Loop& loop, AccessRules rules, PeerNames::Check check)
      : loop_(loop), rules_(std::move(rules)), names_(loop, std::move(check)) {}

  void ask(auth::Question question, auth::Answer answer) override {
    if (!question.origin.address) {
      // Our parent process: either it is on this machine and could run the archiver itself, or it is sshd,
      // which has let the server in.
      std::string host = question.origin.auth == "ssh" ? question.origin.host : rules_.local_host;
      loop_.post([host = std::move(host), answer = std::move(answer)]() mutable { answer(std::move(host)); });
      return;
    }
    const auto address = *question.origin.address;
    // Before anything that costs: of such requests anybody may send any number.
    if (address.port() >= kFirstUnreservedPort) {
      return answer(std::unexpected(
          auth::Denial(base::Error(ErrorKind::refused, fmt::format("host {}: port {} not secure",
                                                                   address.host_text(), address.port())))));
    }
    names_.ask(address, [this, question = std::move(question),
                         answer = std::move(answer)](Result<std::string> host) mutable {
      if (!host) {
        const bool silent = is_by_datagrams(question.origin.auth);
        return answer(std::unexpected(auth::Denial(std::move(host).error(), silent)));
      }
      named(std::move(*host), std::move(question), std::move(answer));
    });
  }

 private:
  void named(std::string host, auth::Question question, auth::Answer answer) {
    const auto address = *question.origin.address;
    auto outcome = std::make_shared<Result<std::string>>(host);
    loop_.offload(
        loop_.new_lane(),
        [rules = rules_, question = std::move(question), host, outcome] {
          auto entries = config::read_amandahosts(rules.amandahosts, rules.local_uid);
          // Root may keep the file for a client that root runs.
          if (!entries && ::geteuid() == 0) {
            if (auto as_root = config::read_amandahosts(rules.amandahosts, 0)) entries = std::move(as_root);
          }
          Result<> allowed =
              entries
                  ? config::authorize(*entries, {host, question.origin.address->is_loopback(), question.user,
                                                 question.service, rules.local_user, rules.amandahosts})
                  : Result<>(std::unexpected(entries.error()));
          if (!allowed) {
            *outcome = base::fail(ErrorKind::refused,
                                  fmt::format("user {} from {} is not allowed to execute the service {}: {}",
                                              question.user, host, question.service, allowed.error().what()));
          }
        },
        [this, alive = alive_.ref(), address, outcome, answer = std::move(answer)]() mutable {
          if (alive.expired()) return;
          if (!*outcome) return answer(std::unexpected(auth::Denial(std::move(*outcome).error())));
          names_.remember(address);
          answer(std::move(**outcome));
        });
  }

  loop::Loop& loop_;
  AccessRules rules_;
  PeerNames names_;
  base::Alive alive_;
};

}  // namespace

std::unique_ptr<auth::Authorizer> make_authorizer(loop::Loop& loop, AccessRules rules,
                                                  PeerNames::Check check) {
  if (!check) {
    check = [&loop](const loop::Address& address, loop::LookupFor whom, PeerNames::Named named) {
      return auth::check_host(loop, address, std::move(named), whom);
    };
  }
  return std::make_unique<Amandahosts>(loop, std::move(rules), std::move(check));
}

Result<AccessRules> rules_for(const std::string& user, const std::filesystem::path& file) {
  passwd entry{};
  passwd* found = nullptr;
  std::array<char, 16384> memory{};
  if (::getpwnam_r(user.c_str(), &entry, memory.data(), memory.size(), &found) != 0 || found == nullptr) {
    return base::fail(ErrorKind::refused,
                      fmt::format("there is no user \"{}\" on this machine: name the dump user "
                                  "with --user",
                                  user));
  }
  AccessRules rules;
  rules.local_user = user;
  rules.local_uid = entry.pw_uid;
  rules.local_gid = entry.pw_gid;
  rules.amandahosts = file.empty() ? std::filesystem::path(entry.pw_dir) / ".amandahosts" : file;
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) == 0) rules.local_host = name.data();
  return rules;
}

}  // namespace headrace::client
