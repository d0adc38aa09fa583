// What stood in the way of a dump, or of a run, from when to when: verdicts that follow each other, merged.
// The list is bounded however long a run goes on and however often its verdict changes. Values only; a part
// of the reduction (state.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace headrace::journal {

// Beyond this the shortest one becomes part of a neighbour.
inline constexpr size_t kMaxVerdictSpans = 32;

struct VerdictSpan {
  std::string verdict = {};
  std::string phase = {};  // what the dump did meanwhile: planned (it waited), dumping, held, writing
  int64_t from_us = 0;
  int64_t to_us = 0;
  double confidence = 0;      // the best in it
  std::string evidence = {};  // of that moment
  // Bytes a second: the fastest of its first seconds, and the last. Far apart: it changed under way.
  uint64_t first_rate = 0;
  uint64_t last_rate = 0;
  bool ended = false;  // what follows is not the same any more, even when its verdict is

  double seconds() const { return static_cast<double>(to_us - from_us) / 1e6; }
  bool operator==(const VerdictSpan&) const = default;
};

class VerdictSpans {
 public:
  // From span.from_us on. One that says the same as the last goes on with it.
  void add(VerdictSpan span);
  // The last one still holds.
  void go_on(int64_t now_us);
  // It held until now.
  void end(int64_t now_us);

  const std::vector<VerdictSpan>& spans() const { return spans_; }
  // The one in force; null when there is none.
  const VerdictSpan* current() const;
  // Seconds by verdict, most first; of spans in one of the phases ("dumping", …), all when none is given.
  std::vector<std::pair<std::string, double>> seconds_by_verdict(
      const std::vector<std::string>& phases = {}) const;

 private:
  void shorten();
  std::vector<VerdictSpan> spans_;
};

}  // namespace headrace::journal
