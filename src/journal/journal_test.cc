#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "journal/codec.h"
#include "journal/file.h"

namespace headrace::journal {
namespace {

const ImageId kImage{"wolke", "/srv/d 3", "20261123005515", 1};

std::vector<Body> one_of_each() {
  return {
      RunStarted{"daily", "Org", "20261123005515", "vm", 4711, "0.1.0", RunKind::flush, 4},
      RunFinished{6, 12.5},
      Note{"planner", Severity::warning, "tapecycle (3) <= runspercycle (7)"},
      LeftoverFound{"removed a half-written holding file", "wolke", "/srv", "20261122005515"},
      DleChosen{"wolke", "/srv"},
      FlushPlanned{kImage, "/hold/20261122/wolke._srv.1", 1024, "autoflush", {"disk", "tape"}},
      EstimateGot{"wolke", "/srv", 1, -1, "client"},
      DlePlanned{kImage,
                 "a full is due",
                 2940,
                 1470,
                 1024,
                 "local",
                 80000,
                 "full-due",
                 {{"dumpcycle", "5 days", "usual"}}},
      DleSkipped{kImage, "skip-incr"},
      PlanFailed{kImage, "no estimate"},
      PlanDone{2.25},
      Waiting{kImage, "another dump to end", "host-limit", {{"maxdumps", "1", "wolke"}}},
      DumpStarted{kImage, 2, Destination::volume, "", "no-room"},
      DumpProgress{kImage,
                   1U << 20U,
                   "network",
                   {{"network send", 1U << 20U, 10, 20, 30, 40, 50, {1, 2}}},
                   {{"client", 1, 2, 3, 4, 0, 0, 7}}},
      DumpFinished{kImage, 2, 2940, 1470, 1.5, {1, 2}, {3, 4}, {5, 6}, true, {"? odd", "sendbackup: end"}},
      DumpFailed{kImage, 1, "tar died", {"? tar: killed"}, true},
      DumpGivenUp{kImage, "no room"},
      ImageHeld{kImage, "/hold/x", 1470, 1.25, {5, 6}, {"disk", "tape"}},
      VolumeStarted{"T1-001", "3", 1, "t1", "pool", "20261123005515", 4096},
      ImageWriteStarted{kImage, "t1", "pool", "V-001"},
      PartWritten{kImage, "t1", "pool", "T1-001", 3, 1, -1, 1U << 20U, 0.5, 2940},
      PartFailed{kImage, "t1", "pool", "T1-001", 4, 2, 512, 0.1, "no space on volume"},
      ImageWritten{kImage, "t1", "pool", 3, 3010560, 0.75, 2940, {1, 2}, {3, 4}, {5, 6}},
      ImageWriteFailed{kImage, "t1", "pool", true, 1, 512, 0.1, "I/O error", true},
      ImageLeftOnHolding{kImage, "/hold/x", 1470, "no volume"},
      VolumeFinished{"T1-001", 3428, 5, "OK"},
      NoVolume{VolumeTrouble::config, "runtapes", "tape"},
      DumpPaused{"wolke", "/srv/d 3", "operator"},
      DumpResumed{"wolke", "/srv/d 3", "diagnose"},
      LimitChanged{"rate", "", "wolke", "/srv/d 3", 0, 5'000'000},
      Verdict{kImage, "network", 0.75, "the server waited for it 95 %", 12'000'000},
      RunVerdict{"scheduled", 1, "dumps waiting for their turn: 2", 5},
  };
}

TEST(Codec, every_event_survives) {
  const auto bodies = one_of_each();
  ASSERT_EQ(bodies.size() + 1, std::variant_size_v<Body>) << "an event is missing from this test";
  for (size_t i = 0; i < bodies.size(); ++i) {
    ASSERT_EQ(bodies[i].index(), i);
    const Event event{1795395315000001, bodies[i]};
    const auto line = encode(event);
    const auto back = parse(line);
    ASSERT_TRUE(back) << line << back.error().what();
    EXPECT_EQ(*back, event) << line;
  }
}

// The text is written without a tree of values; the library would write the same.
TEST(Codec, lines_are_as_the_library_would_write_them) {
  auto bodies = one_of_each();
  std::string every_byte;
  for (int byte = 0; byte < 0x80; ++byte) every_byte += static_cast<char>(byte);
  bodies.emplace_back(Note{"driver", Severity::info, every_byte + "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"});
  bodies.emplace_back(Note{"driver", Severity::info, "\xff\""});
  for (const double seconds : {0.0, 1.0, -0.0, 0.1, 1e-7, 1e15, 1e16, 123456789.125, 1e300})
    bodies.emplace_back(PlanDone{seconds});
  for (const auto& body : bodies) {
    const auto line = encode({INT64_MIN, body});
    EXPECT_EQ(nlohmann::ordered_json::parse(line).dump(), line);
  }
}

TEST(Codec, lines_are_as_documented) {
  EXPECT_EQ(
      encode({1795395315000001, PartWritten{kImage, "t1", "p", "T1-001", 3, 1, -1, 1048576, 0.5, 2940}}),
      R"({"t":1795395315000001,"type":"part-written","host":"wolke","disk":"/srv/d 3",)"
      R"("dump":"20261123005515","level":1,"storage":"t1","pool":"p","label":"T1-001","fileno":3,"part":1,)"
      R"("parts":-1,"bytes":1048576,"seconds":0.5,"orig_kib":2940})");
  EXPECT_EQ(
      encode({7, DumpFinished{.image = kImage, .native_crc = {0x8a716bc9, 3010560}}}),
      R"({"t":7,"type":"dump-finished","host":"wolke","disk":"/srv/d 3","dump":"20261123005515","level":1,)"
      R"("attempt":1,"native_kib":0,"stored_kib":0,"seconds":0.0,"native_crc":"8a716bc9:3010560",)"
      R"("client_crc":"00000000:0","server_crc":"00000000:0","strange":false,"messages":[]})");
}

TEST(Codec, samples_are_short_and_older_ones_are_read) {
  EXPECT_EQ(
      encode({7, DumpProgress{.image = kImage, .bytes = 9, .joints = {{.name = "source", .bytes = 9}}}}),
      R"({"t":7,"type":"dump-progress","host":"wolke","disk":"/srv/d 3","dump":"20261123005515",)"
      R"("level":1,"bytes":9,"waits_for":"","joints":[{"name":"source","bytes":9}],"tcp":[],"storage":""})");
  const auto older = parse(
      R"({"t":7,"type":"dump-progress","host":"a","disk":"b","dump":"20261123005515","level":1,"bytes":9,)"
      R"("waits_for":"","joints":[{"name":"receive","bytes":9,"starved_ms":1,"blocked_ms":0,"gated_ms":0}]})");
  ASSERT_TRUE(older);
  const auto& progress = std::get<DumpProgress>(older->body);
  EXPECT_EQ(progress.joints, (std::vector<Joint>{{"receive", 9, 1}}));
  EXPECT_TRUE(progress.tcp.empty());
}

TEST(Codec, strings_of_any_bytes_survive) {
  const std::string odd[] = {"",
                             "plain",
                             "\xc3\xa9t\xc3\xa9",
                             std::string("\0\n\x7f", 3),
                             "\xff\xfe",
                             "\xc3",
                             "\xed\xa0\x80",
                             "\xc0\x80",
                             "a\x80",
                             "\xf4\x90\x80\x80",
                             "\xf0\x9f\x98\x80",
                             "\xe2\x82"};
  for (const auto& text : odd) {
    const Event event{1, DumpFailed{.image = {text, text, "", 0}, .message = text, .messages = {text, "x"}}};
    const auto line = encode(event);
    EXPECT_EQ(line.find('\n'), std::string::npos);
    const auto back = parse(line);
    ASSERT_TRUE(back) << line;
    EXPECT_EQ(*back, event) << line;
  }
  EXPECT_NE(encode({1, DleChosen{"\xff", "/"}}).find(R"("host":{"hex":"ff"})"), std::string::npos);
}

TEST(Codec, numbers_that_json_has_not_become_zero) {
  const auto back = parse(encode({1, PlanDone{std::numeric_limits<double>::infinity()}}));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->body, Body(PlanDone{0}));
}

TEST(Codec, a_newer_writers_event_is_kept) {
  const std::string line = R"({"t":5,"type":"vault-started","storage":"off","list":[1,{"a":null}]})";
  const auto event = parse(line);
  ASSERT_TRUE(event);
  EXPECT_EQ(event->body, Body(Unknown{"vault-started", line}));
  EXPECT_EQ(type_of(event->body), "vault-started");
  EXPECT_EQ(encode(*event), line);
}

TEST(Codec, missing_members_keep_their_default_and_new_ones_are_ignored) {
  const auto event = parse(R"({"t":5,"type":"dump-started","host":"h","novel":{"x":[]}})");
  ASSERT_TRUE(event);
  EXPECT_EQ(event->body, Body(DumpStarted{.image = {"h", "", "", 0}}));
}

TEST(Codec, what_is_no_event_is_corrupt) {
  const std::string bad[] = {
      "",
      "{",
      "[]",
      "null",
      "17",
      "{}",
      R"({"t":1})",
      R"({"type":"plan-done"})",
      R"({"t":"1","type":"plan-done"})",
      R"({"t":1.5,"type":"plan-done"})",
      R"({"t":99999999999999999999,"type":"plan-done"})",
      R"({"t":1,"type":7})",
      R"({"t":1,"type":"plan-done","seconds":"3"})",
      R"({"t":1,"type":"plan-done","seconds":1e999})",
      R"({"t":1,"type":"dump-started","level":99999999999})",
      R"({"t":1,"type":"dump-started","level":-1.5})",
      R"({"t":1,"type":"dump-started","to":"moon"})",
      R"({"t":1,"type":"dump-started","host":{"hex":"f"}})",
      R"({"t":1,"type":"dump-started","host":{"hex":"FG"}})",
      R"({"t":1,"type":"dump-started","host":{"hex":"00","x":1}})",
      R"({"t":1,"type":"image-held","stored_kib":-1})",
      R"({"t":1,"type":"dump-failed","messages":"x"})",
      R"({"t":1,"type":"dump-failed","messages":[1]})",
      R"({"t":1,"type":"dump-progress","joints":[{"bytes":true}]})",
      R"({"t":1,"type":"plan-done"} trailing)",
      std::string(kMaxLineBytes + 1, ' '),
      std::string(1U << 20U, '['),
  };
  for (const auto& line : bad) {
    const auto event = parse(line);
    ASSERT_FALSE(event) << line.substr(0, 80);
    EXPECT_EQ(event.error().kind(), base::ErrorKind::corrupt);
  }
}

TEST(Codec, no_prefix_of_a_line_is_an_event) {
  for (const auto& body : one_of_each()) {
    const auto line = encode({1, body});
    for (size_t n = 0; n < line.size(); ++n) EXPECT_FALSE(parse(line.substr(0, n))) << line.substr(0, n);
  }
}

// --- the file
// -----------------------------------------------------------------------------------------------

class SteppedClock : public base::Clock {
 public:
  base::Instant now() const override { return base::Instant(mono); }
  int64_t wall_seconds() const override { return wall; }
  base::Duration mono{};
  int64_t wall = 1795395315;
};

class Journal : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "journalXXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    dir_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  std::unique_ptr<Writer> writer(const std::string& timestamp = "20261123005515") {
    auto made = Writer::create(dir_, timestamp, clock_);
    EXPECT_TRUE(made) << made.error().what();
    return made ? std::move(*made) : nullptr;
  }
  void add_text(std::string_view text) {
    const auto fd = base::open_file(path_of(dir_, "20261123005515"), O_WRONLY | O_APPEND);
    ASSERT_TRUE(fd);
    ASSERT_TRUE(base::write_all(fd->get(), text, "journal"));
  }

  std::filesystem::path dir_;
  SteppedClock clock_;
};

