// The analysis on tables of rates, and experiment and analysis together on a simulated machine room.
#include "server/observe/diagnosis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "server/observe/experiment.h"
#include "sim/sim_loop.h"

namespace headrace::observe {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr double kMB = 1e6;

std::string all_of(const std::vector<std::string>& sentences) {
  std::string out;
  for (const auto& sentence : sentences) out += sentence + "\n";
  return out;
}

// --- the analysis
// ----------------------------------------------------------------------------------------------

Measured alone(size_t subject, double rate, std::string verdict = {}) {
  const double throttled = verdict == "throttled" ? 0.9 : 0;
  return {1,
          {{.subject = subject,
            .bytes_per_second = rate * kMB,
            .verdict = std::move(verdict),
            .throttled = throttled}}};
}
Measured pair_of(double a, double b, const std::string& verdict = {}) {
  auto out = alone(0, a, verdict);
  auto other = alone(1, b, verdict);
  out.rates.push_back(other.rates.front());
  return out;
}

TEST(Diagnosis, two_dumps_and_what_they_do_to_each_other) {
  struct Case {
    const char* what;
    double alone_a, alone_b, pair_a, pair_b;
    const char* verdict;
    bool one_host;
    Relation relation;
    const char* joint;
    const char* advice;
  };
  const Case cases[] = {
      {"nothing in common", 50, 60, 49, 58, "source", true, Relation::independent, "", "maxdumps may be 2"},
      {"one disk", 50, 60, 26, 29, "source", true, Relation::shared, "source", "one spindle number"},
      {"one disk that seeks", 50, 60, 12, 14, "source", true, Relation::harmful, "source",
       "one spindle number"},
      {"the client compresses", 20, 20, 10, 10, "client cpu", true, Relation::shared, "client cpu",
       "compress on the server"},
      {"one wire", 100, 100, 50, 50, "network", true, Relation::shared, "network", "netusage"},
      {"two hosts and one wire", 100, 100, 50, 50, "network", false, Relation::shared, "network", "netusage"},
      {"two hosts have no disk in common", 100, 100, 50, 50, "source", false, Relation::shared, "network",
       "netusage"},
      {"the holding disk", 80, 80, 40, 41, "holding disk", false, Relation::shared, "holding disk",
       "holdingdisk"},
      {"straight to the volume", 80, 80, 40, 41, "volume", false, Relation::shared, "volume",
       "give them holding disk"},
      {"the server compresses", 30, 30, 16, 15, "server cpu", false, Relation::shared, "server cpu",
       "compress on the client"},
      {"a limit for both", 10, 10, 5, 5, "throttled", true, Relation::shared, "throttled", "--rate none"},
      {"a little", 50, 50, 35, 35, "source", true, Relation::partly, "source", "nothing to change"},
      {"one takes all", 50, 50, 50, 5, "network", true, Relation::shared, "network", "netusage"},
      {"more than alone is chance", 50, 50, 90, 20, "source", true, Relation::partly, "source",
       "nothing to change"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.what);
    const std::vector<Subject> subjects = {{"fs", "/a"}, {c.one_host ? "fs" : "db", "/b"}};
    const auto diagnosis = diagnose(subjects, {alone(0, c.alone_a, c.verdict), alone(1, c.alone_b, c.verdict),
                                               pair_of(c.pair_a, c.pair_b, c.verdict)});
    ASSERT_EQ(diagnosis.pairs.size(), 1U);
    EXPECT_EQ(name_of(diagnosis.pairs[0].relation), name_of(c.relation));
    EXPECT_EQ(diagnosis.pairs[0].joint, c.joint);
    EXPECT_THAT(all_of(diagnosis.advice), HasSubstr(c.advice));
    const bool together = c.relation == Relation::shared || c.relation == Relation::harmful;
    EXPECT_EQ(diagnosis.groups.size(), together ? 1U : 2U);
    EXPECT_FALSE(diagnosis.findings.empty());
  }
}

TEST(Diagnosis, without_a_verdict_the_servers_flow_says_on_which_side) {
  const std::vector<Subject> subjects = {{"fs", "/a"}, {"fs", "/b"}};
  const auto measured = [](double starved, double blocked) {
    const auto rate = [&](size_t i, double mb) { return PhaseRate{i, mb * kMB, starved, blocked, ""}; };
    return std::vector<Measured>{{1, {rate(0, 50)}}, {1, {rate(1, 50)}}, {1, {rate(0, 25), rate(1, 25)}}};
  };
  EXPECT_EQ(diagnose(subjects, measured(0.9, 0)).pairs.at(0).joint, "client or network");
  EXPECT_EQ(diagnose(subjects, measured(0.1, 0.8)).pairs.at(0).joint, "holding disk");
  EXPECT_EQ(diagnose(subjects, measured(0.1, 0.1)).pairs.at(0).joint, "");
}

TEST(Diagnosis, medians_forgive_a_hiccup_and_say_when_all_is_unsteady) {
  const std::vector<Subject> subjects = {{"fs", "/a"}, {"fs", "/b"}};
  std::vector<Measured> taken;
  for (const double rate : {50.0, 2.0, 51.0}) taken.push_back(alone(0, rate));
  for (const double rate : {10.0, 50.0, 90.0}) taken.push_back(alone(1, rate));
  for (const double rate : {50.0, 49.0, 0.0}) taken.push_back(pair_of(rate, rate));
  const auto diagnosis = diagnose(subjects, taken);
  EXPECT_DOUBLE_EQ(diagnosis.subjects[0].alone, 50 * kMB);
  EXPECT_EQ(diagnosis.pairs.at(0).relation, Relation::independent);
  EXPECT_THAT(all_of(diagnosis.findings), HasSubstr("fs:/b is unsteady"));
}

TEST(Diagnosis, one_that_does_not_move_is_named_and_judged_in_no_pair) {
  const auto diagnosis = diagnose({{"fs", "/a"}, {"fs", "/b"}}, {alone(0, 0), alone(1, 50), pair_of(0, 50)});
  EXPECT_TRUE(diagnosis.pairs.empty());
  EXPECT_THAT(all_of(diagnosis.findings), HasSubstr("fs:/a did not move"));
}

TEST(Diagnosis, what_was_not_measured_is_not_made_up) {
  const auto diagnosis = diagnose({{"fs", "/a"}, {"fs", "/b"}}, {alone(0, 50)});
  EXPECT_TRUE(diagnosis.pairs.empty());
  EXPECT_TRUE(diagnosis.advice.empty());
  EXPECT_EQ(diagnosis.prediction.together, 0);
  EXPECT_EQ(diagnose({}, {}).subjects.size(), 0U);
}

TEST(Diagnosis, predicts_the_night_when_sizes_are_known) {
  const auto expected = static_cast<uint64_t>(6000 * kMB);
  const std::vector<Subject> subjects = {{"fs", "/a", -1, expected}, {"fs", "/b", -1, expected}};
  const auto diagnosis =
      diagnose(subjects, {alone(0, 60, "source"), alone(1, 60, "source"), pair_of(15, 15, "source")});
  EXPECT_DOUBLE_EQ(diagnosis.prediction.in_turns, 200);
  EXPECT_DOUBLE_EQ(diagnosis.prediction.together, 400);
  EXPECT_DOUBLE_EQ(diagnosis.prediction.advised, 200);
  const auto text = diagnosis_text(subjects, diagnosis);
  EXPECT_THAT(text, HasSubstr("all at the same time 6:40, one after the other 3:20, as advised 3:20"));
  EXPECT_THAT(diagnosis_json(subjects, diagnosis), HasSubstr("\"relation\": \"harmful\""));
}

// --- experiment and analysis
// ---------------------------------------------------------------------------------------

// Dumps that share disks and wires: a resource gives each of its users an equal part, and loses some with
// each further one.
class Room : public Bench {
 public:
  struct Resource {
    double capacity;
    std::set<size_t> users;
    std::string verdict;
    double kept_with_another = 1;
  };
  Room(sim::SimLoop& loop, size_t dumps)
      : loop_(loop), bytes_(dumps), open_(dumps, true), ends_at_(dumps, 1e18) {}

