#include "server/observe/diagnosis.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <numeric>
#include <optional>

#include "server/observe/text.h"

namespace headrace::observe {
namespace {

// Sums of what two dumps keep, of 2: see Relation.
constexpr double kIndependent = 1.7;
constexpr double kPartly = 1.2;
constexpr double kHarmful = 0.85;
// A dump that keeps so much in a pair is not hindered by the other.
constexpr double kUnhindered = 0.85;
// The share of a phase that a flow must have waited at one side to have its bottleneck there.
constexpr double kMostlyWaited = 0.3;
constexpr double kMostlyThrottled = 0.5;

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

// Of three and more: the middle half; of fewer: all.
double spread(std::vector<double> values) {
  if (values.size() < 2) return 0;
  std::ranges::sort(values);
  const size_t cut = values.size() / 4;
  const double typical = median(values);
  return typical <= 0 ? 0 : (values[values.size() - 1 - cut] - values[cut]) / typical;
}

// The word that comes most often; of equally many the first in the alphabet.
std::string usual(const std::vector<std::string>& words) {
  std::map<std::string, int> counts;
  for (const auto& word : words)
    if (!word.empty()) ++counts[word];
  const auto most = std::ranges::max_element(counts, {}, [](const auto& it) { return it.second; });
  return most == counts.end() ? "" : most->first;
}

// Without a verdict the server's own flow still says on which side it waited.
std::string bottleneck_of(const PhaseRate& rate) {
  // A gate that was just closed is no finding; a rate limit is.
  if (rate.throttled >= kMostlyThrottled) return "throttled";
  if (!rate.verdict.empty() && rate.verdict != "none" && rate.verdict != "throttled") return rate.verdict;
  if (rate.blocked >= kMostlyWaited && rate.blocked >= rate.starved) return rate.blocked_by;
  if (rate.starved >= kMostlyWaited) return rate.starved_by;
  return rate.verdict == "none" ? "none" : "";
}

// Everything that was measured of one set of dumps, by subject.
struct Series {
  std::map<size_t, std::vector<double>> rates;
  std::map<size_t, std::vector<std::string>> bottlenecks;
};

std::map<std::vector<size_t>, Series> series_of(const std::vector<Measured>& taken) {
  std::map<std::vector<size_t>, Series> out;
  for (const auto& measured : taken) {
    std::vector<size_t> open;
    for (const auto& rate : measured.rates) open.push_back(rate.subject);
    std::ranges::sort(open);
    auto& series = out[open];
    for (const auto& rate : measured.rates) {
      series.rates[rate.subject].push_back(rate.bytes_per_second);
      series.bottlenecks[rate.subject].push_back(bottleneck_of(rate));
    }
  }
  return out;
}

Relation relation_of(double keeps_a, double keeps_b) {
  const double sum = keeps_a + keeps_b;
  if (sum >= kIndependent) return Relation::independent;
  if (sum >= kPartly) return Relation::partly;
  return sum >= kHarmful ? Relation::shared : Relation::harmful;
}

bool hinders(Relation relation) { return relation == Relation::shared || relation == Relation::harmful; }

class Analysis {
 public:
  Analysis(const std::vector<Subject>& subjects, const std::vector<Measured>& taken)
      : subjects_(subjects), series_(series_of(taken)) {}

  Diagnosis run() {
    rates();
    pairs();
    group();
    predict();
    say();
    return std::move(out_);
  }

 private:
  std::string name(size_t i) const { return dle_name({subjects_[i].host, subjects_[i].disk, {}, 0}); }
  static std::string mib(double rate) {
    const auto text = rate > 0 ? observe::rate(static_cast<uint64_t>(rate), 1) : "";
    return text.empty() ? "nothing" : text;
  }

  void rates() {
    std::vector<size_t> all(subjects_.size());
    std::iota(all.begin(), all.end(), size_t{0});
    for (size_t i = 0; i < subjects_.size(); ++i) {
      SubjectFinding it;
      if (const auto alone = series_.find({i}); alone != series_.end()) {
        it.alone = median(alone->second.rates[i]);
        it.spread = spread(alone->second.rates[i]);
        it.alone_at = usual(alone->second.bottlenecks[i]);
      }
      if (const auto together = series_.find(all); together != series_.end()) {
        it.together = median(together->second.rates[i]);
        it.together_at = usual(together->second.bottlenecks[i]);
      }
      out_.subjects.push_back(std::move(it));
    }
  }

