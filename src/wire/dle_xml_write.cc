// The writing half of dle.h's XML: element order and indentation are Amanda 3.5.1's, so that headers and
// requests are the same bytes as its own.
#include <fmt/format.h>

#include <algorithm>

#include "wire/base64.h"
#include "wire/dle.h"

namespace headrace::wire {

namespace {

class DleWriter {
 public:
  DleWriter(const Dle& dle, DleFor purpose, const FeatureSet& peer)
      : dle_(dle), purpose_(purpose), peer_(peer) {}

  std::string write() {
    out_ = "<dle>\n";
    plain(2, "program", dle_.program);
    if (purpose_ == DleFor::selfcheck || purpose_ == DleFor::sendsize) {
      application();
      estimate();
      disk();
      if (purpose_ == DleFor::sendsize) {
        levels();
        // Two blanks more than its siblings, as Amanda has it.
        plain(4, "spindle", std::to_string(dle_.spindle));
      }
      option_part();
    } else {
      disk();
      levels();
      option_part();
      if (peer_.has(Feature::dumptype_property)) properties(2, dle_.properties);
      application();
    }
    return out_ + "</dle>\n";
  }

 private:
  void plain(int indent, std::string_view name, std::string_view value) {
    out_ += fmt::format("{:{}}<{}>{}</{}>\n", "", indent, name, value, name);
  }

  static bool is_plain(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte > 0x20 && byte <= 0x7f && std::string_view("<>\"&\\'").find(c) == std::string_view::npos;
  }

  // Bytes that XML or old parsers would stumble over travel beside a readable copy.
  void text(int indent, std::string_view name, std::string_view value) {
    inline_text(indent, name, value);
    out_ += '\n';
  }

  void inline_text(int indent, std::string_view name, std::string_view value) {
    out_ += fmt::format("{:{}}<{}", "", indent, name);
    std::string shown(value);
    if (!std::ranges::all_of(value, is_plain)) {
      std::ranges::replace_if(shown, [](char c) { return !is_plain(c); }, '_');
      out_ += fmt::format(" encoding=\"raw\" raw=\"{}\"", encode_base64(value));
    }
    out_ += fmt::format(">{}</{}>", shown, name);
  }

  void disk() {
    text(2, "disk", dle_.disk);
    if (!dle_.device.empty() && dle_.device != dle_.disk) text(2, "diskdevice", dle_.device);
  }

  void estimate() {
    const EstimateMethod first = dle_.estimates.empty() ? EstimateMethod::client : dle_.estimates.front();
    const auto word = [](EstimateMethod method) {
      switch (method) {
        case EstimateMethod::calcsize:
          return "CALCSIZE";
        case EstimateMethod::server:
          return "SERVER";
        case EstimateMethod::client:
          break;
      }
      return "CLIENT";
    };
    if (peer_.has(Feature::xml_estimatelist)) {
      std::string list = dle_.estimates.empty() ? "CLIENT " : "";
      for (EstimateMethod method : dle_.estimates) list += fmt::format("{} ", word(method));
      plain(2, "estimate", list);
    } else if (peer_.has(Feature::xml_estimate)) {
      plain(2, "estimate", word(first));
    } else if (first == EstimateMethod::calcsize) {
      plain(2, "calcsize", "YES");
    }
  }

  void levels() {
    for (const DleLevel& level : dle_.levels) {
      const bool server = level.server && peer_.has(Feature::xml_level_server);
      plain(2, "level", fmt::format("{}{}", level.level, server ? "<server>YES</server>" : ""));
    }
  }

  void option_part() {
    if (!dle_.auth.empty()) plain(2, "auth", dle_.auth);
    compress();
    encrypt();
    plain(2, "record", dle_.record ? "YES" : "NO");
    if (!dle_.discard.empty() && purpose_ == DleFor::sendbackup && peer_.of_headrace())
      plain(2, "headrace-discard", dle_.discard);
    if (dle_.index) plain(2, "index", "YES");
    if (dle_.kencrypt) plain(2, "kencrypt", "YES");
    datapath();
    selection("exclude", dle_.exclude);
    selection("include", dle_.include);
    if (peer_.has(Feature::pp_script)) {
      for (const Script& script : dle_.scripts) write_script(script);
    }
  }