TEST_F(Journal, what_is_appended_is_read) {
  const auto out = writer();
  for (const auto& body : one_of_each()) {
    clock_.mono += std::chrono::milliseconds(1500);
    ASSERT_TRUE(out->append(body));
  }
  ASSERT_TRUE(out->sync());
  struct stat status = {};
  ASSERT_EQ(::stat(out->path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);

  const auto read = read_all(out->path());
  ASSERT_TRUE(read);
  EXPECT_TRUE(read->problems.empty());
  const auto bodies = one_of_each();
  ASSERT_EQ(read->events.size(), bodies.size());
  for (size_t i = 0; i < bodies.size(); ++i) {
    EXPECT_EQ(read->events[i].body, bodies[i]);
    EXPECT_EQ(read->events[i].wall_us, 1795395315'000000 + static_cast<int64_t>(i + 1) * 1500000);
  }
}

TEST_F(Journal, a_stepped_clock_does_not_turn_time_back) {
  const auto out = writer();
  ASSERT_TRUE(out->append(PlanDone{1}));
  clock_.wall -= 3600;
  clock_.mono += std::chrono::seconds(1);
  ASSERT_TRUE(out->append(PlanDone{2}));
  const auto read = read_all(out->path());
  ASSERT_TRUE(read);
  ASSERT_EQ(read->events.size(), 2U);
  EXPECT_EQ(read->events[1].wall_us - read->events[0].wall_us, 1000000);
}

TEST_F(Journal, a_run_never_continues_anothers) {
  const auto first = writer();
  const auto second = Writer::create(dir_, "20261123005515", clock_);
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().what().find("journal.20261123005515"), std::string::npos);
}

TEST_F(Journal, an_event_that_is_too_long_is_refused_and_leaves_no_trace) {
  const auto out = writer();
  const auto done = out->append(Note{"dumper", Severity::info, std::string(kMaxLineBytes, 'x')});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind(), base::ErrorKind::refused);
  ASSERT_TRUE(out->append(PlanDone{1}));
  const auto read = read_all(out->path());
  ASSERT_TRUE(read);
  EXPECT_EQ(read->events.size(), 1U);
}

