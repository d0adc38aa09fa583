#include "flow/verdict.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/error.h"

namespace headrace::flow {
namespace {

// A ring so many eighths full is about to stop its source.
constexpr size_t kNearlyFullPart = 6;
// Clearly more than half: two parts that hold things up by turns are none.
constexpr double kMostOfTheTime = 0.6;
// A program that wants a processor for so much of its free time is short of processor; below the second
// figure it certainly waits for something else.
constexpr double kBusyProgram = 0.75;
constexpr double kIdleProgram = 0.3;
// A thread that has so little time left works at its limit.
constexpr double kFullThread = 0.85;
constexpr double kHalfThread = 0.5;
// A sender with a backlog fills its segments. One that gets its data piece by piece sends a shorter one at
// the end of each piece: up to 0.994 was seen of Amanda's clients, and 0.996 and more of senders with a
// backlog.
constexpr double kPiecemealFill = 0.993;
constexpr double kBacklogFill = 0.998;
// What we can be sure of without a view of the client.
constexpr double kOneSidedTrust = 0.75;
// A window shorter than this says proportionally less.
constexpr double kFullWindowSeconds = 2;

double positive(double value) { return std::max(value, 0.0); }
double share(double value) { return std::clamp(value, 0.0, 1.0); }
std::string percent(double value) { return fmt::format("{:.0f} %", share(value) * 100); }

// What a joint says about its two sides.
struct Sides {
  double pressure = 0;  // it held up what comes before, because of what comes behind
  double hunger = 0;    // it could have taken more from before
  double held = 0;      // we held it
};

Sides sides_of(const JointShares& joint) {
  Sides out;
  out.held = share(joint.gated + joint.throttled);
  out.pressure = joint.full ? std::min(joint.blocked, *joint.full) : joint.blocked;
  out.hunger = joint.starved + positive(joint.blocked - out.pressure);
  return out;
}

struct Suspect {
  Verdict verdict = Verdict::none;
  double share = 0;
  double trust = 1;  // how far what else is known agrees
  std::string evidence = {};
};

class Court {
 public:
  explicit Court(const Observation& seen) : seen_(seen) {
    for (const auto& joint : seen.joints)
      sides_.push_back(joint ? std::optional(sides_of(*joint)) : std::nullopt);
  }

  Judgement judge() {
    for (size_t i = 0; i < seen_.stages.size(); ++i) accuse_stage(i);
    accuse_ourselves();
    accuse_threads();
    return sentence();
  }

 private:
  void accuse(Verdict verdict, double share_of_time, double trust, std::string evidence) {
    const auto known = std::ranges::find(suspects_, verdict, &Suspect::verdict);
    if (known == suspects_.end()) {
      suspects_.push_back({verdict, share(share_of_time), trust, std::move(evidence)});
      return;
    }
    // Two filters, say: the worse one is named, the time of both counts.
    if (share_of_time > known->share) {
      known->trust = trust;
      known->evidence = std::move(evidence);
    }
    known->share = share(known->share + share_of_time);
  }

  const Sides* before(size_t stage) const {
    return stage > 0 && sides_[stage - 1] ? &*sides_[stage - 1] : nullptr;
  }
  const Sides* behind(size_t stage) const {
    return stage < sides_.size() && sides_[stage] ? &*sides_[stage] : nullptr;
  }

  void accuse_stage(size_t i) {
    const Stage& stage = seen_.stages[i];
    const Sides* in = before(i);
    const Sides* out = behind(i);
    const bool first = i == 0;
    const bool last = i + 1 == seen_.stages.size();
    if (first && out != nullptr) return accuse_first(stage, *out);
    if (last && in != nullptr) return accuse_last(stage, *in);
    if (in != nullptr && out != nullptr) return accuse_middle(stage, *in, *out);
    // The first joint we see: behind it is known, before it is dark.
    if (in == nullptr && out != nullptr) accuse_unseen(*out);
  }

  void accuse_first(const Stage& stage, const Sides& out) {
    if (stage.part == Part::holding_disk || stage.part == Part::volume) {
      return accuse(verdict_of(stage.part), out.hunger, 1,
                    fmt::format("{} gave nothing {} of the time", name_of(stage), percent(out.hunger)));
    }
    if (!stage.cpu) {
      return accuse(Verdict::source, out.hunger, 1,
                    fmt::format("{} gave nothing {} of the time", name_of(stage), percent(out.hunger)));
    }
    // It cannot run while its pipe is full.
    const double wanted = share(stage.cpu->wanted() / std::max(1 - out.pressure, 0.1));
    std::string evidence = fmt::format("{} gave nothing {} of the time and {}", name_of(stage),
                                       percent(out.hunger), cpu_words(stage));
    if (wanted >= kBusyProgram) return accuse(Verdict::client_cpu, out.hunger, 1, std::move(evidence));
    accuse(Verdict::source, out.hunger, wanted <= kBusyProgram / 2 ? 1 : 0.8,
           evidence + ": it waits for its disk");
  }