  void share(double mb, std::set<size_t> users, std::string verdict, double kept = 1) {
    resources_.push_back({mb * kMB, std::move(users), std::move(verdict), kept});
  }
  void end_after(size_t dump, double mb) { ends_at_[dump] = mb * kMB; }
  void wobble(unsigned seed) { random_.emplace(seed); }

  void open_only(const std::vector<size_t>& open,
                 std::move_only_function<void(base::Result<>)> done) override {
    let_flow();
    for (size_t i = 0; i < open_.size(); ++i) open_[i] = std::ranges::find(open, i) != open.end();
    ++settings;
    loop_.post([this, done = std::move(done)]() mutable {
      done(fails_after && settings > *fails_after ? base::fail(base::ErrorKind::gone, "the run is gone")
                                                  : base::Result<>());
    });
  }
  void count(std::move_only_function<void(base::Result<BenchCounts>)> done) override {
    let_flow();
    BenchCounts counts{
        .now_us = std::chrono::duration_cast<std::chrono::microseconds>(last_.time_since_epoch()).count()};
    for (size_t i = 0; i < bytes_.size(); ++i)
      counts.dumps.push_back(
          {bytes_[i] < ends_at_[i], static_cast<uint64_t>(bytes_[i]), 0, 0, narrowest(i).second});
    loop_.post([done = std::move(done), counts]() mutable { done(std::move(counts)); });
  }
  bool all_open() const {
    return std::ranges::all_of(open_, [](bool it) { return it; });
  }

