#include "client/backup/dump_job.h"

#include <fmt/format.h>

#include "base/alive.h"
#include "client/archive/archiver_choice.h"
#include "client/archive/tar_archiver.h"
#include "client/archive/tar_plan.h"
#include "client/backup/plugin_job.h"
#include "compat/amandates.h"
#include "wire/sendbackup.h"

namespace headrace::client {
namespace {

std::string gnutar_announcement(const ClientContext& context, const ClientRequest& request,
                                const wire::Dle& dle, const std::string& tar) {
  return wire::mesg_start(request.hostname, dle.disk, dle.levels.front().level) +
         wire::mesg_info("BACKUP", tar) +
         wire::mesg_info("RECOVER_CMD",
                         fmt::format("{}{} -xpGf - ...", decompressor(context.paths, dle), tar)) +
         suffix_line(dle);
}

// GNU tar, run by ourselves, in either dialect.
class TarJob : public DumpJob {
 public:
  TarJob(const ClientContext& context, const ClientRequest& request, TarPlan plan)
      : loop_(context.loop),
        work_(std::make_shared<Work>()),
        runtar_(context.paths.runtar),
        config_name_(request.wire.options.config) {
    const wire::Dle& dle = request.wire.dles.front();
    work_->plan = std::move(plan);
    work_->amandates = request.config.amandates;
    work_->wanted = dle.record;
    work_->date = {dle.disk, dle.levels.front().level, loop_.clock().wall_seconds()};
    announcement_ = is_amgtar() ? application_announcement(context.paths, dle)
                                : gnutar_announcement(context, request, dle, work_->plan.command.tar);
  }

  void prepare(std::move_only_function<void(base::Result<>)> done) override {
    loop_.offload(
        loop_.new_lane(),
        [work = work_] {
          auto files = TarFiles::make(work->plan, work->date.level);
          if (files) {
            work->files = std::move(*files);
          } else {
            work->outcome = std::unexpected(std::move(files).error());
          }
        },
        [work = work_, alive = alive_.ref(), done = std::move(done)]() mutable {
          if (!alive.expired()) done(std::exchange(work->outcome, {}));
        });
  }

  std::string announcement() const override { return announcement_; }
  std::vector<std::string> complaints() const override { return work_->files->complaints(); }
  bool has_state() const override { return is_amgtar(); }
  bool size_comes_first() const override { return is_amgtar(); }

  std::unique_ptr<Archiver> make_archiver() override {
    const TarCommand& command = work_->files->command();
    TarArchiver::Setup setup;
    setup.launch = tar_launch(command, runtar_, work_->plan.rights, config_name_);
    setup.tar = command.tar;
    setup.dialect = command.dialect;
    setup.amgtar = work_->plan.amgtar;
    setup.names_members = command.name_members;
    return std::make_unique<TarArchiver>(loop_, std::move(setup));
  }

  void record(std::move_only_function<void(std::vector<std::string>)> done) override {
    loop_.offload(
        loop_.new_lane(), [work = work_] { record_now(*work); },
        [work = work_, alive = alive_.ref(), done = std::move(done)]() mutable {
          if (!alive.expired()) done(std::move(work->notes));
        });
  }

 private:
  // What worker threads touch; never both sides at once.
  struct Work {
    TarPlan plan;
    std::unique_ptr<TarFiles> files;
    std::filesystem::path amandates;
    compat::DumpDate date;
    bool wanted = true;  // record YES
    base::Result<> outcome;
    std::vector<std::string> notes;
  };

  static void record_now(Work& work) {
    if (!work.wanted) {
      // GNUTAR leaves the file to the next dump, amgtar takes it away.
      const bool tidy = work.plan.command.dialect == compat::TarDialect::amgtar;
      if (auto gone = tidy ? work.files->discard() : base::Result<>(); !gone) {
        work.notes.push_back(fmt::format("| {}", gone.error().what()));
      }
      return;
    }
    if (auto promoted = work.files->promote(); !promoted) {
      work.notes.push_back(fmt::format(
          "? the dump is complete, but its state could not be kept ({}): the next incremental will be larger",
          promoted.error().what()));
      return;
    }
    if (auto noted = compat::record_dump_date(work.amandates, work.date); !noted) {
      work.notes.push_back(fmt::format("| the dump's date could not be noted: {}", noted.error().what()));
    }
  }

  bool is_amgtar() const { return work_->plan.command.dialect == compat::TarDialect::amgtar; }

  loop::Loop& loop_;
  // Shared: a worker may still be at it when the dump is given up.
  std::shared_ptr<Work> work_;
  std::filesystem::path runtar_;
  std::string config_name_;
  std::string announcement_;
  base::Alive alive_;
};

// A sentence as it stands in a reply.
std::unexpected<base::Error> bracketed(const base::Error& error) {
  return base::fail(error.kind(), fmt::format("[{}]", error.what()));
}

}  // namespace

std::vector<flow::FilterCommand> filters_of(const ClientPaths& paths, const wire::Dle& dle) {
  std::vector<flow::FilterCommand> filters;
  const std::string gzip = paths.gzip.native();
  if (dle.compress == wire::Compress::fast) filters.push_back({"compress", gzip, {gzip, "--fast"}});
  if (dle.compress == wire::Compress::best) filters.push_back({"compress", gzip, {gzip, "--best"}});
  if (dle.compress == wire::Compress::custom) {
    filters.push_back({"compress", dle.compress_program, {dle.compress_program}});
  }
  if (dle.encrypt == wire::Encrypt::custom) {
    filters.push_back({"encrypt", dle.encrypt_program, {dle.encrypt_program}});
  }
  // The server names these programs; they see nothing but the data, and need nobody's privileges for that.
  for (flow::FilterCommand& filter : filters) {
    filter.user = paths.filters_as;
    filter.environment = child_environment();
  }
  return filters;
}

base::Result<std::unique_ptr<DumpJob>> make_dump_job(const ClientContext& context,
                                                     const ClientRequest& request) {
  const wire::Dle& dle = request.wire.dles.front();
  auto program = archiver_of(context, dle);
  if (!program && dle.program == "APPLICATION") return bracketed(program.error());
  if (!program) {
    // Amanda's own sentence.
    return base::fail(
        base::ErrorKind::refused,
        fmt::format("service sendbackup: sendbackup: ERROR [sendbackup: unknown program {}]", dle.program));
  }
  if (program->plugin) {
    auto job = make_plugin_job(context, request, *program->plugin);
    return job ? std::move(job) : bracketed(job.error());
  }
  auto plan = plan_tar(context, request, dle, TarPurpose::dump);
  if (!plan) return bracketed(plan.error());
  return std::make_unique<TarJob>(context, request, std::move(*plan));
}

}  // namespace headrace::client