  void compress() {
    switch (dle_.compress) {
      case Compress::none:
        return;
      case Compress::fast:
        return plain(2, "compress", "FAST");
      case Compress::best:
        return plain(2, "compress", "BEST");
      case Compress::server_fast:
        return plain(2, "compress", "SERVER-FAST");
      case Compress::server_best:
        return plain(2, "compress", "SERVER-BEST");
      case Compress::custom:
      case Compress::server_custom:
        break;
    }
    out_ +=
        fmt::format("  <compress>{}<custom-compress-program>{}</custom-compress-program>\n  </compress>\n",
                    dle_.compress == Compress::custom ? "CUSTOM" : "SERVER-CUSTOM", dle_.compress_program);
  }

  void encrypt() {
    if (dle_.encrypt == Encrypt::none) return;
    if (dle_.encrypt == Encrypt::server_custom && purpose_ != DleFor::header) return;
    out_ += fmt::format("  <encrypt>{}<custom-encrypt-program>{}</custom-encrypt-program>\n",
                        dle_.encrypt == Encrypt::custom ? "CUSTOM" : "SERVER-CUSTOM", dle_.encrypt_program);
    if (!dle_.decrypt_option.empty()) plain(4, "decrypt-option", dle_.decrypt_option);
    out_ += "  </encrypt>\n";
  }

  void datapath() {
    if (!peer_.has(Feature::xml_data_path)) return;
    if (dle_.datapath == DataPath::amanda) return plain(2, "datapath", "AMANDA");
    out_ += "  <datapath>DIRECTTCP\n";
    for (const std::string& address : dle_.directtcp) {
      text(4, "directtcp", address);
      if (!peer_.has(Feature::xml_directtcp_list)) break;
    }
    out_ += "  </datapath>\n";
  }

  void selection(std::string_view name, const Selection& chosen) {
    if (chosen.empty()) return;
    out_ += fmt::format("  <{}>\n", name);
    for (const std::string& file : chosen.files) text(4, "file", file);
    for (const std::string& list : chosen.lists) text(4, "list", list);
    if (chosen.optional) plain(4, "optional", "YES");
    out_ += fmt::format("  </{}>\n", name);
  }

  void properties(int indent, const std::vector<Property>& all) {
    for (const Property& property : all) {
      out_ += fmt::format("{:{}}<property>\n", "", indent);
      text(indent + 2, "name", property.name);
      if (property.priority && peer_.has(Feature::xml_property_priority))
        plain(indent + 2, "priority", "yes");
      // All values stand on one line, each with its indent: so Amanda has it.
      for (const std::string& value : property.values) inline_text(indent + 2, "value", value);
      if (!property.values.empty()) out_ += '\n';
      out_ += fmt::format("{:{}}</property>\n", "", indent);
    }
  }

  void application() {
    if (dle_.application.plugin.empty()) return;
    out_ += "  <backup-program>\n";
    text(4, "plugin", dle_.application.plugin);
    properties(4, dle_.application.properties);
    if (!dle_.application.client_name.empty() && peer_.has(Feature::application_client_name)) {
      text(4, "client_name", dle_.application.client_name);
    }
    out_ += "  </backup-program>\n";
  }

  void write_script(const Script& script) {
    out_ += "  <script>\n";
    text(4, "plugin", script.plugin);
    if (!script.execute_where.empty()) plain(4, "execute_where", script.execute_where);
    if (!script.execute_on.empty()) plain(4, "execute_on", script.execute_on);
    properties(4, script.properties);
    if (!script.client_name.empty() && peer_.has(Feature::script_client_name)) {
      text(4, "client_name", script.client_name);
    }
    out_ += "  </script>\n";
  }

  const Dle& dle_;
  const DleFor purpose_;
  const FeatureSet& peer_;
  std::string out_;
};

}  // namespace

std::string encode_dle_xml(const Dle& dle, DleFor purpose, const FeatureSet& peer) {
  return DleWriter(dle, purpose, peer).write();
}

}  // namespace headrace::wire
