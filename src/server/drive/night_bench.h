// A server's whole world in a temporary directory: configuration, holding disk, vtapes, and a scripted client
// on the loopback, with the real Runner over it. Tests only.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "compat/curinfo.h"
#include "compat/run_log.h"
#include "compat/tapelist.h"
#include "config/load.h"
#include "journal/file.h"
#include "journal/state.h"
#include "loop/loop.h"
#include "loop/test_loop.h"
#include "server/catalog/catalog.h"
#include "server/drive/runner.h"
#include "server/dump/fake_client.h"

namespace headrace::drive {

inline constexpr const char* kHost = "127.0.0.1";

inline std::string noise(size_t size, unsigned seed = 7) {
  std::string text(size, '\0');
  for (char& c : text) {
    seed = seed * 1664525U + 1013904223U;
    c = static_cast<char>(seed >> 24U);
  }
  return text;
}

// What the three disks hold, unless a test says otherwise.
inline const std::string kOne = noise(300'000, 1);
inline const std::string kTwo = noise(2'500'000, 2);
inline const std::string kThree = noise(7, 3);

inline void all_good(dump::FakeClient& client) {
  client.estimates = {{"/d1", 300}, {"/d2", 2500}, {"/d3", 1}};
  client.scripts["/d1"] = {dump::good_script(kOne)};
  client.scripts["/d2"] = {dump::good_script(kTwo)};
  client.scripts["/d3"] = {dump::good_script(kThree)};
}

class NightBench : public ::testing::Test {
 protected:
  NightBench() {
    char name[] = "/tmp/headrace-night-XXXXXX";
    root = ::mkdtemp(name);
    for (const char* directory : {"vtapes/slot1", "vtapes/slot2", "vtapes/slot3", "holding", "config"})
      std::filesystem::create_directories(root / directory);
  }
  ~NightBench() override { std::filesystem::remove_all(root); }

  // What the tests vary; the defaults are a holding disk and roomy volumes.
  std::string globals;                         // further lines
  std::string tapetype = "length 100 mbytes";  // lines of the tapetype
  std::string changer;                         // lines of the changer
  std::string dumptype;                        // lines of the dumptype
  std::string holding_use = "64 mbytes";       // empty: no holding disk
  std::vector<std::string> disk_names = {"/d1", "/d2", "/d3"};
  std::vector<std::string> listed_names;  // in the disklist; empty: the same

  config::ServerConfig configuration() const {
    std::string text =
        "org \"test\"\ninparallel 4\nmaxdumps 3\ndumpcycle 7 days\ntapecycle 3 tapes\nrunspercycle 7\n"
        "connect-tries 1\nreserve 0\nreserved-tcp-port 1024,65535\nlabelstr \"^V-[0-9]+$\"\n"
        "autolabel \"V-%%%\" empty\ntpchanger \"vt\"\ntapetype T\ncompress-index no\n";
    const std::string at = root.native();
    text += "infofile \"" + at + "/info\"\nlogdir \"" + at + "/log\"\nindexdir \"" + at +
            "/index\"\ntapelist \"" + at + "/config/tapelist\"\n" + globals + "\n";
    text += "define changer vt {\n tpchanger \"chg-disk:" + at + "/vtapes\"\n changerfile \"" + at +
            "/changer\"\n" + changer + "\n}\ndefine tapetype T {\n filemark 0 kbytes\n" + tapetype + "\n}\n";
    if (!holding_use.empty()) {
      text += "holdingdisk hd {\n directory \"" + at + "/holding\"\n use " + holding_use +
              "\n chunksize 1 mbyte\n}\n";
    }
    text += "define dumptype t {\n program \"GNUTAR\"\n auth \"bsdtcp\"\n compress none\n index yes\n" +
            dumptype + "\n client-port \"" + std::to_string(client_port) + "\"\n}\n";
    auto loaded = config::load_server_text(text, root / "config");
    EXPECT_TRUE(loaded.ok()) << config::errors_text(loaded.diagnostics);
    return loaded.ok() ? *loaded : config::ServerConfig{};
  }
  std::vector<config::DiskListEntry> entries(const config::ServerConfig& config) const {
    return entries(config, disk_names);
  }
  std::vector<config::DiskListEntry> entries(const config::ServerConfig& config,
                                             const std::vector<std::string>& disks) const {
    std::string text;
    for (const auto& disk : disks) text += std::string(kHost) + " " + disk + " t\n";
    auto loaded = config::load_disklist_text(config, text, "disklist");
    EXPECT_TRUE(loaded.ok()) << config::errors_text(loaded.diagnostics);
    return loaded.ok() ? *loaded : std::vector<config::DiskListEntry>{};
  }

  struct Ran {
    int status = -1;
    journal::RunState state;
    std::vector<journal::Body> events;

    const journal::DumpState& dump(const std::string& disk) const {
      const auto found =
          std::ranges::find_if(state.dumps, [&](const auto& it) { return it.image.disk == disk; });
      static const journal::DumpState none;
      EXPECT_NE(found, state.dumps.end()) << disk;
      return found == state.dumps.end() ? none : *found;
    }
    template <class Event>
    size_t count() const {
      return static_cast<size_t>(std::ranges::count_if(
          events, [](const auto& body) { return std::holds_alternative<Event>(body); }));
    }
    template <class Event>
    const Event* first() const {
      for (const auto& body : events) {
        if (const auto* event = std::get_if<Event>(&body)) return event;
      }
      return nullptr;
    }
  };

  // Sets the client up; may keep hold of the runner to cancel it when an event is seen.
  using SetUp = std::function<void(dump::FakeClient&)>;
  using Watch = std::function<void(Runner&, dump::FakeClient&, const journal::Body&)>;
  Ran run(const SetUp& set_up, const Watch& watch = nullptr, bool selected = false) {
    Ran ran;
    auto loop = loop::make_loop(4);
    const auto deadline = loop->after(std::chrono::seconds(30), [&] {
      ADD_FAILURE() << "the run does not end";
      loop->stop();
    });
    {
      dump::FakeClient client(*loop);
      client_port = client.port();
      if (set_up) set_up(client);
      const auto config = configuration();
      auth::NetConnector connector(*loop);
      Runner runner(
          *loop, connector, config,
          {.disks = entries(config), .selected = selected, .listed = entries(config, listed_names)});
      const auto begun = runner.begin();
      EXPECT_TRUE(begun) << begun.error().what();
      if (!begun) return ran;
      runner.start(
          [&](const journal::Body& body) {
            ran.events.push_back(body);
            if (watch) watch(runner, client, body);
          },
          [&](int status) {
            ran.status = status;
            loop->stop();
          });
      loop->run();
      asked = client.asked;
      timestamp = runner.state().run.timestamp;
    }
    // What everybody else will see of it, not what the runner remembers.
    auto read = journal::read_all(journal::path_of(root / "log", timestamp));
    EXPECT_TRUE(read) << read.error().what();
    if (read) ran.state = journal::reduce(read->events);
    return ran;
  }

  // The data of an image's parts on the vtapes, by slot and file.
  std::string on_volumes(const std::string& disk) const {
    std::string name = disk, data;
    std::ranges::replace(name, '/', '_');
    for (const auto& file : files_below(root / "vtapes")) {
      if (file.filename().native().find("." + name + ".") == std::string::npos) continue;
      data += base::read_file(file).value_or("").substr(32768);
    }
    return data;
  }
  static std::vector<std::filesystem::path> files_below(const std::filesystem::path& directory) {
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
      if (entry.is_regular_file()) files.push_back(entry.path());
    }
    std::ranges::sort(files);
    return files;
  }
  std::vector<std::filesystem::path> held() const { return files_below(root / "holding"); }
  bool holding_is_empty() const { return std::filesystem::is_empty(root / "holding"); }
  compat::Curinfo info(const std::string& disk) const {
    auto loaded = compat::load_curinfo(root / "info", kHost, disk);
    EXPECT_TRUE(loaded) << loaded.error().what();
    return loaded.value_or(compat::Curinfo{});
  }
  std::vector<std::string> labels() const {
    std::vector<std::string> names;
    auto list = compat::load_tapelist(root / "config/tapelist");
    EXPECT_TRUE(list);
    for (const auto& entry : list->entries()) names.push_back(entry.label);
    std::ranges::sort(names);
    return names;
  }
  bool has_index(const std::string& disk) const {
    std::string name = disk;
    std::ranges::replace(name, '/', '_');
    const auto directory = root / "index" / kHost / name;
    return std::filesystem::exists(directory) &&
           std::ranges::any_of(files_below(directory), [this](const auto& file) {
             return file.filename() == timestamp + "_0-unsorted";
           });
  }
  // "ok", "partial", … of the newest image in the catalog; "none".
  std::string catalog_says(const std::string& disk) const {
    auto loaded = catalog::load(catalog::Sources::of(configuration()));
    EXPECT_TRUE(loaded);
    const auto images = loaded->images_of(kHost, disk);
    if (images.empty()) return "none";
    return images.front()->status == catalog::ImageStatus::ok ? "ok" : images.front()->reason;
  }
  std::string log_text() const {
    return base::read_file(compat::run_log_path(root / "log", timestamp)).value_or("(no log)");
  }

  std::filesystem::path root;
  uint16_t client_port = 10080;
  std::string timestamp;           // of the last run
  std::vector<std::string> asked;  // of its client
};

}  // namespace headrace::drive