  void accuse_last(const Stage& stage, const Sides& in) {
    const double room = std::min(in.pressure, share(seen_.waited_for_room));
    const double slow = in.pressure - room;
    if (room > 0)
      accuse(Verdict::volume, room, 1,
             fmt::format("the holding disks had no room {} of the time: they wait for a volume to take some",
                         percent(room)));
    accuse(verdict_of(stage.part), slow, 1,
           fmt::format("{} would not take more {} of the time{}", name_of(stage), percent(slow),
                       waiting_client()));
  }

  void accuse_middle(const Stage& stage, const Sides& in, const Sides& out) {
    const double lost_before = positive(in.pressure - out.pressure - out.held);
    const double lost_behind = positive(out.hunger - in.hunger - in.held);
    const double lost = (lost_before + lost_behind) / 2;
    if (stage.part == Part::network) return accuse_network(lost, in, out);
    const bool ours = stage.part == Part::server_filter;
    double trust = 1;
    std::string evidence =
        fmt::format("{} was waited for by what comes before it {} and by what comes behind {} of the time",
                    name_of(stage), percent(in.pressure), percent(out.hunger));
    if (stage.cpu) {
      evidence += " and " + cpu_words(stage);
      if (stage.cpu->wanted() < kIdleProgram) {
        trust = 0.7;
        evidence += ": it waits for something itself";
      }
    }
    accuse(ours ? Verdict::server_cpu : Verdict::client_cpu, lost, trust, std::move(evidence));
  }

  void accuse_network(double lost, const Sides& in, const Sides& out) {
    std::string evidence =
        fmt::format("the client had data waiting {} of the time, the server waited for it {}",
                    percent(in.pressure), percent(out.hunger));
    double trust = 1;
    if (seen_.sender) {
      const SenderTcp& tcp = *seen_.sender;
      evidence += fmt::format("; TCP: {} retransmitted, round trip {:.1f} ms", tcp.retransmits, tcp.rtt_ms);
      if (tcp.rwnd_limited > kMostOfTheTime) {
        evidence += fmt::format(", the server's window was full {}", percent(tcp.rwnd_limited));
        const bool slow_reader = seen_.server_thread && seen_.server_thread->wanted() >= kFullThread;
        if (slow_reader) return accuse(Verdict::server_cpu, lost, 0.8, std::move(evidence));
        trust = 0.6;
      }
    }
    accuse(Verdict::network, lost, trust, std::move(evidence));
  }

  // Only the receiving end is ours: is it the line that keeps us waiting, or the client behind it?
  void accuse_unseen(const Sides& out) {
    const std::string waited = fmt::format("the server waited for data {} of the time", percent(out.hunger));
    const bool filters = std::ranges::any_of(
        seen_.stages, [](const Stage& stage) { return stage.part == Part::client_filter; });
    const Verdict client = filters ? Verdict::client_cpu : Verdict::source;
    if (!seen_.receiver || seen_.receiver->segments == 0) {
      return accuse(client, out.hunger, kOneSidedTrust / 2, waited + "; this client does not say why");
    }
    const ReceiverTcp& tcp = *seen_.receiver;
    double backlog = share((tcp.segment_fill - kPiecemealFill) / (kBacklogFill - kPiecemealFill));
    if (tcp.out_of_order > 0) backlog = share(backlog + 0.25);
    const std::string segments =
        fmt::format("its segments were {:.1f} % full", share(tcp.segment_fill) * 100) +
        (tcp.out_of_order > 0 ? fmt::format(", {} came out of order", tcp.out_of_order) : "");
    if (backlog >= 0.5) {
      return accuse(Verdict::network, out.hunger, kOneSidedTrust * backlog,
                    fmt::format("{}; {}: the client has more than the line takes", waited, segments));
    }
    accuse(client, out.hunger, kOneSidedTrust * (1 - backlog) * (filters ? 0.8 : 1),
           fmt::format("{}; {}: the client sends as it gets its data{}", waited, segments,
                       filters ? ", through a filter" : ""));
  }

  // A gate or a rate limit holds the whole chain, wherever it sits.
  void accuse_ourselves() {
    double gated = 0;
    double throttled = 0;
    for (const auto& joint : seen_.joints) {
      if (!joint) continue;
      gated = std::max(gated, joint->gated);
      throttled = std::max(throttled, joint->throttled);
    }
    if (gated + throttled <= 0) return;
    accuse(Verdict::throttled, gated + throttled, 1,
           gated >= throttled ? fmt::format("it was paused {} of the time", percent(gated))
                              : fmt::format("its rate limit held it {} of the time", percent(throttled)));
  }

