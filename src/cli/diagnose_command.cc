#include "cli/diagnose_command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <utility>

#include "auth/connect.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "cli/run_connection.h"
#include "loop/signals.h"
#include "server/drive/night.h"
#include "server/drive/probes.h"
#include "server/observe/experiment.h"
#include "server/observe/text.h"

namespace headrace::cli {
namespace {

using base::ErrorKind;
using base::Result;
using observe::ControlDump;
using observe::ControlReply;
using observe::ControlRequest;
using observe::Subject;

// Beyond that pairs take too long, and their number grows as the square.
constexpr size_t kMostInPairs = 8;
constexpr size_t kMostSubjects = 64;
constexpr unsigned kWorkers = 8;

int complain(const std::string& what) {
  fmt::print(stderr, "headrace: {}\n", what);
  return kExitUsage;
}

uint64_t waited(const ControlDump& dump, uint64_t journal::Joint::* what) {
  return dump.joints.empty() ? 0 : dump.joints.back().*what;
}

// The dumps of a run, through its control socket.
class RunBench : public observe::Bench {
 public:
  RunBench(observe::ControlClient& client, const std::vector<Subject>& subjects)
      : client_(client), subjects_(subjects) {}

  void open_only(const std::vector<size_t>& open, std::move_only_function<void(Result<>)> done) override {
    client_.ask({.what = ControlRequest::Do::only, .words = words_of(open), .exact = true},
                [done = std::move(done)](Result<ControlReply> reply) mutable {
                  done(reply ? Result<>() : std::unexpected(std::move(reply).error()));
                });
  }
  void count(std::move_only_function<void(Result<observe::BenchCounts>)> done) override {
    std::vector<size_t> all;
    for (size_t i = 0; i < subjects_.size(); ++i) all.push_back(i);
    client_.ask({.words = words_of(all), .exact = true},
                [this, done = std::move(done)](Result<ControlReply> reply) mutable {
                  if (!reply) return done(std::unexpected(std::move(reply).error()));
                  done(counts_of(*reply));
                });
  }

 private:
  std::vector<std::string> words_of(const std::vector<size_t>& chosen) const {
    std::vector<std::string> words;
    for (const size_t i : chosen) words.insert(words.end(), {subjects_[i].host, subjects_[i].disk});
    return words;
  }
  observe::BenchCounts counts_of(const ControlReply& reply) const {
    observe::BenchCounts counts{.now_us = reply.now_us};
    for (const auto& subject : subjects_) {
      observe::BenchCount count;
      for (const auto& dump : reply.dumps) {
        if (dump.host != subject.host || dump.disk != subject.disk) continue;
        count = {dump.stand == ControlDump::Stand::dumping,
                 dump.bytes,
                 waited(dump, &journal::Joint::starved_ms),
                 waited(dump, &journal::Joint::blocked_ms),
                 dump.verdict,
                 {},
                 waited(dump, &journal::Joint::throttled_ms)};
      }
      counts.dumps.push_back(std::move(count));
    }
    return counts;
  }