  int settings = 0;
  base::Duration longest_silence{};
  std::optional<int> fails_after;

 private:
  std::pair<double, std::string> narrowest(size_t dump) const {
    std::pair<double, std::string> out = {1e12, ""};
    for (const auto& resource : resources_) {
      if (!resource.users.contains(dump)) continue;
      double capacity = resource.capacity;
      double users = 0;
      for (const size_t i : resource.users)
        if (open_[i] && bytes_[i] < ends_at_[i] && ++users > 1) capacity *= resource.kept_with_another;
      const double part = capacity / std::max(users, 1.0);
      if (part < out.first) out = {part, resource.verdict};
    }
    return out;
  }
  void let_flow() {
    const auto now = loop_.clock().now();
    longest_silence = std::max(longest_silence, now - last_);
    const double seconds = std::chrono::duration<double>(now - last_).count();
    last_ = now;
    std::vector<double> grown;
    for (size_t i = 0; i < bytes_.size(); ++i) {
      const double noise = random_ ? 0.93 + 0.14 * static_cast<double>((*random_)() % 1000) / 1000 : 1;
      grown.push_back(open_[i] ? narrowest(i).first * seconds * noise : 0);
    }
    for (size_t i = 0; i < bytes_.size(); ++i) bytes_[i] = std::min(bytes_[i] + grown[i], ends_at_[i]);
  }