TEST_F(Journal, the_lock_tells_whether_the_writer_lives) {
  auto out = writer();
  const auto path = out->path();
  // Reading it in the same process must not drop the lock.
  ASSERT_TRUE(read_all(path));
  auto held = is_being_written(path);
  ASSERT_TRUE(held);
  EXPECT_TRUE(*held);
  out.reset();
  held = is_being_written(path);
  ASSERT_TRUE(held);
  EXPECT_FALSE(*held);
  EXPECT_FALSE(is_being_written(dir_ / "journal.none"));
}

TEST_F(Journal, its_end_says_whether_the_run_finished) {
  const auto out = writer();
  const auto finished = [&] {
    const auto said = ends_finished(out->path());
    EXPECT_TRUE(said) << said.error().what();
    return said && *said;
  };
  EXPECT_FALSE(finished()) << "nothing is in it";
  ASSERT_TRUE(out->append(one_of_each()[0]));
  EXPECT_FALSE(finished());
  // Longer than what is looked at.
  ASSERT_TRUE(out->append(Note{"driver", Severity::info, std::string(40000, 'x')}));
  EXPECT_FALSE(finished());
  ASSERT_TRUE(out->append(RunFinished{0, 1}));
  EXPECT_TRUE(finished());
  add_text("{");
  EXPECT_FALSE(finished()) << "torn";
  EXPECT_FALSE(ends_finished(dir_ / "none"));
}

