// By which methods sizes are asked of a client, one after the other, and what the report says of it.
#include "server/drive/estimates.h"

#include <gmock/gmock.h>

#include "server/drive/night_bench.h"

namespace headrace::drive {
namespace {

using testing::HasSubstr;

class EstimateMethods : public NightBench {
 protected:
  EstimateMethods() { disk_names = {"/d1"}; }
  // "method KiB", as the journal has it: what the client answered; and what the plan expected.
  std::string estimates_of(const Ran& ran) const {
    std::string text;
    for (const auto& body : ran.events) {
      if (const auto* got = std::get_if<journal::EstimateGot>(&body))
        text += got->method + " " + std::to_string(got->native_kib) + ", ";
      if (const auto* planned = std::get_if<journal::DlePlanned>(&body))
        text += "planned " + std::to_string(planned->est_native_kib);
    }
    return text;
  }
  static std::string notes_of(const Ran& ran) {
    std::string text;
    for (const auto& body : ran.events)
      if (const auto* note = std::get_if<journal::Note>(&body)) text += note->text + "\n";
    return text;
  }
  Ran play(const std::string& methods, const SetUp& more) {
    dumptype = "estimate " + methods;
    return run([&](dump::FakeClient& client) {
      client.scripts["/d1"] = {dump::good_script("data")};
      more(client);
    });
  }
};

TEST_F(EstimateMethods, TheFirstThatGivesAValueIsEnough) {
  const auto ran = play("client calcsize server", [](dump::FakeClient& client) {
    client.estimates["/d1"] = 4711;
    client.calcsizes["/d1"] = 1;
  });
  EXPECT_EQ(estimates_of(ran), "client 4711, planned 4711");
  EXPECT_THAT(notes_of(ran), testing::Not(HasSubstr("estimate")));
}

TEST_F(EstimateMethods, TheNextIsAskedForWhatHasNoValue) {
  const auto ran =
      play("client calcsize server", [](dump::FakeClient& client) { client.calcsizes["/d1"] = 815; });
  EXPECT_EQ(estimates_of(ran), "calcsize 815, planned 815");
  EXPECT_THAT(notes_of(ran),
              HasSubstr("/d1: estimate client: no value; by estimate calcsize level 0 has 815 KiB."));
  EXPECT_EQ(ran.status, 0);
}

TEST_F(EstimateMethods, AnErrorOfTheFirstIsNotTheEnd) {
  const auto ran = play("client calcsize", [](dump::FakeClient& client) {
    client.estimate_errors["/d1"] = "tar failed";
    client.calcsizes["/d1"] = 815;
  });
  EXPECT_EQ(estimates_of(ran), "calcsize 815, planned 815");
  EXPECT_THAT(notes_of(ran), HasSubstr("estimate client: tar failed"));
}

TEST_F(EstimateMethods, HistoryComesLast) {
  const auto ran = play("client calcsize server",
                        [](dump::FakeClient& client) { client.estimate_errors["/d1"] = "tar failed"; });
  EXPECT_EQ(estimates_of(ran), "client -1, planned 51200") << "a guess: half of a volume";
  EXPECT_THAT(
      notes_of(ran),
      HasSubstr(
          "/d1: estimate client: tar failed; estimate calcsize: no value; expecting 51200 KiB as a guess."));
}

TEST_F(EstimateMethods, WithoutTheServerAnErrorOfTheLastFailsTheDisk) {
  const auto ran =
      play("calcsize client", [](dump::FakeClient& client) { client.estimate_errors["/d1"] = "tar failed"; });
  EXPECT_EQ(estimates_of(ran), "client -1, ");
  EXPECT_EQ(ran.dump("/d1").failure, "estimate calcsize: no value; estimate client: tar failed");
}

TEST_F(EstimateMethods, TheServerFirstAsksForWhatHistoryDoesNotKnow) {
  const auto fresh = play("server client", [](dump::FakeClient& client) { client.estimates["/d1"] = 4711; });
  EXPECT_EQ(estimates_of(fresh), "client 4711, planned 4711");
  const auto known = play("server client", [](dump::FakeClient& client) { client.estimates["/d1"] = 4711; });
  const auto* asked_for = known.first<journal::EstimateGot>();
  ASSERT_NE(asked_for, nullptr);
  EXPECT_EQ(asked_for->level, 1);
  EXPECT_EQ(known.count<journal::EstimateGot>(), 1U) << "the full's size is known from the first night";
}

}  // namespace
}  // namespace headrace::drive
