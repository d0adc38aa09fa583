#include "journal/verdict_spans.h"

#include <algorithm>
#include <utility>

namespace headrace::journal {
namespace {

// A rate that climbs at first is not yet the span's.
constexpr int64_t kFirstSecondsUs = 10'000'000;

bool same(const VerdictSpan& one, const VerdictSpan& other) {
  return one.verdict == other.verdict && one.phase == other.phase;
}

void extend(VerdictSpan& span, const VerdictSpan& by) {
  span.to_us = std::max(span.to_us, by.to_us);
  if (by.from_us - span.from_us <= kFirstSecondsUs)
    span.first_rate = std::max(span.first_rate, by.first_rate);
  span.last_rate = by.last_rate;
  span.ended = by.ended;
  if (by.confidence >= span.confidence) {
    span.confidence = by.confidence;
    span.evidence = by.evidence;
  }
}

}  // namespace

void VerdictSpans::add(VerdictSpan span) {
  if (!spans_.empty()) {
    VerdictSpan& last = spans_.back();
    if (!last.ended && same(last, span)) return extend(last, span);
    if (!last.ended) last.to_us = std::max(last.to_us, span.from_us);
    last.ended = true;
  }
  spans_.push_back(std::move(span));
  if (spans_.size() > kMaxVerdictSpans) shorten();
}

void VerdictSpans::go_on(int64_t now_us) {
  if (!spans_.empty() && !spans_.back().ended) spans_.back().to_us = std::max(spans_.back().to_us, now_us);
}

void VerdictSpans::end(int64_t now_us) {
  go_on(now_us);
  if (!spans_.empty()) spans_.back().ended = true;
}

const VerdictSpan* VerdictSpans::current() const {
  return spans_.empty() || spans_.back().ended ? nullptr : &spans_.back();
}

// The shortest but the last, which is still growing, goes into the neighbour that said the same or is longer.
void VerdictSpans::shorten() {
  const auto shortest = std::min_element(
      spans_.begin(), spans_.end() - 1,
      [](const VerdictSpan& one, const VerdictSpan& other) { return one.seconds() < other.seconds(); });
  const bool first = shortest == spans_.begin();
  const bool before =
      !first && (shortest + 1 == spans_.end() - 1 || (shortest - 1)->seconds() >= (shortest + 1)->seconds());
  if (before) {
    (shortest - 1)->to_us = shortest->to_us;
  } else {
    (shortest + 1)->from_us = shortest->from_us;
  }
  const auto after = spans_.erase(shortest);
  // Its two neighbours may now be one.
  if (after != spans_.begin() && after != spans_.end() && same(*(after - 1), *after)) {
    extend(*(after - 1), *after);
    spans_.erase(after);
  }
}

std::vector<std::pair<std::string, double>> VerdictSpans::seconds_by_verdict(
    const std::vector<std::string>& phases) const {
  std::vector<std::pair<std::string, double>> out;
  for (const auto& span : spans_) {
    if (!phases.empty() && std::ranges::find(phases, span.phase) == phases.end()) continue;
    const auto known = std::ranges::find(out, span.verdict, &std::pair<std::string, double>::first);
    if (known == out.end())
      out.emplace_back(span.verdict, span.seconds());
    else
      known->second += span.seconds();
  }
  std::ranges::sort(out, [](const auto& one, const auto& other) {
    return one.second != other.second ? one.second > other.second : one.first < other.first;
  });
  return out;
}

}  // namespace headrace::journal