  observe::ControlClient& client_;
  const std::vector<Subject>& subjects_;
};

std::string phase_name(const std::vector<Subject>& subjects, const std::vector<size_t>& open) {
  if (open.size() == subjects.size() && open.size() > 1) return "all together";
  std::string out;
  for (const size_t i : open)
    out += (out.empty() ? "" : " with ") + observe::dle_name({subjects[i].host, subjects[i].disk, {}, 0});
  return open.size() == 1 ? out + " alone" : out;
}

observe::ExperimentOptions plan_of(const DiagnoseOptions& options, size_t dumps) {
  const auto duration = [](double seconds) {
    return std::chrono::duration_cast<base::Duration>(std::chrono::duration<double>(seconds));
  };
  return {duration(options.settle), duration(options.seconds), options.rounds, dumps <= kMostInPairs};
}

// Runs the experiment to its end or ^C, telling how far it is on standard error.
int measure(loop::Loop& loop, observe::Bench& bench, const std::vector<Subject>& subjects,
            const DiagnoseOptions& options) {
  const auto plan = plan_of(options, subjects.size());
  const bool terminal = ::isatty(STDERR_FILENO) == 1;
  const double seconds = std::chrono::duration<double>(observe::duration_of(subjects.size(), plan)).count();
  fmt::print(stderr, "measuring {}, {}, about {}, longer when they are slow\n",
             observe::count_of(subjects.size(), "dump"),
             observe::count_of(static_cast<uint64_t>(plan.rounds), "round"), observe::duration(seconds));
  if (!plan.pairs)
    fmt::print(stderr, "no pairs: at most {} dumps are measured in pairs; name hosts or disks\n",
               kMostInPairs);
  observe::Experiment experiment(loop, bench, subjects.size(), plan);
  observe::Experiment::Outcome outcome;
  const auto signals = loop::on_signals(loop, {SIGINT, SIGTERM}, [&](int) {
    experiment.stop(base::Error(ErrorKind::cancelled, "interrupted"));
  });
  experiment.start(
      [&](int round, const std::vector<size_t>& open) {
        fmt::print(stderr, "{}round {} of {}: {}{}", terminal ? "\r\x1b[K" : "", round, plan.rounds,
                   phase_name(subjects, open), terminal ? "" : "\n");
        std::fflush(stderr);
      },
      [&](observe::Experiment::Outcome ended) {
        outcome = std::move(ended);
        loop.stop();
      });
  loop.run();
  if (terminal) fmt::print(stderr, "\r\x1b[K");
  if (!outcome.ended) fmt::print(stderr, "headrace: ended early: {}\n", outcome.ended.error().what());
  if (outcome.taken.empty()) return complain("nothing was measured");
  const auto diagnosis = observe::diagnose(subjects, outcome.taken);
  fmt::print("{}", options.json ? observe::diagnosis_json(subjects, diagnosis)
                                : observe::diagnosis_text(subjects, diagnosis));
  return 0;
}

int diagnose_run(RunConnection& run, const DiagnoseOptions& options) {
  if (!options.until.empty())
    return complain("a run goes on, and its dumps are measured as they are: leave --until out");
  const auto shown = run.ask({.words = options.disks});
  if (!shown) return complain(shown.error().what());
  std::vector<Subject> subjects;
  size_t paused = 0;
  for (const auto& dump : shown->dumps) {
    if (dump.stand != ControlDump::Stand::dumping) continue;
    if (dump.paused) {
      ++paused;
      continue;
    }
    const uint64_t left = dump.est_bytes > dump.bytes ? dump.est_bytes - dump.bytes : 0;
    subjects.push_back({dump.host, dump.disk, dump.spindle, left});
  }
  if (subjects.empty())
    return complain(fmt::format("of what was named nothing is being dumped at the moment{}",
                                paused > 0 ? fmt::format(" ({} paused)", paused) : ""));
  if (subjects.size() > kMostSubjects)
    return complain(fmt::format("{} dumps run; name hosts or disks, at most {} are measured", subjects.size(),
                                kMostSubjects));
  RunBench bench(*run.client, subjects);
  return measure(*run.loop, bench, subjects, options);
}

// Dumps that are made for this alone.
class ProbeBench : public observe::Bench {
 public:
  ProbeBench(loop::Loop& loop, drive::Probes& probes, const std::vector<size_t>& flowing, bool on_client)
      : loop_(loop), probes_(probes), flowing_(flowing), on_client_(on_client) {}

  void open_only(const std::vector<size_t>& open, std::move_only_function<void(Result<>)> done) override {
    std::vector<size_t> chosen;
    for (const size_t i : open) chosen.push_back(flowing_[i]);
    probes_.open_only(chosen);
    loop_.post([done = std::move(done)]() mutable { done({}); });
  }
  void count(std::move_only_function<void(Result<observe::BenchCounts>)> done) override {
    observe::BenchCounts counts;
    counts.now_us =
        std::chrono::duration_cast<std::chrono::microseconds>(loop_.clock().now().time_since_epoch()).count();
    const auto stands = probes_.stands();
    if (on_client_) {
      counts.starved_by = "source";
      counts.blocked_by = "client cpu";
    }
    for (const size_t i : flowing_) {
      const auto& stand = stands[i];
      counts.dumps.push_back({stand.runs, stand.bytes, stand.starved_ms, stand.blocked_ms, {}, stand.at_ms});
    }
    loop_.post([done = std::move(done), counts = std::move(counts)]() mutable { done(std::move(counts)); });
  }

