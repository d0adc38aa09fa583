// The reading half of dle.h's XML. pugixml reads the text; the rules about elements are Amanda's, and so are
// the sentences, because the peer's operator sees them.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <limits>
#include <optional>
#include <pugixml.hpp>
#include <set>

#include "wire/base64.h"
#include "wire/dle.h"
#include "wire/text.h"

namespace headrace::wire {

using base::ErrorKind;
using base::Result;

namespace {

std::unexpected<base::Error> bad(std::string_view what) {
  return base::fail(ErrorKind::refused, fmt::format("XML: {}", what));
}

std::unexpected<base::Error> bad_element(std::string_view verdict, const pugi::xml_node& node) {
  return bad(fmt::format("{} {} element", verdict, printable(node.name())));
}

bool is_white(std::string_view text) { return text.find_first_not_of(" \t\r\n") == std::string_view::npos; }

// The element's own text (not its children's), trailing blanks dropped, or its raw form.
Result<std::string> text_of(const pugi::xml_node& node) {
  std::optional<std::string> raw;
  bool says_raw = false;
  for (const pugi::xml_attribute& attribute : node.attributes()) {
    const std::string_view name = attribute.name();
    if (name == "encoding" && std::string_view(attribute.value()) == "raw") {
      says_raw = true;
    } else if (name == "raw") {
      raw = decode_base64(attribute.value());
      if (!raw) return bad(fmt::format("Invalid raw attribute of {} element", printable(node.name())));
    } else {
      return bad(fmt::format("Invalid {} attribute in {} element", printable(name), printable(node.name())));
    }
  }
  if (raw && says_raw) return *raw;
  if (raw || says_raw) return bad(fmt::format("Incomplete raw text in {} element", printable(node.name())));
  std::string text;
  for (const pugi::xml_node& child : node.children()) {
    if (child.type() == pugi::node_pcdata || child.type() == pugi::node_cdata) text += child.value();
  }
  while (!text.empty() && is_white(text.substr(text.size() - 1))) text.pop_back();
  return text;
}

// What to do with a child element, by name.
struct Rule {
  std::string_view name;
  bool repeats;
  std::function<Result<>(const pugi::xml_node&)> take;
};

// Walks a container: each child must have a rule, appear once unless it repeats, and no attribute or loose
// text may stand around.
Result<> walk(const pugi::xml_node& node, bool may_have_text, std::initializer_list<Rule> rules) {
  if (!may_have_text && node.first_attribute()) {
    return bad(fmt::format("Invalid {} attribute in {} element", printable(node.first_attribute().name()),
                           printable(node.name())));
  }
  std::set<std::string_view> seen;
  for (const pugi::xml_node& child : node.children()) {
    if (child.type() != pugi::node_element) {
      if (!may_have_text && !is_white(child.value())) {
        return bad(fmt::format("{} element doesn't accept text", printable(node.name())));
      }
      continue;
    }
    const auto rule = std::ranges::find(rules, std::string_view(child.name()), &Rule::name);
    if (rule == rules.end()) return bad_element("Invalid", child);
    if (!rule->repeats && !seen.insert(rule->name).second) return bad_element("Duplicate", child);
    if (auto taken = rule->take(child); !taken) return taken;
  }
  return {};
}

Result<> no_children(const pugi::xml_node& node) { return walk(node, true, {}); }

auto into(std::string& target) {
  return [&target](const pugi::xml_node& node) -> Result<> {
    if (auto plain = no_children(node); !plain) return plain;
    auto text = text_of(node);
    if (!text) return std::unexpected(text.error());
    target = *std::move(text);
    return {};
  };
}

auto into(std::vector<std::string>& target) {
  return [&target](const pugi::xml_node& node) -> Result<> { return into(target.emplace_back())(node); };
}

auto into(bool& target, std::string_view yes = "YES", std::string_view no = "NO") {
  return [&target, yes, no](const pugi::xml_node& node) -> Result<> {
    std::string word;
    if (auto taken = into(word)(node); !taken) return taken;
    std::string shouted = word;
    std::ranges::transform(shouted, shouted.begin(),
                           [](char c) { return c >= 'a' && c <= 'z' ? c - 32 : c; });
    if (shouted != yes && shouted != no)
      return bad(fmt::format("Invalid {} value '{}'", node.name(), printable(word)));
    target = shouted == yes;
    return {};
  };
}

Result<int> number_of(const pugi::xml_node& node, int least, int most) {
  auto text = text_of(node);
  if (!text) return std::unexpected(text.error());
  const auto number = parse_number<int>(*text);
  if (!number || *number < least || *number > most) {
    return bad(fmt::format("Invalid {} value '{}'", node.name(), printable(*text)));
  }
  return *number;
}

Result<> take_level(const pugi::xml_node& node, Dle& dle) {
  DleLevel level;
  if (auto walked = walk(node, true, {{"server", false, into(level.server)}}); !walked) return walked;
  auto number = number_of(node, 0, kMaxLevel);
  if (!number) return std::unexpected(number.error());
  level.level = *number;
  dle.levels.push_back(std::move(level));
  return {};
}

Result<> take_spindle(const pugi::xml_node& node, Dle& dle) {
  if (auto plain = no_children(node); !plain) return plain;
  auto number = number_of(node, std::numeric_limits<int>::min(), std::numeric_limits<int>::max());
  if (!number) return std::unexpected(number.error());
  dle.spindle = *number;
  return {};
}

Result<> take_estimate(const pugi::xml_node& node, Dle& dle) {
  std::string list;
  if (auto taken = into(list)(node); !taken) return taken;
  std::string_view rest = list;
  while (true) {
    rest.remove_prefix(std::min(rest.size(), rest.find_first_not_of(" \t\n")));
    if (rest.empty()) return {};
    const std::string_view word = rest.substr(0, rest.find_first_of(" \t\n"));
    rest.remove_prefix(word.size());
    if (word == "CLIENT") {
      dle.estimates.push_back(EstimateMethod::client);
    } else if (word == "CALCSIZE") {
      dle.estimates.push_back(EstimateMethod::calcsize);
    } else if (word == "SERVER") {
      dle.estimates.push_back(EstimateMethod::server);
    } else {
      return bad(fmt::format("Invalid estimate value '{}'", printable(word)));
    }
  }
}

Result<> take_calcsize(const pugi::xml_node& node, Dle& dle) {
  bool yes = false;
  if (auto taken = into(yes)(node); !taken) return taken;
  if (yes && dle.estimates.empty()) dle.estimates.push_back(EstimateMethod::calcsize);
  return {};
}

Result<> take_compress(const pugi::xml_node& node, Dle& dle) {
  std::string program;
  if (auto walked = walk(node, true, {{"custom-compress-program", false, into(program)}}); !walked)
    return walked;
  auto word = text_of(node);
  if (!word) return std::unexpected(word.error());
  using Row = std::pair<std::string_view, Compress>;
  static constexpr std::array<Row, 6> kWords = {Row{"FAST", Compress::fast},
                                                {"BEST", Compress::best},
                                                {"CUSTOM", Compress::custom},
                                                {"SERVER-FAST", Compress::server_fast},
                                                {"SERVER-BEST", Compress::server_best},
                                                {"SERVER-CUSTOM", Compress::server_custom}};
  const auto row = std::ranges::find(kWords, *word, &Row::first);
  if (row == kWords.end()) return bad(fmt::format("Invalid compress value '{}'", printable(*word)));
  const bool custom = row->second == Compress::custom || row->second == Compress::server_custom;
  if (custom == program.empty())
    return bad("custom-compress-program goes with CUSTOM compress, and only with it");
  dle.compress = row->second;
  dle.compress_program = std::move(program);
  return {};
}

Result<> take_encrypt(const pugi::xml_node& node, Dle& dle) {
  std::string program;
  std::string option;
  if (auto walked =
          walk(node, true,
               {{"custom-encrypt-program", false, into(program)}, {"decrypt-option", false, into(option)}});
      !walked) {
    return walked;
  }
  auto word = text_of(node);
  if (!word) return std::unexpected(word.error());
  if (*word != "CUSTOM" && *word != "SERVER-CUSTOM") {
    return bad(fmt::format("Invalid encrypt value '{}'", printable(*word)));
  }
  if (program.empty()) return bad("Missing custom-encrypt-program element");
  dle.encrypt = *word == "CUSTOM" ? Encrypt::custom : Encrypt::server_custom;
  dle.encrypt_program = std::move(program);
  dle.decrypt_option = std::move(option);
  return {};
}

Result<> take_datapath(const pugi::xml_node& node, Dle& dle) {
  if (auto walked = walk(node, true, {{"directtcp", true, into(dle.directtcp)}}); !walked) return walked;
  auto word = text_of(node);
  if (!word) return std::unexpected(word.error());
  if (*word != "AMANDA" && *word != "DIRECTTCP") {
    return bad(fmt::format("Invalid datapath value '{}'", printable(*word)));
  }
  dle.datapath = *word == "AMANDA" ? DataPath::amanda : DataPath::directtcp;
  return {};
}

auto take_selection(Selection& chosen) {
  return [&chosen](const pugi::xml_node& node) {
    return walk(node, false,
                {{"file", true, into(chosen.files)},
                 {"list", true, into(chosen.lists)},
                 {"optional", false, into(chosen.optional)}});
  };
}

auto take_property(std::vector<Property>& properties) {
  return [&properties](const pugi::xml_node& node) -> Result<> {
    Property property;
    auto walked = walk(node, false,
                       {{"name", false, into(property.name)},
                        {"priority", false, into(property.priority)},
                        {"value", true, into(property.values)}});
    if (!walked) return walked;
    if (property.name.empty()) return bad("Missing name in property element");
    properties.push_back(std::move(property));
    return {};
  };
}

Result<> take_application(const pugi::xml_node& node, Dle& dle) {
  Application& application = dle.application;
  auto walked = walk(node, false,
                     {{"plugin", false, into(application.plugin)},
                      {"property", true, take_property(application.properties)},
                      {"client_name", false, into(application.client_name)}});
  if (!walked) return walked;
  if (application.plugin.empty()) return bad("Missing plugin in backup-program element");
  return {};
}

Result<> take_script(const pugi::xml_node& node, Dle& dle) {
  Script script;
  auto walked = walk(node, false,
                     {{"plugin", false, into(script.plugin)},
                      {"execute_where", false, into(script.execute_where)},
                      {"execute_on", false, into(script.execute_on)},
                      {"property", true, take_property(script.properties)},
                      {"client_name", false, into(script.client_name)}});
  if (!walked) return walked;
  if (script.plugin.empty()) return bad("Missing plugin in script element");
  dle.scripts.push_back(std::move(script));
  return {};
}

Result<Dle> take_dle(const pugi::xml_node& node) {
  Dle dle;
  const auto with = [&dle](Result<> (*take)(const pugi::xml_node&, Dle&)) {
    return [&dle, take](const pugi::xml_node& child) { return take(child, dle); };
  };
  auto walked = walk(node, false,
                     {{"program", false, into(dle.program)},
                      {"backup-program", false, with(take_application)},
                      {"estimate", false, with(take_estimate)},
                      {"calcsize", false, with(take_calcsize)},
                      {"disk", false, into(dle.disk)},
                      {"diskdevice", false, into(dle.device)},
                      {"level", true, with(take_level)},
                      {"spindle", false, with(take_spindle)},
                      {"auth", false, into(dle.auth)},
                      {"compress", false, with(take_compress)},
                      {"encrypt", false, with(take_encrypt)},
                      {"record", false, into(dle.record)},
                      {"headrace-discard", false, into(dle.discard)},
                      {"index", false, into(dle.index)},
                      {"kencrypt", false, into(dle.kencrypt)},
                      {"datapath", false, with(take_datapath)},
                      {"exclude", false, take_selection(dle.exclude)},
                      {"include", false, take_selection(dle.include)},
                      {"script", true, with(take_script)},
                      {"property", true, take_property(dle.properties)},
                      {"dumpdate", false, into(dle.dumpdate)}});
  if (!walked) return std::unexpected(walked.error());
  if (dle.program.empty()) return bad("Missing program element");
  if (dle.program == "APPLICATION" && dle.application.plugin.empty())
    return bad("Missing backup-program element");
  if (dle.device == dle.disk) dle.device.clear();
  return dle;
}

}  // namespace

Result<std::vector<Dle>> parse_dles_xml(std::string_view text) {
  if (text.size() > kMaxDleXmlBytes) {
    return bad(fmt::format("{} bytes of disk list, more than the {} allowed", text.size(), kMaxDleXmlBytes));
  }
  pugi::xml_document document;
  const auto read = document.load_buffer(text.data(), text.size(), pugi::parse_default | pugi::parse_fragment,
                                         pugi::encoding_utf8);
  if (!read) return bad(fmt::format("{} at byte {}", read.description(), read.offset));
  std::vector<Dle> out;
  for (const pugi::xml_node& node : document.children()) {
    if (node.type() != pugi::node_element) {
      if (is_white(node.value())) continue;
      return bad(fmt::format("Invalid text '{}' outside of a dle element", printable(node.value())));
    }
    if (std::string_view(node.name()) != "dle") return bad_element("Invalid", node);
    auto dle = take_dle(node);
    if (!dle) return std::unexpected(dle.error());
    out.push_back(*std::move(dle));
  }
  return out;
}

}  // namespace headrace::wire
