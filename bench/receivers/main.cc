// A load tool: asks a client for any number of dumps at once, over any auth, throws away what comes, and
// tells as JSON lines what came when. Each stream of each dump can be stopped, slowed and paused, by commands
// on standard input or from a script. Usage: bench/README.md.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "flow/lines.h"
#include "loop/fd_stream.h"
#include "loop/loop.h"
#include "remote_dump.h"
#include "wire/noop.h"
#include "wire/packet.h"

namespace headrace::bench {
namespace {

using base::Result;
using nlohmann::json;

struct Options {
  DumpOptions dumps;
  wire::Dle dle;  // what the dumps share
  std::vector<std::string> disks;
  std::vector<std::string> hidden_features;
  std::vector<std::string> properties;
  std::string source_ports = "512:1023";
  std::string compress = "none";
  std::string script;
  unsigned report_ms = 50;
  unsigned stagger_ms = 0;
  double seconds = 0;
};

constexpr const char* kCommands =
    "commands, one a line, on standard input or in --script:\n"
    "  stop DUMP STREAM               read nothing more of it\n"
    "  go DUMP STREAM                 read it again\n"
    "  rate DUMP STREAM BYTES         read at most so many a second; 0: no limit\n"
    "  duty DUMP STREAM PERCENT MS    read for PERCENT of each MS\n"
    "  add DISK[=DEVICE]              ask for one dump more\n"
    "  ping                           time a noop request\n"
    "  quit\n"
    "  at SECONDS COMMAND             the same, so long after the start\n"
    "DUMP is a disk's name, its place from 0 up, or *; STREAM is DATA, MESG, INDEX, STATE or *.";

// One noop, timed.
struct Ping {
  base::Instant began;
  std::unique_ptr<loop::Operation> connecting;
  std::unique_ptr<auth::Path> path;
  std::unique_ptr<exchange::Requester> requester;
};

class Tool {
 public:
  Tool(loop::Loop& loop, Options options) : loop_(loop), options_(std::move(options)), connector_(loop) {
    began_ = loop_.clock().now();
  }

  int run() {
    if (auto script = read_script(); !script) {
      fmt::print(stderr, "receivers: {}\n", script.error().what());
      return 2;
    }
    unsigned wait_ms = 0;
    for (const std::string& disk : options_.disks) {
      RemoteDump& dump = make(disk);
      timers_.push_back(loop_.after(std::chrono::milliseconds(wait_ms), [this, &dump] { start(dump); }));
      wait_ms += options_.stagger_ms;
    }
    read_commands();
    if (options_.seconds > 0) {
      timers_.push_back(loop_.after(seconds_of(options_.seconds), [this] { loop_.stop(); }));
    }
    report();
    loop_.run();
    tell({{"event", "done"}, {"good", good_}, {"bad", bad_}, {"unfinished", dumps_.size() - good_ - bad_}});
    return bad_ == 0 ? 0 : 1;
  }

 private:
  static base::Duration seconds_of(double seconds) {
    return std::chrono::duration_cast<base::Duration>(std::chrono::duration<double>(seconds));
  }
  double now() const { return std::chrono::duration<double>(loop_.clock().now() - began_).count(); }
  static double rounded(double value) { return std::round(value * 1000) / 1000; }
  void tell(json line) {
    line["t"] = rounded(now());
    const std::string text = line.dump() + "\n";
    // A pipe that nobody reads stops this tool, and with it all receivers.
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
  }

  RemoteDump& make(const std::string& disk) {
    wire::Dle dle = options_.dle;
    const size_t equals = disk.find('=');
    dle.disk = disk.substr(0, equals);
    if (equals != std::string::npos) dle.device = disk.substr(equals + 1);
    return *dumps_.emplace_back(
        std::make_unique<RemoteDump>(loop_, connector_, options_.dumps, std::move(dle)));
  }

  void start(RemoteDump& dump) {
    const double asked = now();
    dump.start(
        [this, &dump, asked] {
          tell({{"event", "streaming"}, {"dump", dump.name()}, {"ms", rounded((now() - asked) * 1000)}});
        },
        [this, &dump](const std::string& fault) {
          ++(fault.empty() ? good_ : bad_);
          json line = {{"event", "ended"}, {"dump", dump.name()}, {"bytes", dump.bytes(kData)}};
          if (!dump.client_crc().empty()) line["client_crc"] = dump.client_crc();
          if (!fault.empty()) line["fault"] = fault;
          tell(std::move(line));
          if (good_ + bad_ == dumps_.size()) loop_.stop();
        });
  }

  void report() {
    if (options_.report_ms == 0) return;
    report_timer_ = loop_.after(std::chrono::milliseconds(options_.report_ms), [this] {
      json rows = json::array();
      for (const auto& dump : dumps_) {
        rows.push_back({dump->bytes(kData), dump->bytes(kMesg), dump->bytes(kIndex), dump->bytes(kState)});
      }
      tell({{"bytes", std::move(rows)}});
      report();
    });
  }

