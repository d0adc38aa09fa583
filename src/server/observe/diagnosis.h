// Who hinders whom, where, and what to change: from the rates of dumps measured together, alone and in pairs.
// A pure function; the measuring is experiment.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace headrace::observe {

// A dump that was measured.
struct Subject {
  std::string host, disk;
  int spindle = -1;             // -1: none is configured
  uint64_t expected_bytes = 0;  // still to come, or of the next night; 0 unknown
  bool operator==(const Subject&) const = default;
};

// One dump in one phase.
struct PhaseRate {
  size_t subject = 0;
  double bytes_per_second = 0;
  double starved = 0, blocked = 0;  // shares of the phase, 0 to 1
  std::string verdict = {};
  // Without a verdict: the joint that is in the way when it was mostly starved, or blocked.
  std::string starved_by = "client or network", blocked_by = "holding disk";
  double throttled = 0;  // the share in which a rate limit held it
};
// One phase of one round: the dumps whose gates were open.
struct Measured {
  int round = 0;
  std::vector<PhaseRate> rates = {};
};

struct SubjectFinding {
  double alone = 0;     // bytes a second, the median of its rounds; 0: it did not move, or was not measured
  double together = 0;  // with all others
  std::string alone_at = {}, together_at = {};  // the joint that held it up
  // The middle half of its rates alone, as a share of the median: above kUnsteady little can be said.
  double spread = 0;
};

// What two dumps do to each other: by the sum of what each keeps of its rate alone.
enum class Relation {
  independent,  // each keeps (nearly) its rate: 1.7 and more of 2
  partly,       // 1.2 and more
  shared,       // what one gets the other loses: together no faster than in turns
  harmful,      // together slower than in turns: below 0.85
};
std::string_view name_of(Relation relation);

struct PairFinding {
  size_t a = 0, b = 0;  // subjects; a < b
  double rate_a = 0, rate_b = 0;
  double keeps_a = 0, keeps_b = 0;  // of the rate alone; 1: all
  Relation relation = Relation::independent;
  std::string joint = {};  // what they share; empty when they share nothing
};

struct Prediction {
  // Wall time to take what is expected, in seconds; 0 when sizes are not known.
  double together = 0;  // all at once, as measured
  double in_turns = 0;  // one after the other
  double advised = 0;   // those that hinder each other in turns, the others beside them
};

struct Diagnosis {
  std::vector<SubjectFinding> subjects;  // parallel to the input
  std::vector<PairFinding> pairs;        // those that were measured
  // Subjects that hinder each other, directly or through a third; each subject is in exactly one group.
  std::vector<std::vector<size_t>> groups;
  Prediction prediction;
  std::vector<std::string> findings;  // sentences: what is so
  std::vector<std::string> advice;    // sentences: what to change
};

inline constexpr double kUnsteady = 0.5;

Diagnosis diagnose(const std::vector<Subject>& subjects, const std::vector<Measured>& taken);

// Tables and sentences for people.
std::string diagnosis_text(const std::vector<Subject>& subjects, const Diagnosis& diagnosis);
// One object, indented, with a newline; members as headrace-diagnose(8) lists them.
std::string diagnosis_json(const std::vector<Subject>& subjects, const Diagnosis& diagnosis);

}  // namespace headrace::observe