  void pairs() {
    for (auto& [open, series] : series_) {
      if (open.size() != 2) continue;
      PairFinding it{.a = open[0], .b = open[1]};
      const double alone_a = out_.subjects[it.a].alone;
      const double alone_b = out_.subjects[it.b].alone;
      if (alone_a <= 0 || alone_b <= 0) continue;
      it.rate_a = median(series.rates[it.a]);
      it.rate_b = median(series.rates[it.b]);
      it.keeps_a = it.rate_a / alone_a;
      it.keeps_b = it.rate_b / alone_b;
      // More than all is chance, and must not make up for what the other loses.
      it.relation = relation_of(std::min(it.keeps_a, 1.0), std::min(it.keeps_b, 1.0));
      if (it.relation != Relation::independent)
        it.joint = shared_joint(it, usual(series.bottlenecks[it.a]), usual(series.bottlenecks[it.b]));
      out_.pairs.push_back(std::move(it));
    }
  }

  // Where both wait; when they differ, where the one waits that loses more.
  std::string shared_joint(const PairFinding& pair, const std::string& at_a, const std::string& at_b) const {
    std::string at = pair.keeps_a <= pair.keeps_b ? at_a : at_b;
    if (at.empty()) at = at_a.empty() ? at_b : at_a;
    const bool same_host = subjects_[pair.a].host == subjects_[pair.b].host;
    // Two hosts have no disk and no processor in common.
    if (!same_host && (at == "source" || at == "client cpu" || at == "client or network")) return "network";
    return at;
  }

  void group() {
    std::vector<size_t> leader(subjects_.size());
    std::iota(leader.begin(), leader.end(), size_t{0});
    const auto find = [&leader](size_t i) {
      while (leader[i] != i) i = leader[i];
      return i;
    };
    for (const auto& pair : out_.pairs)
      if (hinders(pair.relation))
        leader[std::max(find(pair.a), find(pair.b))] = std::min(find(pair.a), find(pair.b));
    std::map<size_t, std::vector<size_t>> groups;
    for (size_t i = 0; i < subjects_.size(); ++i) groups[find(i)].push_back(i);
    for (auto& [first, members] : groups) out_.groups.push_back(std::move(members));
  }

  void predict() {
    double together = 0;
    double in_turns = 0;
    for (size_t i = 0; i < subjects_.size(); ++i) {
      const auto expected = static_cast<double>(subjects_[i].expected_bytes);
      if (expected <= 0 || out_.subjects[i].alone <= 0 || out_.subjects[i].together <= 0) return;
      in_turns += expected / out_.subjects[i].alone;
    }
    // As one ends, the rates of the others grow: never slower than the sum that all together have.
    double left = 0;
    double speed = 0;
    for (size_t i = 0; i < subjects_.size(); ++i) {
      left += static_cast<double>(subjects_[i].expected_bytes);
      speed += out_.subjects[i].together;
      together =
          std::max(together, static_cast<double>(subjects_[i].expected_bytes) / out_.subjects[i].alone);
    }
    together = std::max(together, left / speed);
    double advised = 0;
    for (const auto& members : out_.groups) {
      double turns = 0;
      for (const size_t i : members)
        turns += static_cast<double>(subjects_[i].expected_bytes) / out_.subjects[i].alone;
      advised = std::max(advised, turns);
    }
    out_.prediction = {together, in_turns, advised};
  }

  void say() {
    for (size_t i = 0; i < subjects_.size(); ++i) {
      const auto& it = out_.subjects[i];
      if (!series_.contains({i}))
        out_.findings.push_back(fmt::format("{} was not measured alone", name(i)));
      else if (it.alone <= 0)
        out_.findings.push_back(
            fmt::format("{} did not move while it was alone: nothing can be said of it", name(i)));
      else if (it.spread > kUnsteady)
        out_.findings.push_back(fmt::format(
            "{} is unsteady by itself (its rate alone varies by {:.0f}%): measure longer (--seconds, "
            "--rounds) before acting on this",
            name(i), it.spread * 100));
    }
    bool any = false;
    for (const auto& pair : out_.pairs) {
      if (pair.relation == Relation::independent) continue;
      any = true;
      out_.findings.push_back(pair_sentence(pair));
    }
    if (!any && !out_.pairs.empty()) out_.findings.emplace_back("no two of them hinder each other");
    together_sentence();
    advise();
  }

  std::string pair_sentence(const PairFinding& pair) const {
    const std::string where = pair.joint.empty() ? "" : fmt::format(" ({})", pair.joint);
    const std::string kept = fmt::format("{} keeps {:.0f}% of its rate, {} {:.0f}%", name(pair.a),
                                         pair.keeps_a * 100, name(pair.b), pair.keeps_b * 100);
    if (pair.relation == Relation::harmful)
      return fmt::format("{} and {} harm each other{}: {}; together they are slower than one after the other",
                         name(pair.a), name(pair.b), where, kept);
    if (pair.relation == Relation::shared)
      return fmt::format(
          "{} and {} share one thing{}: {}; together they are no faster than one after the other",
          name(pair.a), name(pair.b), where, kept);
    // One that keeps all while the other loses: the other yields.
    if (pair.keeps_a >= kUnhindered || pair.keeps_b >= kUnhindered) {
      const bool a_yields = pair.keeps_a < pair.keeps_b;
      return fmt::format("{} yields to {}{}: {}", name(a_yields ? pair.a : pair.b),
                         name(a_yields ? pair.b : pair.a), where, kept);
    }
    return fmt::format("{} and {} hinder each other a little{}: {}; together they are still faster",
                       name(pair.a), name(pair.b), where, kept);
  }

