#include "journal/state.h"

#include <gtest/gtest.h>

#include <random>

namespace headrace::journal {
namespace {

constexpr const char* kRun = "20261123005515";
const ImageId kA{"a", "/srv", kRun, 0};
const ImageId kB{"b", "/srv", kRun, 1};
const ImageId kOld{"a", "/srv", "20261122005515", 1};

RunState after(const std::vector<Body>& bodies) {
  std::vector<Event> events = {{1'000'000, RunStarted{.config = "daily",
                                                      .org = "",
                                                      .timestamp = kRun,
                                                      .hostname = "vm",
                                                      .pid = 1,
                                                      .version = "0",
                                                      .kind = RunKind::dump}}};
  int64_t now = 1'000'000;
  for (const auto& body : bodies) events.push_back({now += 1'000'000, body});
  return reduce(events);
}

DumpFinished finished(const ImageId& image, int attempt = 1, bool strange = false) {
  return {.image = image,
          .attempt = attempt,
          .native_kib = 100,
          .stored_kib = 50,
          .seconds = 2,
          .strange = strange,
          .messages = {"? odd"}};
}
DumpFailed failed(const ImageId& image, int attempt, bool will_retry) {
  return {.image = image, .attempt = attempt, .message = "tar died", .will_retry = will_retry};
}
DlePlanned planned(const ImageId& image) { return {image, "first dump", 120, 60, 1024}; }
DumpStarted started(const ImageId& image, int attempt = 1, Destination to = Destination::holding) {
  return {.image = image, .attempt = attempt, .to = to, .path = to == Destination::holding ? "/h/x" : ""};
}
PartWritten part(const ImageId& image, int number, const std::string& label = "V1") {
  return {image, "t1", "p", label, 1, number, -1, 2048, 0.5, 100};
}
ImageWritten written(const ImageId& image) {
  return {.image = image,
          .storage = "t1",
          .pool = "p",
          .parts = 2,
          .bytes = 51200,
          .seconds = 1,
          .orig_kib = 100};
}

TEST(State, a_dump_goes_from_chosen_to_written) {
  struct Step {
    Body body;
    Phase phase;
  };
  const Step steps[] = {
      {DleChosen{"a", "/srv"}, Phase::chosen},
      {EstimateGot{"a", "/srv", 0, 120, "client"}, Phase::chosen},
      {planned(kA), Phase::planned},
      {Waiting{kA, "inparallel"}, Phase::planned},
      {started(kA), Phase::dumping},
      {DumpProgress{kA, 4096, "network", {}}, Phase::dumping},
      {finished(kA), Phase::held},
      {ImageHeld{kA, "/h/x", 50, 2, {}}, Phase::held},
      {Waiting{kA, "the volume"}, Phase::held},
      {ImageWriteStarted{kA, "t1", "p"}, Phase::writing},
      {part(kA, 1), Phase::writing},
      {written(kA), Phase::written},
  };
  std::vector<Body> bodies;
  for (const auto& step : steps) {
    bodies.push_back(step.body);
    const auto state = after(bodies);
    ASSERT_EQ(state.dumps.size(), 1U);
    EXPECT_EQ(state.dumps[0].phase, step.phase) << bodies.size();
    EXPECT_EQ(state.dumps[0].ended(), step.phase == Phase::written);
  }
  const auto state = after(bodies);
  const auto& dump = state.dumps[0];
  EXPECT_EQ(dump.estimates_kib.at(0), 120);
  EXPECT_EQ(dump.native_kib, 100U);
  EXPECT_EQ(dump.stored_kib, 50U);
  EXPECT_EQ(dump.bytes, 4096U);
  EXPECT_EQ(dump.waits_for, "");
  EXPECT_EQ(dump.writing().parts, 2);
  EXPECT_FALSE(dump.retried());
}

TEST(State, a_pause_holds_until_all_who_paused_have_resumed) {
  std::vector<Body> bodies = {DleChosen{"a", "/srv"}, DumpPaused{"a", "/srv", "operator"}};
  EXPECT_TRUE(after(bodies).dumps[0].paused);
  bodies.insert(bodies.end(), {planned(kA), started(kA), DumpPaused{"a", "/srv", "diagnose"},
                               DumpPaused{"a", "/srv", "diagnose"}});
  EXPECT_EQ(after(bodies).pauses.size(), 2U);
  bodies.emplace_back(DumpResumed{"a", "/srv", "diagnose"});
  EXPECT_TRUE(after(bodies).dumps[0].paused);
  bodies.emplace_back(DumpResumed{"a", "/srv", "operator"});
  EXPECT_FALSE(after(bodies).dumps[0].paused);
  EXPECT_TRUE(after(bodies).pauses.empty());
}

TEST(State, a_pause_ends_with_the_dump) {
  const auto state = after({planned(kA), started(kA), DumpPaused{"a", "/srv", "operator"}, finished(kA)});
  EXPECT_FALSE(state.dumps[0].paused);
  EXPECT_TRUE(state.pauses.empty());
}

TEST(State, a_pause_shows_what_it_does_to_the_others) {
  std::vector<Body> bodies = {planned(kA), started(kA), planned(kB), started(kB)};
  for (uint64_t i = 1; i <= 20; ++i) bodies.emplace_back(DumpProgress{.image = kB, .bytes = i * 1000});
  bodies.emplace_back(DumpPaused{"a", "/srv", "operator"});
  for (uint64_t i = 1; i <= 5; ++i)
    bodies.emplace_back(DumpProgress{.image = kB, .bytes = 20'000 + i * 3000});
  const auto state = after(bodies);
  const auto& other = state.dumps[1];
  ASSERT_TRUE(other.turn);
  EXPECT_EQ(other.turn->bytes, 20'000U);
  EXPECT_DOUBLE_EQ(other.turn->bytes_per_second_before, 1000);
  EXPECT_DOUBLE_EQ(other.recent_bytes_per_second(), 3000);
  EXPECT_FALSE(other.paused);
  EXPECT_LE(other.samples.size(), kRecentSamples + 1);
}

TEST(State, verdicts_follow_the_dump_from_phase_to_phase) {
  const auto said = [](const char* verdict) { return Verdict{kA, verdict, 0.9, "x", 5}; };
  const auto state = after({planned(kA), said("scheduled"), started(kA), said("network"), said("network"),
                            said("holding disk"), DumpProgress{.image = kA, .bytes = 9}, finished(kA)});
  const auto& spans = state.dumps[0].verdicts.spans();
  ASSERT_EQ(spans.size(), 3U);
  EXPECT_EQ(spans[0].phase, "planned");
  EXPECT_EQ(spans[1].verdict, "network");
  EXPECT_EQ(spans[2].phase, "dumping");
  EXPECT_EQ(state.dumps[0].verdicts.current(), nullptr);
}

TEST(State, a_limit_remembers_what_the_configuration_said) {
  const auto state =
      after({LimitChanged{"inparallel", "", "", "", 4, 2}, LimitChanged{"rate", "", "a", "", 0, 7},
             LimitChanged{"inparallel", "", "", "", 2, 6}});
  ASSERT_EQ(state.limits.size(), 2U);
  EXPECT_EQ(state.limits[0].before, 4);
  EXPECT_EQ(state.limits[0].after, 6);
  EXPECT_EQ(state.limits[1].after, 7);
}

TEST(State, waiting_names_its_reason_until_something_moves) {
  EXPECT_EQ(after({planned(kA), Waiting{kA, "the client's limit"}}).dumps[0].waits_for, "the client's limit");
  EXPECT_EQ(after({planned(kA), Waiting{kA, "x"}, started(kA)}).dumps[0].waits_for, "");
}

TEST(State, a_retried_dump_counts_once_and_remembers_both_tries) {
  const auto state = after({planned(kA), started(kA), failed(kA, 1, true), started(kA, 2), finished(kA, 2)});
  ASSERT_EQ(state.dumps.size(), 1U);
  const auto& dump = state.dumps[0];
  EXPECT_EQ(dump.phase, Phase::held);
  EXPECT_TRUE(dump.retried());
  EXPECT_EQ(dump.failure, "");
  ASSERT_EQ(dump.attempts.size(), 2U);
  EXPECT_EQ(dump.attempts[0].failure, "tar died");
  EXPECT_EQ(dump.attempts[1].failure, "");
  EXPECT_EQ(dump.attempts[1].number, 2);
}

TEST(State, a_failed_try_waits_again_and_the_last_one_is_the_end) {
  EXPECT_EQ(after({planned(kA), started(kA), failed(kA, 1, true)}).dumps[0].phase, Phase::planned);
  const auto state = after({planned(kA), started(kA), failed(kA, 1, false), DumpGivenUp{kA, "no try left"}});
  EXPECT_EQ(state.dumps[0].phase, Phase::failed);
  EXPECT_EQ(state.dumps[0].failure, "tar died");
}

TEST(State, a_dump_straight_to_a_volume_is_written_while_it_is_dumped) {
  const auto direct = started(kA, 1, Destination::volume);
  EXPECT_EQ(after({planned(kA), direct, ImageWriteStarted{kA, "t1", "p"}, part(kA, 1)}).dumps[0].phase,
            Phase::dumping);
  EXPECT_EQ(after({planned(kA), direct, part(kA, 1), finished(kA)}).dumps[0].phase, Phase::writing);
  // Either may come first.
  EXPECT_EQ(after({planned(kA), direct, finished(kA), written(kA)}).dumps[0].phase, Phase::written);
  EXPECT_EQ(after({planned(kA), direct, written(kA), finished(kA)}).dumps[0].phase, Phase::written);
}

TEST(State, samples_count_for_what_is_going_on) {
  const std::vector<Body> dumping = {planned(kA), started(kA), DumpProgress{.image = kA, .bytes = 10},
                                     DumpProgress{.image = kA, .bytes = 10}};
  auto state = after(dumping);
  EXPECT_EQ(state.dumps[0].bytes, 10U);
  EXPECT_EQ(state.dumps[0].moved_us, 4'000'000) << "the second sample brought nothing new";
  EXPECT_EQ(state.dumps[0].progress_us, 5'000'000);
  auto writing = dumping;
  for (const Body& body : {Body(finished(kA)), Body(ImageWriteStarted{kA, "t", "p"}),
                           Body(DumpProgress{.image = kA, .bytes = 3})})
    writing.push_back(body);
  state = after(writing);
  EXPECT_EQ(state.dumps[0].bytes, 10U);
  EXPECT_EQ(state.dumps[0].writing().sampled, 3U);
}

TEST(State, a_flush_stands_beside_tonights_dump_of_the_disk) {
  const auto state =
      after({FlushPlanned{kOld, "/h/old", 70}, planned(kA), ImageWriteStarted{kOld, "t1", "p"}});
  ASSERT_EQ(state.dumps.size(), 2U);
  EXPECT_TRUE(state.dumps[0].flush);
  EXPECT_EQ(state.dumps[0].phase, Phase::writing);
  EXPECT_EQ(state.dumps[0].stored_kib, 70U);
  EXPECT_EQ(state.dumps[1].phase, Phase::planned);
}

TEST(State, a_failed_write_keeps_a_held_image) {
  const ImageWriteFailed again{kA, "t1", "p", false, 0, 0, 0, "I/O error", true};
  const ImageWriteFailed over{kA, "t1", "p", true, 1, 2048, 0, "I/O error", false};
  const std::vector<Body> held = {planned(kA), started(kA), finished(kA), ImageHeld{kA, "/h/x", 50, 2, {}}};
  auto bodies = held;
  bodies.emplace_back(again);
  EXPECT_EQ(after(bodies).dumps[0].phase, Phase::held);
  bodies.emplace_back(over);
  auto state = after(bodies);
  EXPECT_EQ(state.dumps[0].phase, Phase::left);
  EXPECT_TRUE(state.dumps[0].writing().partial);
  bodies.emplace_back(ImageLeftOnHolding{kA, "/h/x", 50, "could not be written"});
  state = after(bodies);
  EXPECT_EQ(state.dumps[0].phase, Phase::left);
  EXPECT_EQ(state.dumps[0].left_reason, "could not be written");
}

TEST(State, volumes_count_what_is_on_them) {
  const VolumeStarted v1{"V1", "1", 1, "t1", "p", kRun, 4096};
  const VolumeStarted v2{"V2", "2", 2, "t1", "p", kRun, 4096};
  const auto state = after({planned(kA), v1, part(kA, 1), part(kA, 2), VolumeFinished{"V1", 6, 2, "OK"}, v2,
                            part(kA, 3, "V2"), VolumeFinished{"V9", 1, 1, "OK"}});
  ASSERT_EQ(state.volumes.size(), 2U);
  EXPECT_EQ(state.volumes[0].parts, 2U);
  EXPECT_EQ(state.volumes[0].used_kib(), 6U);
  EXPECT_TRUE(state.volumes[0].finished);
  EXPECT_EQ(state.volumes[1].used_kib(), 2U);
  EXPECT_FALSE(state.volumes[1].finished);
  EXPECT_EQ(state.dumps[0].writing().labels, (std::vector<std::string>{"V1", "V2"}));
}

TEST(State, exit_status_has_amreports_bits) {
  struct Case {
    const char* what;
    std::vector<Body> bodies;
    int status;
  };
  const std::vector<Body> good = {planned(kA), started(kA), finished(kA), written(kA)};
  const auto with = [&good](std::vector<Body> more) {
    auto all = good;
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  const RunFinished end{0, 1};
  const Case cases[] = {
      {"all well", with({end}), 0},
      {"did not finish", with({}), 1},
      {"nothing to do", {end}, 0},
      {"an error", with({Note{"driver", Severity::error, "x"}, end}), 1},
      {"a warning", with({Note{"driver", Severity::warning, "x"}, end}), 0},
      {"strange", with({finished(kB, 1, true), written(kB), end}), 2},
      {"failed", with({planned(kB), failed(kB, 1, false), end}), 4},
      {"plan failed", with({PlanFailed{kB, "x"}, end}), 4},
      {"retried", with({planned(kB), failed(kB, 1, true), finished(kB, 2), written(kB), end}), 0},
      {"missing", with({DleChosen{"b", "/srv"}, end}), 8},
      {"never started", with({planned(kB), end}), 8},
      {"died on its way to the volume",
       with({planned(kB), started(kB, 1, Destination::volume), finished(kB)}), 9},
      {"died on holding disk", with({planned(kB), started(kB), finished(kB)}), 1},
      {"skipped", with({DleSkipped{kB, "skip-incr"}, end}), 0},
      {"left on holding",
       with({planned(kB), started(kB), finished(kB), ImageLeftOnHolding{kB, "/h", 1, "x"}, end}), 0},
      {"volume error", with({NoVolume{VolumeTrouble::error, "x"}, end}), 16},
      {"volumes used up", with({NoVolume{VolumeTrouble::config, "x"}, end}), 16},
      {"written in part",
       with({finished(kB), ImageHeld{kB, "/h", 1, 1, {}},
             ImageWriteFailed{kB, "t", "p", true, 1, 1, 1, "x", false}, end}),
       16},
      {"written at the second try",
       with({finished(kB), ImageHeld{kB, "/h", 1, 1, {}},
             ImageWriteFailed{kB, "t", "p", false, 1, 1, 1, "x", true}, written(kB), end}),
       0},
      {"several", with({DleChosen{"b", "/srv"}, NoVolume{VolumeTrouble::error, "x"}}), 25},
  };
  for (const auto& c : cases) EXPECT_EQ(exit_status_of(after(c.bodies)), c.status) << c.what;
}

TEST(State, a_journal_that_lost_its_start_still_reduces) {
  const auto state =
      reduce(std::vector<Event>{{5, part(kA, 1)}, {6, finished(kA, 2)}, {7, Unknown{"x", "{}"}}});
  ASSERT_EQ(state.dumps.size(), 1U);
  EXPECT_EQ(state.started_us, 5);
  EXPECT_EQ(state.unknown_events, 1U);
  EXPECT_FALSE(state.started);
}

// Events in an order that no run produces must neither crash nor lose a disk.
TEST(State, any_order_of_events_gives_a_state) {
  const std::vector<Body> pool = {DleChosen{"a", "/srv"},
                                  planned(kA),
                                  planned(kB),
                                  Waiting{kA, "x"},
                                  started(kA),
                                  started(kB, 2, Destination::volume),
                                  DumpProgress{.image = kA, .bytes = 1},
                                  finished(kA),
                                  failed(kB, 2, true),
                                  failed(kA, 3, false),
                                  DumpGivenUp{kB, "x"},
                                  ImageHeld{kA, "/h", 1, 1, {}},
                                  VolumeStarted{"V1", "1", 1, "t", "p", kRun, 0},
                                  ImageWriteStarted{kA, "t", "p"},
                                  part(kA, 1),
                                  PartFailed{kA, "t", "p", "V1", 2, 2, 0, 0, "full"},
                                  written(kB),
                                  ImageWriteFailed{kA, "t", "p", true, 0, 0, 0, "x", false},
                                  ImageLeftOnHolding{kA, "/h", 1, "x"},
                                  VolumeFinished{"V1", 1, 1, "OK"},
                                  NoVolume{VolumeTrouble::error, "x"},
                                  FlushPlanned{kOld, "/h/o", 1},
                                  PlanFailed{kB, "x"},
                                  RunFinished{0, 1}};
  for (unsigned seed = 0; seed < 500; ++seed) {
    std::mt19937 random(seed);
    std::vector<Body> bodies;
    for (size_t n = random() % 40; n > 0; --n) bodies.push_back(pool[random() % pool.size()]);
    const auto state = after(bodies);
    ASSERT_LE(state.dumps.size(), 3U) << "seed " << seed;
    for (const auto& dump : state.dumps)
      ASSERT_TRUE(dump.phase != Phase::failed || !dump.failure.empty()) << "seed " << seed;
    const int status = exit_status_of(state);
    ASSERT_TRUE(status >= 0 && status < 32) << "seed " << seed;
  }
}

// A held image ends when each of its storages has it or was left without.
TEST(State, an_image_for_two_storages) {
  const ImageHeld held{kA, "/h/x", 50, 2, {}, {"a", "b"}};
  const auto begun = [](const char* storage) { return Body{ImageWriteStarted{kA, storage, "p", "V"}}; };
  const auto there = [](const char* storage) {
    return Body{ImageWritten{.image = kA, .storage = storage, .pool = "p"}};
  };
  const auto left = [](const char* storage) {
    return Body{
        ImageLeftOnHolding{kA, "/h/x", 50, "no volume", "no-volume", {{"runtapes", "1", "b"}}, storage}};
  };
  const std::vector<std::pair<std::vector<Body>, Phase>> cases = {
      {{begun("a")}, Phase::writing},
      {{begun("a"), begun("b"), there("a")}, Phase::writing},
      {{begun("a"), there("a")}, Phase::held},
      {{begun("a"), there("a"), begun("b"), there("b")}, Phase::written},
      {{left("b")}, Phase::held},
      {{left("b"), begun("a")}, Phase::writing},
      {{left("b"), begun("a"), there("a")}, Phase::left},
      {{begun("a"), there("a"), left("b")}, Phase::left},
      {{left("a"), left("b")}, Phase::left},
  };
  for (size_t i = 0; i < cases.size(); ++i) {
    std::vector<Body> bodies = {planned(kA), started(kA), finished(kA), held};
    bodies.insert(bodies.end(), cases[i].first.begin(), cases[i].first.end());
    const auto state = after(bodies);
    EXPECT_EQ(name_of(state.dumps[0].phase), name_of(cases[i].second)) << "case " << i;
    EXPECT_TRUE(state.several_storages());
    if (state.dumps[0].phase == Phase::left) EXPECT_EQ(state.dumps[0].code, "no-volume");
  }
}

}  // namespace
}  // namespace headrace::journal