  // A thread at its limit shows in joints that neither starve nor are blocked, or in all of them a little.
  void accuse_threads() {
    const auto network = static_cast<size_t>(std::ranges::find(seen_.stages, Part::network, &Stage::part) -
                                             seen_.stages.begin());
    accuse_thread(Verdict::client_cpu, "client", seen_.client_thread, 0,
                  std::min(network, seen_.joints.size()));
    accuse_thread(Verdict::server_cpu, "server", seen_.server_thread, std::min(network, seen_.joints.size()),
                  seen_.joints.size());
  }
  void accuse_thread(Verdict verdict, const char* whose, const std::optional<CpuShare>& thread, size_t from,
                     size_t to) {
    if (!thread) return;
    double busy = 0;
    for (size_t i = from; i < to; ++i)
      if (seen_.joints[i]) busy = std::max(busy, seen_.joints[i]->busy);
    const double wanted = share(thread->wanted());
    const double limit = share((wanted - kHalfThread) / (kFullThread - kHalfThread));
    if (limit <= 0) return;
    accuse(
        verdict, busy * limit, 1,
        fmt::format(
            "the {} program was at work {} of the time, and its thread ran {} and waited {} for a processor",
            whose, percent(busy), percent(thread->ran), percent(thread->queued)));
  }

  // ", and the client waited for it 95 %", when we know.
  std::string waiting_client() const {
    if (sides_.size() < 2 || !sides_.front()) return {};
    return fmt::format("; the client had data waiting {}", percent(sides_.front()->pressure));
  }

  static std::string cpu_words(const Stage& stage) {
    std::string out = fmt::format("used {} of a processor", percent(stage.cpu->ran));
    if (stage.cpu->queued >= 0.05) out += fmt::format(", and waited {} for one", percent(stage.cpu->queued));
    return out;
  }

  static Verdict verdict_of(Part part) {
    switch (part) {
      case Part::source:
        return Verdict::source;
      case Part::client_filter:
        return Verdict::client_cpu;
      case Part::network:
        return Verdict::network;
      case Part::server_filter:
        return Verdict::server_cpu;
      case Part::holding_disk:
        return Verdict::holding_disk;
      case Part::volume:
        break;
    }
    return Verdict::volume;
  }
  static std::string name_of(const Stage& stage) {
    if (stage.part == Part::holding_disk) return "the holding disk";
    if (stage.part == Part::volume) return "the volume";
    return stage.name.empty() ? "the source" : stage.name;
  }

  Judgement sentence() {
    std::ranges::stable_sort(suspects_, std::ranges::greater(), &Suspect::share);
    const double length = share(seen_.seconds / kFullWindowSeconds);
    if (suspects_.empty()) return {Verdict::none, 0, "nothing was measured"};
    const Suspect& worst = suspects_.front();
    const double next = suspects_.size() > 1 ? suspects_[1].share : 0;
    if (worst.share <= kMostOfTheTime) {
      std::string shares;
      for (const auto& suspect : suspects_) {
        if (suspect.share < 0.05) continue;
        shares += fmt::format("{}{} {}", shares.empty() ? "" : ", ", flow::name_of(suspect.verdict),
                              percent(suspect.share));
      }
      return {
          Verdict::none, share(1 - worst.share) * length,
          shares.empty() ? "no part was waited for" : "no part was waited for most of the time: " + shares};
    }
    return {worst.verdict, share((worst.share - next / 2) * worst.trust) * length, worst.evidence};
  }

  const Observation& seen_;
  std::vector<std::optional<Sides>> sides_;
  std::vector<Suspect> suspects_;
};

}  // namespace

std::string_view name_of(Verdict verdict) {
  constexpr std::array<std::string_view, 9> kNames = {"none",    "source",     "client cpu",
                                                      "network", "server cpu", "holding disk",
                                                      "volume",  "throttled",  "scheduled"};
  return kNames[static_cast<size_t>(verdict)];
}

std::optional<JointShares> shares_between(const MeterSnapshot& before, const MeterSnapshot& after) {
  const base::Duration age = after.age() - before.age();
  if (age <= base::Duration::zero()) return std::nullopt;
  const auto of = [](base::Duration part, base::Duration whole) {
    return share(static_cast<double>(part.count()) / static_cast<double>(whole.count()));
  };
  JointShares out;
  out.starved = of(after.starved - before.starved, age);
  out.blocked = of(after.blocked - before.blocked, age);
  out.gated = of(after.gated - before.gated, age);
  out.throttled = of(after.throttled - before.throttled, age);
  out.busy = of(after.busy - before.busy, age);
  base::Duration counted{};
  base::Duration full{};
  for (size_t i = 0; i < kFillParts; ++i) {
    const base::Duration spent = after.fill[i] - before.fill[i];
    counted += spent;
    if (i >= kNearlyFullPart) full += spent;
  }
  if (counted > base::Duration::zero()) out.full = of(full, counted);
  return out;
}

Judgement judge(const Observation& seen) {
  HEADRACE_CHECK(seen.joints.size() + 1 == seen.stages.size());
  return Court(seen).judge();
}

Judgement judge_waiting(Verdict verdict, std::string_view waits_for) {
  return {verdict, 1, fmt::format("waits for {}", waits_for)};
}

}  // namespace headrace::flow
