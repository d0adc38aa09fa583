#include <fmt/format.h>

#include <cmath>

#include "server/observe/diagnosis.h"
#include "server/observe/facts.h"
#include "server/observe/text.h"

namespace headrace::observe {
namespace {

using Align = Table::Align;

std::string name_of_subject(const Subject& subject) { return dle_name({subject.host, subject.disk, {}, 0}); }

std::string rate_text(double bytes_per_second) {
  const auto text = rate(static_cast<uint64_t>(std::max(bytes_per_second, 0.0)), 1);
  return text.empty() ? "-" : text;
}

std::string share(double keeps) { return fmt::format("{:.0f}%", keeps * 100); }

std::string rates_table(const std::vector<Subject>& subjects, const Diagnosis& diagnosis) {
  Table table({Align::left, Align::right, Align::right, Align::right, Align::left, Align::left});
  table.row({"DUMP", "alone", "together", "keeps", "held up alone by", "together by"});
  double alone = 0;
  double together = 0;
  for (size_t i = 0; i < subjects.size(); ++i) {
    const auto& it = diagnosis.subjects[i];
    alone += it.alone;
    together += it.together;
    table.row({name_of_subject(subjects[i]), rate_text(it.alone), rate_text(it.together),
               it.alone > 0 && it.together > 0 ? share(it.together / it.alone) : "", it.alone_at,
               it.together_at});
  }
  if (subjects.size() > 1) table.row({"sum", rate_text(alone), rate_text(together)});
  return table.text();
}

std::string pairs_table(const std::vector<Subject>& subjects, const Diagnosis& diagnosis) {
  Table table({Align::left, Align::right, Align::right, Align::left, Align::right, Align::right, Align::left,
               Align::left});
  table.row({"PAIR", "", "keeps", "", "", "keeps", "", "shared"});
  for (const auto& pair : diagnosis.pairs)
    table.row({name_of_subject(subjects[pair.a]), rate_text(pair.rate_a), share(pair.keeps_a),
               "with " + name_of_subject(subjects[pair.b]), rate_text(pair.rate_b), share(pair.keeps_b),
               std::string(name_of(pair.relation)), pair.joint});
  return diagnosis.pairs.empty() ? "" : "\n" + table.text();
}

std::string sentences(const char* heading, const std::vector<std::string>& lines) {
  if (lines.empty()) return {};
  std::string out = fmt::format("\n{}\n", heading);
  for (const auto& line : lines) out += "  " + line + "\n";
  return out;
}

}  // namespace

std::string diagnosis_text(const std::vector<Subject>& subjects, const Diagnosis& diagnosis) {
  std::string out = rates_table(subjects, diagnosis) + pairs_table(subjects, diagnosis) +
                    sentences("WHAT IS SO", diagnosis.findings) +
                    sentences("WHAT TO CHANGE", diagnosis.advice);
  if (const auto& p = diagnosis.prediction; p.together > 0)
    out += fmt::format(
        "\nHOW LONG IT TAKES, as measured\n  all at the same time {}, one after the other {}, as advised "
        "{}\n",
        duration(p.together), duration(p.in_turns), duration(p.advised));
  return out;
}

std::string diagnosis_json(const std::vector<Subject>& subjects, const Diagnosis& diagnosis) {
  Json out;
  out["dumps"] = Json::array();
  for (size_t i = 0; i < subjects.size(); ++i) {
    const auto& it = diagnosis.subjects[i];
    out["dumps"].push_back({{"host", subjects[i].host},
                            {"disk", subjects[i].disk},
                            {"spindle", subjects[i].spindle},
                            {"expected_bytes", subjects[i].expected_bytes},
                            {"bytes_per_second_alone", std::round(it.alone)},
                            {"bytes_per_second_together", std::round(it.together)},
                            {"spread_alone", it.spread},
                            {"bottleneck_alone", it.alone_at},
                            {"bottleneck_together", it.together_at}});
  }
  out["pairs"] = Json::array();
  for (const auto& pair : diagnosis.pairs)
    out["pairs"].push_back({{"dumps", {pair.a, pair.b}},
                            {"bytes_per_second", {std::round(pair.rate_a), std::round(pair.rate_b)}},
                            {"keeps", {pair.keeps_a, pair.keeps_b}},
                            {"relation", std::string(name_of(pair.relation))},
                            {"shared", pair.joint}});
  out["groups"] = diagnosis.groups;
  if (diagnosis.prediction.together > 0)
    out["seconds"] = {{"together", diagnosis.prediction.together},
                      {"in_turns", diagnosis.prediction.in_turns},
                      {"advised", diagnosis.prediction.advised}};
  out["findings"] = diagnosis.findings;
  out["advice"] = diagnosis.advice;
  return text_of(out);
}

}  // namespace headrace::observe
