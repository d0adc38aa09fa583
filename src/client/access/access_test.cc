// Who may ask: ports, names that many ask for at once, strangers in numbers.
#include "client/access/access.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <optional>

#include "loop/test_loop.h"
#include "sim/sim_loop.h"

namespace headrace::client {
namespace {

using base::ErrorKind;
using base::Result;
using Outcome = std::expected<std::string, auth::Denial>;

loop::Address host(uint32_t number, uint16_t port = 700) {
  return loop::Address::ipv4(0x0A000000 + number, port);
}

// Lookups that end when the test says so.
class Lookups {
 public:
  PeerNames::Check check() {
    return [this](const loop::Address& peer, loop::LookupFor whom, PeerNames::Named named) {
      asked.push_back({peer.host_text(), whom, std::move(named)});
      return std::make_unique<loop::Operation>();
    };
  }
  struct Asked {
    std::string host;
    loop::LookupFor whom;
    PeerNames::Named named;
  };
  std::vector<Asked> asked;
};

TEST(PeerNames, RequestsOfOneHostShareOneLookup) {
  sim::SimLoop loop;
  Lookups lookups;
  PeerNames names(loop, lookups.check());
  int named = 0;
  for (int i = 0; i < 50; ++i) {
    names.ask(host(1), [&](const Result<std::string>& name) { named += name && *name == "mill" ? 1 : 0; });
  }
  ASSERT_EQ(lookups.asked.size(), 1U);
  lookups.asked[0].named(std::string("mill"));
  loop.run_due();
  EXPECT_EQ(named, 50);
  names.ask(host(1), [](const Result<std::string>&) {});
  EXPECT_EQ(lookups.asked.size(), 2U) << "nothing is kept: names change";
}

TEST(PeerNames, StrangersAreFewAndHoldUpNobodyWhoIsKnown) {
  sim::SimLoop loop;
  Lookups lookups;
  PeerNames names(loop, lookups.check());
  names.remember(host(7));
  size_t turned_away = 0;
  for (uint32_t i = 100; i < 1100; ++i) {
    names.ask(host(i), [&](const Result<std::string>& name) {
      EXPECT_EQ(name.error().kind(), ErrorKind::again);
      ++turned_away;
    });
  }
  loop.run_due();
  EXPECT_EQ(lookups.asked.size(), kMaxStrangers);
  EXPECT_EQ(turned_away, 1000 - kMaxStrangers);
  names.ask(host(7), [](const Result<std::string>&) {});
  ASSERT_EQ(lookups.asked.size(), kMaxStrangers + 1);
  EXPECT_EQ(lookups.asked.back().whom, loop::LookupFor::ourselves);
  EXPECT_EQ(lookups.asked.front().whom, loop::LookupFor::strangers);
}

class AccessTest : public ::testing::Test {
 protected:
  AccessTest() {
    char name[] = "/tmp/headrace-access-XXXXXX";
    EXPECT_NE(::mkdtemp(name), nullptr);
    folder_ = name;
    rules_.amandahosts = folder_ / "amandahosts";
    rules_.local_user = "backup";
    rules_.local_uid = ::geteuid();
    std::ofstream(rules_.amandahosts) << "mill backup\n";
    EXPECT_EQ(::chmod(rules_.amandahosts.c_str(), 0600), 0);
  }
  ~AccessTest() override { std::filesystem::remove_all(folder_); }

  Outcome ask(const std::string& auth, const loop::Address& from, Result<std::string> name) {
    auto authorizer =
        make_authorizer(*loop_, rules_, [&](const auto&, loop::LookupFor, PeerNames::Named named) {
          ++lookups_;
          loop_->post([named = std::move(named), name]() mutable { named(std::move(name)); });
          return std::make_unique<loop::Operation>();
        });
    std::optional<Outcome> got;
    loop_->post([&] {
      authorizer->ask({{auth, from}, "backup", "noop"}, [&](Outcome outcome) {
        got = std::move(outcome);
        loop_->stop();
      });
    });
    loop_->run();
    return *got;
  }

  std::unique_ptr<loop::Loop> loop_ = loop::make_loop(1);
  std::unique_ptr<loop::Timer> deadline_ = loop::end_test_after_deadline(*loop_);
  std::filesystem::path folder_;
  AccessRules rules_;
  int lookups_ = 0;
};

TEST_F(AccessTest, AHostWithALineIsLetIn) {
  const auto outcome = ask("bsd", host(1), std::string("mill"));
  ASSERT_TRUE(outcome) << outcome.error().why.what();
  EXPECT_EQ(*outcome, "mill");
}

TEST_F(AccessTest, AnUnreservedPortIsRefusedWithoutALookup) {
  const auto outcome = ask("bsd", host(1, 1024), std::string("mill"));
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().why.what(), "host 10.0.0.1: port 1024 not secure");
  EXPECT_FALSE(outcome.error().silent);
  EXPECT_EQ(lookups_, 0);
}

TEST_F(AccessTest, AFalseNameIsAnsweredOverAConnectionAlone) {
  for (const char* auth : {"bsd", "bsdudp", "bsdtcp"}) {
    const auto outcome = ask(auth, host(1), base::fail(ErrorKind::refused, "no such name"));
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().silent, std::string(auth) != "bsdtcp") << auth;
  }
}

TEST_F(AccessTest, AHostWithoutALineHearsWhichOneIsMissing) {
  const auto outcome = ask("bsd", host(1), std::string("elsewhere"));
  ASSERT_FALSE(outcome);
  EXPECT_FALSE(outcome.error().silent);
  EXPECT_NE(outcome.error().why.what().find("Please add the line \"elsewhere backup amdump\""),
            std::string::npos)
      << outcome.error().why.what();
}

}  // namespace
}  // namespace headrace::client