  // ---- commands ----

  Result<> read_script() {
    if (options_.script.empty()) return {};
    std::ifstream file(options_.script);
    if (!file) return base::fail_errno("open " + options_.script);
    for (std::string line; std::getline(file, line);) {
      if (!line.empty() && line[0] != '#') command(line);
    }
    return {};
  }

  void read_commands() {
    auto input = loop::make_fd_stream(loop_, base::Fd(::dup(STDIN_FILENO)), loop::FdKind::pipe);
    if (!input) return;  // a file or /dev/null: no commands
    input_ = std::move(*input);
    lines_ = std::make_unique<flow::LineReader>(
        loop_, *input_, [this](std::string_view line, bool) { command(std::string(line)); },
        [](const Result<>&) {});
    lines_->start();
  }

  void command(const std::string& line) {
    std::istringstream stream(line);
    const std::vector<std::string> words{std::istream_iterator<std::string>(stream), {}};
    if (words.empty()) return;
    if (words[0] == "at" && words.size() > 2) {
      const std::string rest = line.substr(line.find(words[2], line.find(words[1]) + words[1].size()));
      const double when = std::strtod(words[1].c_str(), nullptr);
      timers_.push_back(loop_.after(seconds_of(when - now()), [this, rest] { command(rest); }));
      return;
    }
    const bool known = obey(words);
    tell({{"event", known ? "command" : "bad command"}, {"command", line}});
  }

  bool obey(const std::vector<std::string>& words) {
    if (words[0] == "quit") return loop_.stop(), true;
    if (words[0] == "ping") return ping(), true;
    if (words[0] == "add" && words.size() == 2) return start(make(words[1])), true;
    if (words.size() < 3) return false;
    std::vector<uint64_t> numbers;
    for (size_t i = 3; i < words.size(); ++i) {
      uint64_t number = 0;
      const std::string& word = words[i];
      if (std::from_chars(word.data(), word.data() + word.size(), number).ec != std::errc()) return false;
      numbers.push_back(number);
    }
    const auto dumps = dumps_named(words[1]);
    const auto streams = streams_named(words[2]);
    for (RemoteDump* dump : dumps) {
      for (const StreamIndex which : streams) {
        if (!apply(*dump, which, words[0], numbers)) return false;
      }
    }
    return !dumps.empty() && !streams.empty();
  }

  static bool apply(RemoteDump& dump, StreamIndex which, const std::string& what,
                    const std::vector<uint64_t>& numbers) {
    if (what == "stop" && numbers.empty()) {
      dump.stop(which);
    } else if (what == "go" && numbers.empty()) {
      dump.go(which);
    } else if (what == "rate" && numbers.size() == 1) {
      dump.set_rate(which, numbers[0]);
    } else if (what == "duty" && numbers.size() == 2 && numbers[0] <= 100) {
      dump.set_duty(which, static_cast<unsigned>(numbers[0]), std::chrono::milliseconds(numbers[1]));
    } else {
      return false;
    }
    return true;
  }

  std::vector<RemoteDump*> dumps_named(const std::string& name) {
    std::vector<RemoteDump*> found;
    for (size_t i = 0; i < dumps_.size(); ++i) {
      if (name == "*" || name == dumps_[i]->name() || name == std::to_string(i))
        found.push_back(dumps_[i].get());
    }
    return found;
  }

  static std::vector<StreamIndex> streams_named(const std::string& name) {
    std::vector<StreamIndex> found;
    for (size_t i = 0; i < kStreams; ++i) {
      if (name == "*" || name == kStreamNames[i]) found.push_back(static_cast<StreamIndex>(i));
    }
    return found;
  }

  void ping() {
    auto& ping = *pings_.emplace_back(std::make_unique<Ping>());
    ping.began = loop_.clock().now();
    ping.connecting =
        connector_.connect(options_.dumps.peer, [this, &ping](Result<std::unique_ptr<auth::Path>> path) {
          if (!path) return tell({{"event", "pong"}, {"fault", path.error().what()}});
          ping.path = std::move(*path);
          wire::Request request;
          if (ping.path->names_user()) request.security_user = options_.dumps.user;
          request.service = "noop";
          request.arguments = wire::encode_noop_request(options_.dumps.features);
          ping.requester = std::make_unique<exchange::Requester>(
              loop_, ping.path->begin(), wire::encode_request(request), exchange::RequestTimes{});
          ping.requester->start(nullptr, [this, &ping](const Result<std::string>& body) {
            json line = {{"event", "pong"}};
            line["ms"] =
                rounded(std::chrono::duration<double, std::milli>(loop_.clock().now() - ping.began).count());
            if (!body) line["fault"] = body.error().what();
            tell(std::move(line));
          });
        });
  }

