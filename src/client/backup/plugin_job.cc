#include "client/backup/plugin_job.h"

#include <fmt/format.h>

#include "base/alive.h"
#include "client/archive/application_api.h"
#include "client/archive/child_text.h"
#include "client/archive/plugin_archiver.h"
#include "compat/amandates.h"
#include "wire/sendbackup.h"

namespace headrace::client {
namespace {

bool is_gzip(const wire::Dle& dle) {
  return dle.compress == wire::Compress::fast || dle.compress == wire::Compress::best;
}

class PluginJob : public DumpJob {
 public:
  PluginJob(const ClientContext& context, const ClientRequest& request, std::filesystem::path program,
            std::vector<wire::Property> properties)
      : context_(context),
        request_(request),
        program_(std::move(program)),
        properties_(std::move(properties)),
        date_{dle().disk, dle().levels.front().level, context.loop.clock().wall_seconds()} {}

  void prepare(std::move_only_function<void(base::Result<>)> done) override {
    child_ = std::make_unique<ChildText>(context_.loop);
    child_->start(program_, {dle().application.plugin, "support"},
                  [this, done = std::move(done)](base::Result<ChildTalk> talk) mutable {
                    done(supported(std::move(talk)));
                  });
  }

  std::string announcement() const override { return application_announcement(context_.paths, dle()); }
  std::vector<std::string> complaints() const override { return {}; }
  bool has_state() const override { return support_.has("STATE-STREAM"); }
  bool size_comes_first() const override { return true; }

  std::unique_ptr<Archiver> make_archiver() override {
    return std::make_unique<PluginArchiver>(
        context_.loop, PluginArchiver::Setup{dle().application.plugin, program_, arguments_});
  }

  // What later levels build on is the application's own business.
  void record(std::move_only_function<void(std::vector<std::string>)> done) override {
    // Shared with the worker, which may outlive this job.
    auto notes = std::make_shared<std::vector<std::string>>();
    context_.loop.offload(
        context_.loop.new_lane(),
        [notes, date = date_, wanted = dle().record, file = request_.config.amandates] {
          if (!wanted) return;
          if (auto noted = compat::record_dump_date(file, date); !noted) {
            notes->push_back(fmt::format("| the dump's date could not be noted: {}", noted.error().what()));
          }
        },
        [notes, alive = alive_.ref(), done = std::move(done)]() mutable {
          if (!alive.expired()) done(std::move(*notes));
        });
  }

 private:
  const wire::Dle& dle() const { return request_.wire.dles.front(); }

  base::Result<> supported(base::Result<ChildTalk> talk) {
    const std::string& name = dle().application.plugin;
    if (!talk) {
      return base::fail(base::ErrorKind::refused,
                        fmt::format("Application '{}': {}", name, talk.error().what()));
    }
    if (!talk->complaints.empty()) {
      return base::fail(base::ErrorKind::refused,
                        fmt::format("Application '{}': {}", name, talk->complaints.front()));
    }
    support_ = Support::parse(talk->out);
    const bool state =
        has_state() && request_.peer.has(wire::Feature::sendbackup_stream_state) && dle().index;
    auto arguments = plugin_arguments(PluginCommand::backup,
                                      {.dle = dle(),
                                       .properties = properties_,
                                       .request = request_,
                                       .levels = {dle().levels.front().level},
                                       .state_fd = state ? kPluginStateFd : -1},
                                      support_);
    if (!arguments) return std::unexpected(std::move(arguments).error());
    arguments_ = std::move(*arguments);
    return {};
  }

  const ClientContext& context_;
  const ClientRequest& request_;
  std::filesystem::path program_;
  std::vector<wire::Property> properties_;
  compat::DumpDate date_;
  std::unique_ptr<ChildText> child_;
  Support support_;
  std::vector<std::string> arguments_;
  base::Alive alive_;
};

}  // namespace

std::string decompressor(const ClientPaths& paths, const wire::Dle& dle) {
  return is_gzip(dle) ? fmt::format("{} -dc |", paths.gzip.native()) : "";
}

std::string suffix_line(const wire::Dle& dle) {
  return is_gzip(dle) ? wire::mesg_info("COMPRESS_SUFFIX", ".gz") : "";
}

std::string application_announcement(const ClientPaths& paths, const wire::Dle& dle) {
  const std::string program = (paths.application_dir / dle.application.plugin).native();
  return wire::mesg_info("BACKUP", "APPLICATION") + wire::mesg_info("APPLICATION", dle.application.plugin) +
         wire::mesg_info("RECOVER_CMD", fmt::format("{}{} restore [./file-to-restore]+",
                                                    decompressor(paths, dle), program)) +
         suffix_line(dle);
}

base::Result<std::unique_ptr<DumpJob>> make_plugin_job(const ClientContext& context,
                                                       const ClientRequest& request,
                                                       const std::filesystem::path& program) {
  auto properties = application_properties(request.wire.dles.front(), request.config);
  if (!properties) return std::unexpected(std::move(properties).error());
  return std::make_unique<PluginJob>(context, request, program, std::move(*properties));
}

}  // namespace headrace::client