  sim::SimLoop& loop_;
  base::Instant last_{};
  std::vector<Resource> resources_;
  std::vector<double> bytes_;
  std::vector<bool> open_;
  std::vector<double> ends_at_;
  std::optional<std::mt19937> random_;
};

struct Tried {
  Experiment::Outcome outcome;
  std::vector<std::vector<size_t>> phases;
};

Tried experiment(sim::SimLoop& loop, Room& room, size_t dumps, ExperimentOptions options,
                 std::optional<base::Duration> stop_after = {}) {
  Tried out;
  bool done = false;
  Experiment it(loop, room, dumps, options);
  it.start([&](int, const std::vector<size_t>& open) { out.phases.push_back(open); },
           [&](Experiment::Outcome outcome) {
             EXPECT_FALSE(done);
             done = true;
             out.outcome = std::move(outcome);
           });
  std::unique_ptr<loop::Timer> timer;
  if (stop_after)
    timer = loop.after(*stop_after, [&] { it.stop(base::Error(base::ErrorKind::cancelled, "interrupted")); });
  EXPECT_TRUE(loop.run_until_idle(std::chrono::hours(1)));
  EXPECT_TRUE(done);
  return out;
}

TEST(Experiment, measures_all_then_each_then_pairs_and_backwards_the_next_time) {
  sim::SimLoop loop;
  Room room(loop, 3);
  room.share(30, {0, 1, 2}, "source");
  const auto tried = experiment(loop, room, 3, {.rounds = 2});
  EXPECT_TRUE(tried.outcome.ended);
  EXPECT_EQ(tried.outcome.taken.size(), 14U);
  const std::vector<size_t> first = {0, 1, 2};
  EXPECT_EQ(tried.phases.front(), first);
  EXPECT_EQ(tried.phases.back(), first);
  EXPECT_EQ(tried.phases[6], tried.phases[7]);
  EXPECT_TRUE(room.all_open());
  EXPECT_EQ(phases_of(2, true).size(), 3U) << "two together are the pair";
  EXPECT_EQ(phases_of(9, false).size(), 10U);
  EXPECT_EQ(phases_of(1, true).size(), 1U);
}

TEST(Experiment, tells_a_shared_disk_from_independent_ones) {
  const std::vector<Subject> subjects = {{"fs", "/a"}, {"fs", "/b"}, {"fs", "/c"}, {"db", "/d"}};
  for (unsigned seed = 0; seed < 100; ++seed) {
    SCOPED_TRACE(seed);
    sim::SimLoop loop;
    Room room(loop, 4);
    room.share(40, {0, 1}, "source", 0.8);  // one disk that seeks
    room.share(60, {2}, "source");
    room.share(30, {3}, "client cpu");
    room.share(500, {0, 1, 2, 3}, "network");
    room.wobble(seed);
    const auto tried = experiment(loop, room, 4, {});
    const auto diagnosis = diagnose(subjects, tried.outcome.taken);
    EXPECT_THAT(diagnosis.groups, ElementsAre(ElementsAre(0, 1), ElementsAre(2), ElementsAre(3)));
    for (const auto& pair : diagnosis.pairs) {
      const bool same_disk = pair.a == 0 && pair.b == 1;
      EXPECT_EQ(pair.joint, same_disk ? "source" : "");
      EXPECT_EQ(pair.relation == Relation::independent, !same_disk) << pair.a << pair.b;
    }
    EXPECT_THAT(all_of(diagnosis.advice), HasSubstr("fs:/a, fs:/b: one source"));
    EXPECT_EQ(diagnosis.advice.size(), 1U);
    if (HasFailure()) return;
  }
}

TEST(Experiment, a_dump_that_ends_is_left_out_and_the_others_are_measured) {
  sim::SimLoop loop;
  Room room(loop, 3);
  for (size_t i = 0; i < 3; ++i) room.share(50, {i}, "source");
  room.end_after(1, 600);
  const auto tried = experiment(loop, room, 3, {.rounds = 3});
  EXPECT_TRUE(tried.outcome.ended);
  const auto diagnosis = diagnose({{"fs", "/a"}, {"fs", "/b"}, {"fs", "/c"}}, tried.outcome.taken);
  EXPECT_NEAR(diagnosis.subjects[0].alone, 50 * kMB, kMB);
  EXPECT_NEAR(diagnosis.subjects[2].alone, 50 * kMB, kMB);
  int rounds_of_pair = 0;
  for (const auto& measured : tried.outcome.taken)
    rounds_of_pair +=
        measured.rates.size() == 2 && measured.rates[0].subject == 0 && measured.rates[1].subject == 2;
  EXPECT_EQ(rounds_of_pair, 3);
}

TEST(Experiment, is_never_silent_for_long) {
  sim::SimLoop loop;
  Room room(loop, 1);
  room.share(0.1, {0}, "source");  // so slow that it settles for long
  const auto tried = experiment(loop, room, 1, {.measure = std::chrono::minutes(2), .rounds = 2});
  EXPECT_TRUE(tried.outcome.ended);
  EXPECT_EQ(tried.outcome.taken.size(), 2U);
  EXPECT_LT(room.longest_silence, std::chrono::seconds(6));
}

TEST(Experiment, ends_when_all_have_ended) {
  sim::SimLoop loop;
  Room room(loop, 2);
  room.share(50, {0, 1}, "source");
  room.end_after(0, 10);
  room.end_after(1, 10);
  const auto tried = experiment(loop, room, 2, {.rounds = 50});
  EXPECT_TRUE(tried.outcome.ended);
  EXPECT_LE(tried.phases.size(), 3U);
}

TEST(Experiment, opens_all_gates_whatever_ends_it) {
  {
    sim::SimLoop loop;
    Room room(loop, 2);
    room.share(50, {0, 1}, "source");
    const auto tried = experiment(loop, room, 2, {}, std::chrono::seconds(14));
    EXPECT_EQ(tried.outcome.ended.error().kind(), base::ErrorKind::cancelled);
    EXPECT_EQ(tried.outcome.taken.size(), 3U) << "what was measured is kept";
    EXPECT_TRUE(room.all_open());
  }
  {
    sim::SimLoop loop;
    Room room(loop, 2);
    room.share(50, {0, 1}, "source");
    room.fails_after = 2;
    const auto tried = experiment(loop, room, 2, {});
    EXPECT_EQ(tried.outcome.ended.error().what(), "the run is gone");
    EXPECT_TRUE(room.all_open()) << "it was tried";
  }
}

}  // namespace
}  // namespace headrace::observe