  loop::Loop& loop_;
  const Options options_;
  base::Instant began_;
  auth::NetConnector connector_;
  std::vector<std::unique_ptr<RemoteDump>> dumps_;
  std::vector<std::unique_ptr<Ping>> pings_;
  std::vector<std::unique_ptr<loop::Timer>> timers_;
  std::unique_ptr<loop::Timer> report_timer_;
  std::unique_ptr<loop::Duplex> input_;
  std::unique_ptr<flow::LineReader> lines_;
  size_t good_ = 0;
  size_t bad_ = 0;
};

// What the command line says in words, as values. False when it makes no sense.
bool complete(Options& options) {
  auth::Peer& peer = options.dumps.peer;
  unsigned low = 0;
  unsigned high = 0;
  if (std::sscanf(options.source_ports.c_str(), "%u:%u", &low, &high) != 2 || low > high || high > 65535) {
    fmt::print(stderr, "receivers: --source-ports \"{}\" is no LOW:HIGH\n", options.source_ports);
    return false;
  }
  peer.source_port_low = static_cast<uint16_t>(low);
  peer.source_port_high = static_cast<uint16_t>(high);
  wire::FeatureSet& features = options.dumps.features;
  features = wire::FeatureSet::ours_as_server();
  for (const std::string& name : options.hidden_features) {
    bool known = false;
    for (uint16_t bit = 0; bit < wire::kFeatureCount; ++bit) {
      const auto feature = static_cast<wire::Feature>(bit);
      if (wire::name_of(feature) != name) continue;
      features.remove(feature);
      known = true;
    }
    if (!known) {
      fmt::print(stderr, "receivers: no feature is called \"{}\"\n", name);
      return false;
    }
  }
  wire::Dle& dle = options.dle;
  if (options.compress == "fast") dle.compress = wire::Compress::fast;
  if (options.compress == "best") dle.compress = wire::Compress::best;
  if (options.compress.starts_with("/")) {
    dle.compress = wire::Compress::custom;
    dle.compress_program = options.compress;
  }
  if (!dle.application.plugin.empty()) dle.program = "APPLICATION";
  for (const std::string& property : options.properties) {
    const size_t equals = std::min(property.find('='), property.size());
    dle.application.properties.push_back(
        {property.substr(0, equals), false, {property.substr(std::min(equals + 1, property.size()))}});
  }
  dle.levels = {{0, false, {}}};
  dle.record = false;
  dle.auth = peer.auth;
  return true;
}

int receivers(int argc, char** argv) {
  Options options;
  CLI::App app("Receives dumps of a client, several at once, and throws them away.", "receivers");
  app.footer(kCommands);
  auto& peer = options.dumps.peer;
  auto& dle = options.dle;
  dle.program = "GNUTAR";
  dle.index = true;
  app.add_option("host", peer.host, "The client")->required();
  app.add_option("disks", options.disks, "DISK or DISK=DEVICE, one a dump")->required();
  app.add_option("--auth", peer.auth, "The way to the client")->capture_default_str();
  app.add_option("--port", peer.port, "The client's port")->capture_default_str();
  app.add_option("--source-ports", options.source_ports, "LOW:HIGH of our end")->capture_default_str();
  app.add_option("--amandad", peer.amandad_path, "The client program, for local and ssh");
  options.dumps.user = "backup";
  app.add_option("--user", options.dumps.user, "Who asks")->capture_default_str();
  options.dumps.config = "bench";
  app.add_option("--config", options.dumps.config, "The configuration's name")->capture_default_str();
  app.add_flag_callback("--no-index", [&dle] { dle.index = false; }, "Ask for no INDEX stream");
  app.add_option("--application", dle.application.plugin, "Dump with this application instead of GNUTAR");
  app.add_option("--property", options.properties, "NAME=VALUE of the application");
  app.add_option("--compress", options.compress, "none, fast, best or the path of a program, on the client");
  app.add_option("--hide-feature", options.hidden_features,
                 "A feature not to show to the client; without sendbackup_crc it computes no CRC");
  app.add_flag_callback(
      "--no-crc", [&options] { options.dumps.check_crc = false; }, "Compute no CRC of what comes");
  app.add_option("--budget", options.dumps.budget_bytes, "Bytes that a DATA reader may hold");
  app.add_option("--report", options.report_ms, "Tell the bytes every so many ms; 0: never")
      ->capture_default_str();
  app.add_option("--stagger", options.stagger_ms, "Start the dumps so many ms apart");
  app.add_option("--seconds", options.seconds, "End after so long; 0: when all dumps have ended");
  app.add_option("--script", options.script, "A file of commands");
  CLI11_PARSE(app, argc, argv);
  if (!complete(options)) return 2;
  const auto loop = loop::make_loop(2);
  Tool tool(*loop, std::move(options));
  return tool.run();
}

}  // namespace
}  // namespace headrace::bench

int main(int argc, char** argv) { return headrace::bench::receivers(argc, argv); }
