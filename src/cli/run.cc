#include "cli/run.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>

#include "cli/admin_command.h"
#include "cli/check_command.h"
#include "cli/client_command.h"
#include "cli/config_command.h"
#include "cli/diagnose_command.h"
#include "cli/dump_command.h"
#include "cli/explain_command.h"
#include "cli/find_command.h"
#include "cli/label_command.h"
#include "cli/limit_command.h"
#include "cli/pause_command.h"
#include "cli/plan_command.h"
#include "cli/report_command.h"
#include "cli/restore_command.h"
#include "cli/status_command.h"

namespace headrace::cli {

namespace {

// Filled by the parser, read by the chosen command.
struct Arguments {
  std::string config;
  std::vector<std::string> overrides;
  std::vector<std::string> words;
  bool json = false;
  std::string key;
  bool list = false;
  std::vector<std::string> disks;
  ClientOptions client;
  CheckOptions check;
  DumpOptions dump;
  bool only_estimate = false;
  RestoreOptions restore;
  FindOptions find;
  std::string label;
  std::string storage;
  std::optional<int> slot;
  bool force = false;
  bool follow = false;
  LimitOptions limit;
  DiagnoseOptions diagnose;
  PlanOptions plan;
  WishOptions wish;
  ExplainOptions explain;
  std::string timestamp;
  std::string run;
};

// Each command sets this; run after parsing, so that a command may exit with any status.
using Chosen = std::function<int()>;

void add_config_argument(CLI::App& command, Arguments& arguments) {
  command
      .add_option("CONFIG", arguments.config,
                  "Configuration directory, or a name under /etc/headrace or /etc/amanda")
      ->required();
  command.add_option("-o", arguments.overrides, "Override a parameter: -o KEY=VALUE (repeatable)")
      ->allow_extra_args(false);
}

void add_json(CLI::App& command, Arguments& arguments) {
  command.add_flag("--json", arguments.json, "Print facts as JSON");
}

// One of several that go on side by side; `otherwise`: which it is when nothing is said.
void add_run(CLI::App& command, Arguments& arguments, const std::string& otherwise) {
  command.add_option(
      "--run", arguments.run,
      "The run of this time (20261123013000, or as much of it as is unique); default: " + otherwise);
}

void add_client(CLI::App& app, Arguments& arguments, Chosen& chosen) {
  auto& options = arguments.client;
  auto* command = app.add_subcommand("client", "Serve backups of this machine (amandad)");
  command
      ->add_option("--listen", options.listen,
                   "[AUTH:]ADDRESS:PORT to listen on (repeatable; default 0.0.0.0:10080 for each auth)")
      ->allow_extra_args(false);
  command
      ->add_option("--auth", options.auths,
                   "How servers reach us: bsdtcp, bsd, bsdudp, ssh or local (repeatable; default bsdtcp)")
      ->allow_extra_args(false);
  command->add_option("--user", options.user, "The dump user, whose .amandahosts counts")
      ->capture_default_str();
  command->add_option("--amandahosts", options.amandahosts, "Another file than the dump user's .amandahosts");
  command->add_option("--config-dir", options.config_dir, "Where amanda-client.conf is")
      ->capture_default_str();
  command->add_option("--gnutar", options.gnutar, "GNU tar")->capture_default_str();
  command->add_option("--tmp-dir", options.tmp_dir, "For exclude and include lists")->capture_default_str();
  command->add_flag("--stay", options.stay, "Do not end when idle, even if inetd started us");
  command->add_option("SERVICE", options.services,
                      "Services to offer (default: noop selfcheck sendsize sendbackup)");
  command->footer(
      "Examples:\n"
      "  headrace client                          listen on port 10080\n"
      "  headrace client --auth bsdtcp --auth bsd listen on TCP and UDP port 10080\n"
      "  headrace client --listen bsd:0.0.0.0:10080 --listen bsdudp:0.0.0.0:10081\n"
      "  headrace client --listen 127.0.0.1:10081 --amandahosts ./amandahosts\n"
      "  xinetd: server = /usr/bin/headrace, server_args = client");
  command->callback([&] { chosen = [&] { return client(arguments.client); }; });
}

void add_config(CLI::App& app, Arguments& arguments, Chosen& chosen) {
  auto* command = app.add_subcommand("config", "Check and show configurations (amgetconf)");
  command->require_subcommand(1);
  auto* check = command->add_subcommand("check", "List mistakes, and what is set but not acted on yet");
  add_config_argument(*check, arguments);
  add_json(*check, arguments);
  check->callback(
      [&] { chosen = [&] { return config_check(arguments.config, arguments.json, arguments.overrides); }; });
  auto* get = command->add_subcommand("get", "Print one parameter");
  add_config_argument(*get, arguments);
  get->add_option("KEY", arguments.key, "\"org\", \"tapetype:NAME:length\" …")->required();
  get->add_flag("--list", arguments.list, "KEY is a type (dumptype, tapetype …): list its blocks");
  add_json(*get, arguments);
  get->callback([&] {
    chosen = [&] {
      return config_get(arguments.config, arguments.key, arguments.list, arguments.json, arguments.overrides);
    };
  });
  auto* show = command->add_subcommand("show", "Print the whole configuration");
  add_config_argument(*show, arguments);
  show->callback([&] { chosen = [&] { return config_show(arguments.config, arguments.overrides); }; });
}

void add_check(CLI::App& app, Arguments& arguments, Chosen& chosen) {
  auto* command = app.add_subcommand("check", "Check server, volume and clients before a run (amcheck)");
  add_config_argument(*command, arguments);
  add_json(*command, arguments);
  command->add_option("HOST", arguments.disks, "HOST [DISK…] …: only these (match expressions)");
  command->add_flag_callback(
      "--no-clients", [&] { arguments.check.clients = false; }, "Leave the clients out (amcheck -s)");
  command->add_flag_callback(
      "--no-server", [&] { arguments.check.server = false; }, "Only the clients (amcheck -c)");
  command->add_flag("--verbose", arguments.check.verbose, "Also what is in order on the clients");
  command->footer(
      "Examples:\n  headrace check daily\n  headrace check ./conf client.example --json\n"
      "Exit status: 0 no problem, 1 at least one.");
  command->callback([&] {
    chosen = [&] {
      arguments.check.config = arguments.config;
      arguments.check.disks = arguments.disks;
      arguments.check.overrides = arguments.overrides;
      arguments.check.json = arguments.json;
      return check(arguments.check);
    };
  });
}

void add_dump(CLI::App& app, Arguments& arguments, Chosen& chosen) {
  auto* command = app.add_subcommand("dump", "Back up tonight's disks (amdump)");
  add_config_argument(*command, arguments);
  command->add_option("HOST", arguments.disks, "HOST [DISK…] …: only these (match expressions)");
  command->add_flag("--no-volume", arguments.dump.no_volume,
                    "Write no volume: all stays on holding disk for a later run (amdump --no-taper)");
  command->add_flag("--wait", arguments.dump.wait, "For other runs that have one of the disks");
  command->add_flag("--only-estimate", arguments.only_estimate,
                    "Ask how large the dumps would be, show that and the plan, and dump nothing");
  command->add_flag("--quiet,-q", arguments.dump.quiet, "No progress");
  command->add_flag("--json", arguments.json, "Print the report as JSON at the end");
  command->footer(
      "Examples:\n  headrace dump daily\n  headrace dump daily fileserver /home\n"
      "  headrace dump daily --only-estimate\n"
      "A disk that another run has is left to that. One signal ends the run in order, a second one at once.\n"
      "Exit status: 0 all went well, 1 usage or configuration; else a sum of 1 an error of the run or its\n"
      "early end, 2 strange messages, 4 a dump failed, 8 a disk has no result, 16 trouble with volumes.");
  command->callback([&] {
    chosen = [&] {
      arguments.dump.config = arguments.config;
      arguments.dump.disks = arguments.disks;
      arguments.dump.overrides = arguments.overrides;
      arguments.dump.json = arguments.json;
      if (!arguments.only_estimate) return dump(arguments.dump);
      return plan({.config = arguments.config,
                   .disks = arguments.disks,
                   .overrides = arguments.overrides,
                   .estimates = true,
                   .json = arguments.json});
    };
  });
}

void add_plan(CLI::App& app, Arguments& arguments, Chosen& chosen) {
  auto& options = arguments.plan;
  auto* command = app.add_subcommand("plan", "What a run would do tonight, and why");
  add_config_argument(*command, arguments);
  command->add_option("HOST", options.disks, "HOST [DISK…] …: only these (match expressions)");
  command->add_option("--at", options.at, "As if the run began then: 20261123 or 20261123013000");
  command
      ->add_option("--nights", options.nights,
                   "So many nights, tonight first, as they come when all goes well and sizes stay")
      ->check(CLI::Range(1, 400));
  command->add_flag_callback(
      "--no-clients", [&options] { options.clients = false; }, "Ask nobody: sizes come from history");
  add_json(*command, arguments);
  command->footer(
      "Examples:\n  headrace plan daily\n  headrace plan daily fileserver /home\n"
      "  headrace plan daily --nights 14                    does it stay within the volumes?\n"
      "  headrace plan daily --no-clients --at 20261124     tomorrow, if nothing ran tonight\n"
      "Nothing is dumped, written or changed.\n"
      "Exit status: 0 planned, 1 usage or configuration, 4 a disk could not be planned.");
  command->callback([&] {
    chosen = [&] {
      options.config = arguments.config;
      options.overrides = arguments.overrides;
      options.json = arguments.json;
      return plan(options);
    };
  });
}

void add_explain(CLI::App& app, Arguments& arguments, Chosen& chosen) {
  auto& options = arguments.explain;
  auto* command = app.add_subcommand("explain", "Why a disk is dumped tonight as it is");
  add_config_argument(*command, arguments);
  command->add_option("HOST", options.disks, "HOST [DISK…] …: which (match expressions)")->required();
  command->add_option("--at", options.at, "As if the run began then: 20261123 or 20261123013000");
  command->add_flag_callback(
      "--no-clients", [&options] { options.clients = false; }, "Ask nobody: sizes come from history");
  add_json(*command, arguments);
  command->footer(
      "Examples:\n  headrace explain daily fileserver /home\n"
      "  headrace explain daily fileserver /home -o bumpsize=100m      what if\n"
      "  headrace explain daily fileserver --json | jq '.disks[].dump.reason'\n"
      "Exit status: 0 explained, 1 usage or configuration.");
  command->callback([&] {
    chosen = [&] {
      options.config = arguments.config;
      options.overrides = arguments.overrides;
      options.json = arguments.json;
      return explain(options);
    };
  });
}

void add_admin(CLI::App& app, Arguments& arguments, Chosen& chosen) {
  auto& options = arguments.wish;
  auto* command = app.add_subcommand("admin", "Tell the next run what is wished of a disk (amadmin force …)");
  add_config_argument(*command, arguments);
  command
      ->add_option("WISH", options.wish,
                   "force, force-level-1, force-bump, force-no-bump, unforce, skip or unskip")
      ->required()
      ->check(CLI::IsMember(wish_words()));
  command->add_option("HOST", options.disks, "HOST [DISK…] …: of which (match expressions)")->required();
  add_json(*command, arguments);
  command->footer(
      "Examples:\n  headrace admin daily force fileserver /home      a full in the next run\n"
      "  headrace admin daily force-bump fileserver       the next level\n"
      "  headrace admin daily unforce fileserver\n"
      "  headrace admin daily skip fileserver /home       not in the next run\n"
      "The last wish counts, until a dump or, of skip, a run fulfils it. \"headrace plan\" shows what comes "
      "of it.\n"
      "Exit status: 0 done, 1 usage, configuration, or a wish that could not be written.");
  command->callback([&] {
    chosen = [&] {
      options.config = arguments.config;
      options.overrides = arguments.overrides;
      options.json = arguments.json;
      return wish(options);
    };
  });
}

void add_status(CLI::App& app, Arguments& arguments, Chosen& chosen) {
  auto* command =
      app.add_subcommand("status", "How the run that goes on, or the last one, stands (amstatus)");
  add_config_argument(*command, arguments);
  command->add_flag("--follow,-f", arguments.follow, "Go on until the run ends");
  add_run(*command, arguments, "all that go on, else the last one");
  add_json(*command, arguments);
  command->footer(
      "Examples:\n  headrace status daily\n  headrace status daily --follow\n  headrace status daily --json "
      "| jq .\n"
      "Exit status: 0 all is well so far; else as of \"headrace dump\".");
  command->callback([&] {
    chosen = [&] {
      return status(arguments.config, arguments.follow, arguments.json, arguments.overrides, arguments.run);
    };
  });
}

void add_pause(CLI::App& app, Arguments& arguments, Chosen& chosen) {
  struct Kind {
    const char* name;
    const char* help;
    const char* examples;
    int (*run)(const PauseOptions&);
  };
  static constexpr Kind kKinds[] = {
      {"pause", "Stop dumps of the run that goes on, without losing anything",
       "Examples:\n  headrace pause daily fileserver /home\n  headrace pause daily fileserver\n"
       "What has not started yet will not start. \"headrace status\" shows what is paused.\n"
       "Exit status: 0 paused, 1 usage, configuration, no run, or nothing to pause.",
       pause},
      {"resume", "Let paused dumps go on",
       "Examples:\n  headrace resume daily fileserver /home\n  headrace resume daily '*'\n"
       "Exit status: 0 nothing that was named is paused, 1 usage, configuration or no run.",
       resume}};
  for (const Kind& kind : kKinds) {
    auto* command = app.add_subcommand(kind.name, kind.help);
    add_config_argument(*command, arguments);
    command->add_option("HOST", arguments.disks, "HOST [DISK…] …: which (match expressions)")->required();
    add_run(*command, arguments, "whichever has such dumps");
    add_json(*command, arguments);
    command->footer(kind.examples);
    command->callback([&arguments, &chosen, &kind] {
      chosen = [&arguments, &kind] {
        return kind.run(
            {arguments.config, arguments.disks, arguments.overrides, arguments.json, arguments.run});
      };
    });
  }
}

void add_limit(CLI::App& app, Arguments& arguments, Chosen& chosen) {
  auto& options = arguments.limit;
  auto* command = app.add_subcommand("limit", "Show or change the limits of the run that goes on");
  add_config_argument(*command, arguments);
  command->add_option("HOST", options.disks, "HOST [DISK…] …: whose maxdumps (default: every host's)");
  command->add_option("--maxdumps", options.max_dumps, "Dumps of a host at a time")
      ->check(CLI::Range(1, 10000));
  command->add_option(
      "--rate", options.rate,
      "Bytes a second: of a HOST all its dumps together, of a DISK its dump, else the whole run; "
      "\"none\" lifts it");
  command->add_option("--inparallel", options.in_parallel, "Dumps of the run at a time")
      ->check(CLI::Range(1, 10000));
  command->add_option("--netusage", options.netusage,
                      "What dumps of an interface may take together, by their estimated rates");
  command->add_option("--interface", options.interface, "Whose netusage")->capture_default_str();
  add_run(*command, arguments, "the only one that goes on, or that has such dumps");
  add_json(*command, arguments);
  command->footer(
      "Examples:\n  headrace limit daily                             show them\n"
      "  headrace limit daily fileserver --maxdumps 1\n"
      "  headrace limit daily fileserver /home --rate \"5 MB/s\"\n"
      "  headrace limit daily --inparallel 8 --netusage \"200 MB/s\"\n"
      "A rate is a number with a unit of amanda.conf (\"10 mbps\", \"5 MB/s\"); without one, KiB/s.\n"
      "Raised limits start more at once; lowered ones stop nothing that runs. The next run begins with\n"
      "what amanda.conf says.");
  command->callback([&] {
    chosen = [&] {
      options.config = arguments.config;
      options.overrides = arguments.overrides;
      options.json = arguments.json;
      options.run = arguments.run;
      return limit(options);
    };
  });
}

void add_diagnose(CLI::App& app, Arguments& arguments, Chosen& chosen) {
  auto& options = arguments.diagnose;
  auto* command = app.add_subcommand("diagnose", "Find out which dumps hinder each other, and where");
  add_config_argument(*command, arguments);
  command->add_option("HOST", options.disks, "HOST [DISK…] …: only these (match expressions)");
  command->add_option("--seconds", options.seconds, "Measure each phase so long")
      ->check(CLI::Range(0.1, 600.0))
      ->capture_default_str();
  command->add_option("--settle", options.settle, "Wait so long before")
      ->check(CLI::Range(0.0, 60.0))
      ->capture_default_str();
  command
      ->add_option("--until", options.until,
                   "Without a run: where the data is thrown away (default: network)")
      ->check(CLI::IsMember({"source", "client", "network", "holding"}));
  command->add_option("--rounds", options.rounds, "Measure all phases so often; medians count")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  add_run(*command, arguments, "the only one that goes on, or that has such dumps");
  add_json(*command, arguments);
  command->footer(
      "Examples:\n  headrace diagnose daily                   the dumps of the run that goes on\n"
      "  headrace diagnose daily fileserver --rounds 5\n"
      "  headrace diagnose daily fileserver /home /srv --until holding     at noon, without a run\n"
      "Measures the dumps all together, each alone and in pairs, by closing and opening gates. Nothing is\n"
      "lost, nothing times out, and all gates are open again at the end, whatever the end is.\n"
      "Exit status: 0 measured, 1 usage, configuration, or nothing to measure.");
  command->callback([&] {
    chosen = [&] {
      options.config = arguments.config;
      options.overrides = arguments.overrides;
      options.json = arguments.json;
      options.run = arguments.run;
      return diagnose(options);
    };
  });
}

void add_report(CLI::App& app, Arguments& arguments, Chosen& chosen) {
  auto* command = app.add_subcommand("report", "What a run did (amreport)");
  add_config_argument(*command, arguments);
  command->add_option("--at", arguments.timestamp, "The run of that time or day (default: the last one)");
  add_json(*command, arguments);
  command->footer(
      "Examples:\n  headrace report daily\n  headrace report daily --at 20261123\n"
      "Exit status: 0 all went well; else as of \"headrace dump\".");
  command->callback([&] {
    chosen = [&] {
      return report(arguments.config, arguments.timestamp, arguments.json, arguments.overrides);
    };
  });
}

void add_label(CLI::App& app, Arguments& arguments, Chosen& chosen) {
  auto* command = app.add_subcommand("label", "Label a volume (amlabel)");
  add_config_argument(*command, arguments);
  command->add_option("LABEL", arguments.label, "Label (default: the next one of autolabel)");
  command->add_option("--slot", arguments.slot, "Slot (default: the current one)");
  command->add_option("--storage", arguments.storage, "Its storage (default: the first one)");
  command->add_flag("--force,-f", arguments.force, "Also a volume that has a label or data");
  add_json(*command, arguments);
  command->footer("Examples:\n  headrace label daily DAILY-007 --slot 7\n  headrace label daily");
  command->callback([&] {
    chosen = [&] {
      return label_volume(arguments.config, arguments.label, arguments.slot, arguments.force, arguments.json,
                          arguments.overrides, arguments.storage);
    };
  });
}

void add_restore(CLI::App& app, Arguments& arguments, Chosen& chosen) {
  auto& options = arguments.restore;
  auto* command =
      app.add_subcommand("restore", "Give back a disk, a dump or some paths (amrecover, amfetchdump)");
  add_config_argument(*command, arguments);
  command->add_option("HOST", options.host, "Host as in the disklist")->required();
  command->add_option("DISK", options.disk, "Disk as in the disklist")->required();
  auto* to = command->add_option("--to", options.to, "Directory to restore into (must be empty)");
  command->add_flag("--stdout", options.to_stdout, "Write the archive of one dump to standard output")
      ->excludes(to);
  command->add_option("--level", options.level, "With --stdout: the newest dump of this level");
  command->add_option("--at", options.at, "As it was then: 20261123, 20261123013159, \"2026-11-23 01:31\"");
  command->add_option("--storage", options.storage,
                      "Read copies in this storage before others (HOLDING: those on holding disk)");
  command->add_flag("--into-existing", options.into_existing, "DIR may have something in it");
  command->add_option("PATH", options.paths, "Only these, relative to the disk");
  add_json(*command, arguments);
  command->footer(
      "Examples:\n  headrace restore daily fileserver /home --to /restore\n"
      "  headrace restore daily fileserver /home --to /restore --at 20261120 ann/thesis\n"
      "  headrace restore daily fileserver /home --stdout --level 0 | tar -tf -\n"
      "Of several copies of a dump one that is complete and whose volumes are there is read; when it turns\n"
      "out damaged, the next one, and what was wrong with the first is said.\n"
      "Exit status: 0 restored and checked, 1 usage or configuration, 2 failed or damaged.");
  command->callback([&] {
    chosen = [&] {
      if (options.to.empty() && !options.to_stdout) {
        fmt::print(stderr, "headrace restore: say where to: --to DIR or --stdout\n");
        return 1;
      }
      options.config = arguments.config;
      options.overrides = arguments.overrides;
      options.json = arguments.json;
      return restore(options);
    };
  });
}

void add_find(CLI::App& app, Arguments& arguments, Chosen& chosen) {
  auto* command = app.add_subcommand("find", "List the dumps there are and where (amadmin find)");
  add_config_argument(*command, arguments);
  command->add_option("HOST", arguments.find.host, "Only this host");
  command->add_option("DISK", arguments.find.disks, "Only these disks");
  add_json(*command, arguments);
  command->footer(
      "Example:\n  headrace find daily fileserver\n"
      "A dump that is in several storages is listed with each: \"headrace restore\" reads whichever copy is "
      "good.");
  command->callback([&] {
    chosen = [&] {
      arguments.find.config = arguments.config;
      arguments.find.overrides = arguments.overrides;
      arguments.find.json = arguments.json;
      return find(arguments.find);
    };
  });
}

}  // namespace

int run(int argc, char** argv) {
  const std::string name = std::filesystem::path(argc > 0 ? argv[0] : "headrace").filename();
  if (name == "amandad") return amandad(argc, argv);

  CLI::App app{"Network backup, compatible with Amanda 3.5 at either end.", "headrace"};
  app.set_version_flag("--version", "headrace " HEADRACE_VERSION);
  app.require_subcommand(1);
  app.footer(
      "Exit status: 0 all went well, 1 usage or configuration; others: headrace(8).\n"
      "\"headrace COMMAND --help\" shows examples.");
  Arguments arguments;
  Chosen chosen;
  add_client(app, arguments, chosen);
  add_config(app, arguments, chosen);
  add_check(app, arguments, chosen);
  add_plan(app, arguments, chosen);
  add_explain(app, arguments, chosen);
  add_admin(app, arguments, chosen);
  add_dump(app, arguments, chosen);
  add_status(app, arguments, chosen);
  add_pause(app, arguments, chosen);
  add_limit(app, arguments, chosen);
  add_diagnose(app, arguments, chosen);
  add_report(app, arguments, chosen);
  add_label(app, arguments, chosen);
  add_restore(app, arguments, chosen);
  add_find(app, arguments, chosen);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // Help and version are "errors" with status 0; a wrong usage is 1 whatever the parser calls it.
    return app.exit(error) == 0 ? 0 : 1;
  }
  return chosen();
}

}  // namespace headrace::cli
