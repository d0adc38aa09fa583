#include "wire/dle_request.h"

#include <fmt/format.h>

#include <unordered_map>

#include "wire/text.h"

namespace headrace::wire {

using base::ErrorKind;
using base::Result;

std::string encode_dle_request(const DleRequest& request, DleFor purpose, const FeatureSet& peer) {
  std::string out = encode_options(request.options, peer);
  for (const Dle& dle : request.dles) {
    out += peer.has(Feature::req_xml) ? encode_dle_xml(dle, purpose, peer)
                                      : encode_dle_lines(dle, purpose, peer);
  }
  return out;
}

static std::unexpected<base::Error> format_error(std::string_view why) {
  return base::fail(ErrorKind::refused, fmt::format("FORMAT ERROR IN REQUEST PACKET '{}'", why));
}

// A disk named twice is asked for at the levels of both.
static std::vector<Dle> merged_by_disk(std::vector<Dle> dles) {
  std::vector<Dle> out;
  std::unordered_map<std::string, size_t> place_of_disk;
  for (Dle& dle : dles) {
    const auto [place, is_new] = place_of_disk.emplace(dle.disk, out.size());
    if (is_new) {
      out.push_back(std::move(dle));
    } else {
      auto& levels = out[place->second].levels;
      levels.insert(levels.end(), dle.levels.begin(), dle.levels.end());
    }
  }
  return out;
}

static Result<> check_dles(const std::vector<Dle>& dles, DleFor purpose) {
  if (purpose == DleFor::sendbackup && dles.size() != 1) {
    return format_error(fmt::format("{} disks instead of one", dles.size()));
  }
  for (const Dle& dle : dles) {
    if (dle.disk.empty()) return format_error("XML: Missing disk element");
    if (purpose == DleFor::sendbackup && dle.levels.size() != 1) {
      return format_error(fmt::format("{} levels instead of one", dle.levels.size()));
    }
    if (purpose == DleFor::sendsize && dle.levels.empty()) {
      return format_error(fmt::format("no level for disk {}", printable(dle.disk)));
    }
  }
  return {};
}

Result<DleRequest> parse_dle_request(std::string_view arguments, DleFor purpose) {
  DleRequest out;
  auto options = parse_options_line(take_line(arguments));
  if (!options) return std::unexpected(options.error());
  out.options = *std::move(options);
  const size_t first = arguments.find_first_not_of(" \t\r\n");
  const bool is_xml = first != std::string_view::npos && arguments[first] == '<';
  auto dles = is_xml ? parse_dles_xml(arguments) : parse_dle_lines(arguments, purpose);
  if (!dles) return format_error(dles.error().what());
  out.dles = purpose == DleFor::sendsize ? merged_by_disk(*std::move(dles)) : *std::move(dles);
  if (auto sound = check_dles(out.dles, purpose); !sound) return std::unexpected(sound.error());
  return out;
}

}  // namespace headrace::wire