TEST_F(Journal, a_torn_last_line_is_told_and_the_rest_is_good) {
  {
    const auto out = writer();
    ASSERT_TRUE(out->append(PlanDone{1}));
  }
  add_text(R"({"t":1,"type":"plan)");
  const auto read = read_all(path_of(dir_, "20261123005515"));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->events.size(), 1U);
  ASSERT_EQ(read->problems.size(), 1U);
  EXPECT_NE(read->problems[0].find("incomplete (19 bytes)"), std::string::npos) << read->problems[0];
}

TEST_F(Journal, a_bad_line_is_named_and_skipped) {
  {
    const auto out = writer();
    ASSERT_TRUE(out->append(PlanDone{1}));
  }
  add_text("rubbish\n\n{\"t\":9,\"type\":\"plan-done\",\"seconds\":2}\n");
  const auto read = read_all(path_of(dir_, "20261123005515"));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->events.size(), 2U);
  ASSERT_EQ(read->problems.size(), 1U);
  EXPECT_NE(read->problems[0].find("journal.20261123005515:2: "), std::string::npos) << read->problems[0];
}

TEST_F(Journal, many_bad_lines_are_counted_not_listed) {
  writer().reset();
  std::string rubbish;
  for (int i = 0; i < 10000; ++i) rubbish += "x\n";
  add_text(rubbish);
  const auto read = read_all(path_of(dir_, "20261123005515"));
  ASSERT_TRUE(read);
  ASSERT_EQ(read->problems.size(), 21U);
  EXPECT_NE(read->problems.back().find("9980 more lines"), std::string::npos) << read->problems.back();
}