  // More than two may be too much where two are not.
  void together_sentence() {
    if (subjects_.size() < 3) return;
    double alone = 0;
    double together = 0;
    double best = 0;
    for (const auto& it : out_.subjects) {
      alone += it.alone;
      together += it.together;
      best = std::max(best, it.alone);
    }
    if (together <= 0 || alone <= 0) return;
    out_.findings.push_back(
        fmt::format("all {} together bring {}; alone they would bring {} in sum, the fastest {}",
                    subjects_.size(), mib(together), mib(alone), mib(best)));
  }

  void advise() {
    for (const auto& members : out_.groups) {
      if (members.size() < 2) continue;
      advise_group(members);
    }
    if (out_.advice.empty() && !out_.pairs.empty() &&
        std::ranges::all_of(out_.pairs, [](const auto& p) { return p.relation == Relation::independent; }))
      out_.advice.push_back(
          fmt::format("they may run at the same time: inparallel and maxdumps may be {} and more for them",
                      subjects_.size()));
    if (out_.advice.empty() && !out_.pairs.empty())
      out_.advice.emplace_back("nothing to change: running them at the same time is faster than in turns");
  }

  std::string joint_of(const std::vector<size_t>& members) const {
    std::vector<std::string> joints;
    for (const auto& pair : out_.pairs)
      if (hinders(pair.relation) && std::ranges::find(members, pair.a) != members.end())
        joints.push_back(pair.joint);
    return usual(joints);
  }

  void advise_group(const std::vector<size_t>& members) {
    const std::string joint = joint_of(members);
    const std::string& host = subjects_[members.front()].host;
    const bool one_host = std::ranges::all_of(members, [&](size_t i) { return subjects_[i].host == host; });
    std::string names;
    for (const size_t i : members) names += (names.empty() ? "" : ", ") + name(i);
    const auto add = [this](std::string sentence) { out_.advice.push_back(std::move(sentence)); };
    if (joint == "throttled")
      return add(fmt::format("{}: a rate limit holds them; \"headrace limit CONFIG {} --rate none\" lifts it",
                             names, printable(host)));
    if (joint == "holding disk")
      return add(fmt::format(
          "{}: the holding disk is what they share: spread holding over more disks (holdingdisk), "
          "or let fewer run at once (inparallel {})",
          names, std::max<size_t>(1, out_.groups.size())));
    if (joint == "volume")
      return add(
          fmt::format("{}: they go straight to volumes, each of which takes one at a time: give them holding "
                      "disk, or let "
                      "more volumes be written at a time (taper-parallel-write)",
                      names));
    if (joint == "server cpu")
      return add(
          fmt::format("{}: the server's processors are what they share: compress on the client, or compress "
                      "fast, or let fewer run at once (inparallel {})",
                      names, std::max<size_t>(1, out_.groups.size())));
    if (joint == "client cpu" && one_host)
      return add(fmt::format(
          "{}: the processors of {} are what they share: compress on the server or not at all, or "
          "\"maxdumps 1\" (try it: headrace limit CONFIG {} --maxdumps 1)",
          names, printable(host), printable(host)));
    if (joint == "network")
      return add(
          fmt::format("{}: the network is what they share: compress on the client, or let fewer run at once "
                      "(an interface with its real \"use\", or netusage)",
                      names));
    if (!one_host) return add(fmt::format("{}: let fewer run at once (inparallel)", names));
    const bool whole_host = std::ranges::count_if(subjects_, [&](const Subject& s) {
                              return s.host == host;
                            }) == static_cast<std::ptrdiff_t>(members.size());
    add(fmt::format(
        "{}: one source (a disk, say) on {} is what they share: give them one spindle number in the "
        "disklist, so that they take turns while others of the host run{}",
        names, printable(host),
        whole_host ? fmt::format("; or, as these are all of it, \"maxdumps 1\" (try it: headrace limit "
                                 "CONFIG {} --maxdumps 1)",
                                 printable(host))
                   : ""));
  }

  const std::vector<Subject>& subjects_;
  std::map<std::vector<size_t>, Series> series_;
  Diagnosis out_;
};

}  // namespace

std::string_view name_of(Relation relation) {
  constexpr std::array<std::string_view, 4> kNames = {"independent", "partly", "shared", "harmful"};
  return kNames[static_cast<size_t>(relation)];
}

Diagnosis diagnose(const std::vector<Subject>& subjects, const std::vector<Measured>& taken) {
  return Analysis(subjects, taken).run();
}

}  // namespace headrace::observe