 private:
  loop::Loop& loop_;
  drive::Probes& probes_;
  const std::vector<size_t>& flowing_;
  const bool on_client_;  // what is counted are the client's own meters
};

drive::Probes::Until until_of(const std::string& word) {
  using Until = drive::Probes::Until;
  if (word == "source") return Until::source;
  if (word == "client") return Until::client;
  return word == "holding" ? Until::holding : Until::network;
}

// Of the last full dumps, as stored; 0 unknown.
std::vector<uint64_t> known_sizes(const ServerContext& context,
                                  const std::vector<config::DiskListEntry>& disks,
                                  const std::string& timestamp) {
  std::vector<uint64_t> out;
  for (const auto& dle :
       drive::begin_night(context.config, disks, drive::Disks::selected, timestamp, 0).inputs.dles) {
    const auto full = dle.records.find(0);
    out.push_back(full == dle.records.end() ? 0 : full->second.stored_kib * base::kKiB);
  }
  return out;
}

int diagnose_disks(const ServerContext& context, const DiagnoseOptions& options) {
  auto disks = select_disks(context.disks, options.disks);
  if (!disks) return kExitUsage;
  if (disks->size() > kMostSubjects)
    return complain(fmt::format("{} disks are named; at most {} are measured", disks->size(), kMostSubjects));
  auto loop = loop::make_loop(kWorkers);
  auth::NetConnector connector(*loop);
  const std::string timestamp = base::timestamp14(loop->clock().wall_seconds());
  const auto sizes = known_sizes(context, *disks, timestamp);
  const auto until = until_of(options.until);
  drive::Probes probes(*loop, connector, context.config, *disks, until, timestamp);
  bool interrupted = false;
  {
    const auto signals = loop::on_signals(*loop, {SIGINT, SIGTERM}, [&](int) {
      interrupted = true;
      loop->stop();
    });
    fmt::print(stderr, "starting {}, thrown away at: {}\n", observe::count_of(disks->size(), "full dump"),
               options.until.empty() ? "network" : options.until);
    probes.start([&] { loop->stop(); });
    loop->run();
  }
  if (interrupted) return complain("interrupted before anything was measured");
  std::vector<Subject> subjects;
  std::vector<size_t> flowing;
  const auto stands = probes.stands();
  for (size_t i = 0; i < stands.size(); ++i) {
    const auto& disk = (*disks)[i];
    if (stands[i].runs && stands[i].flows) {
      subjects.push_back({disk.host, disk.disk, disk.spindle, sizes[i]});
      flowing.push_back(i);
      continue;
    }
    (void)complain(fmt::format("{} is left out: {}", observe::dle_name({disk.host, disk.disk, {}, 0}),
                               !stands[i].problem.empty() ? stands[i].problem
                               : stands[i].runs           ? "no data has come"
                                                          : "it ended before it could be measured"));
  }
  if (subjects.empty()) return complain("nothing can be measured");
  const bool on_client = until == drive::Probes::Until::source || until == drive::Probes::Until::client;
  ProbeBench bench(*loop, probes, flowing, on_client);
  return measure(*loop, bench, subjects, options);
}

}  // namespace

int diagnose(const DiagnoseOptions& options) {
  const auto context = load_context(options.config, options.overrides, true);
  if (!context) return kExitUsage;
  const auto alive = living_runs(context->config.globals.logdir);
  if (!alive) return complain(alive.error().what());
  if (!alive->empty() || !options.run.empty()) {
    auto runs = connect_to_runs(*context, options.run);
    if (!runs) return complain(runs.error().what());
    auto run = the_run_of(std::move(*runs), options.disks);
    return run ? diagnose_run(*run, options) : complain(run.error().what());
  }
  if (options.disks.empty())
    return complain(
        fmt::format("no run of {} goes on; name hosts or disks, and dumps of them are made and thrown "
                    "away to measure them",
                    context->config.name));
  return diagnose_disks(*context, options);
}

}  // namespace headrace::cli