TEST_F(Journal, a_file_without_lines_is_no_journal) {
  writer().reset();
  add_text(std::string(kMaxLineBytes + (1U << 20U), 'x'));
  const auto read = read_all(path_of(dir_, "20261123005515"));
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().kind(), base::ErrorKind::corrupt);
}

TEST_F(Journal, a_follower_gets_what_is_new) {
  const auto out = writer();
  auto reader = Reader::open(out->path());
  ASSERT_TRUE(reader);
  auto got = reader->next();
  ASSERT_TRUE(got);
  EXPECT_TRUE(got->events.empty());
  ASSERT_TRUE(out->append(PlanDone{1}));
  add_text(R"({"t":1,"ty)");
  got = reader->next();
  ASSERT_TRUE(got);
  EXPECT_EQ(got->events.size(), 1U);
  EXPECT_EQ(reader->torn_bytes(), 10U);
  add_text("pe\":\"plan-done\"}\n");
  got = reader->next();
  ASSERT_TRUE(got);
  ASSERT_EQ(got->events.size(), 1U);
  EXPECT_EQ(got->events[0].body, Body(PlanDone{}));
  EXPECT_EQ(reader->torn_bytes(), 0U);
}

TEST_F(Journal, thousands_of_events_come_in_portions) {
  const auto out = writer();
  for (int i = 0; i < 9000; ++i) ASSERT_TRUE(out->append(PlanDone{static_cast<double>(i)}));
  const auto read = read_all(out->path());
  ASSERT_TRUE(read);
  ASSERT_EQ(read->events.size(), 9000U);
  EXPECT_EQ(read->events[8999].body, Body(PlanDone{8999}));
}

TEST_F(Journal, journals_are_listed_by_age) {
  writer("20261123005515").reset();
  writer("20251123005515").reset();
  for (const char* name : {"journal.2026", "journal.20261123005515.bak", "log.20261123005515.0"})
    ASSERT_TRUE(base::append_locked(dir_ / name, "x"));
  const auto found = list(dir_);
  ASSERT_TRUE(found);
  EXPECT_EQ(*found, (std::vector<std::string>{"20251123005515", "20261123005515"}));
  const auto none = list(dir_ / "missing");
  ASSERT_TRUE(none);
  EXPECT_TRUE(none->empty());
}

}  // namespace
}  // namespace headrace::journal
