#include "client/archive/tar_plan.h"

#include <fcntl.h>
#include <stdlib.h>

#include <cerrno>

#include <fmt/format.h>

#include "base/file.h"
#include "base/quote.h"
#include "compat/exclude_lists.h"

namespace headrace::client {
namespace {

constexpr size_t kMaxDiskInName = 100;

compat::GnutarState state_of(const TarPlan& plan) {
  return compat::GnutarState(plan.list_dir, plan.hostname, plan.disk);
}

// A file of the given text under an unguessable name, for tar to read.
base::Result<std::filesystem::path> write_list(const TarPlan& plan, std::string_view kind,
                                               std::string_view text) {
  const std::string disk = base::mangle(plan.disk).substr(0, kMaxDiskInName);
  std::string name = (plan.tmp_dir / fmt::format("{}.{}.XXXXXX.{}", plan.program, disk, kind)).native();
  base::Fd fd(::mkostemps(name.data(), static_cast<int>(kind.size()) + 1, O_CLOEXEC));
  if (!fd) return base::fail_errno(fmt::format("create {}", name));
  if (auto wrote = base::write_all(fd.get(), text, name); !wrote) {
    [[maybe_unused]] auto removed = base::remove_file(name);
    return std::unexpected(std::move(wrote).error());
  }
  return name;
}

base::Result<> apply_amgtar(const std::vector<wire::Property>& properties, TarPlan& plan) {
  auto options = parse_amgtar_options(properties);
  if (!options) return std::unexpected(std::move(options).error());
  plan.amgtar = std::move(*options);
  plan.command.options = plan.amgtar.tar;
  if (plan.amgtar.gnutar_path) plan.command.tar = *plan.amgtar.gnutar_path;
  if (plan.amgtar.gnutar_list_dir) plan.list_dir = *plan.amgtar.gnutar_list_dir;
  if (plan.amgtar.directory) plan.command.directory = *plan.amgtar.directory;
  auto messages = compat::TarMessages::make(compat::TarDialect::amgtar, plan.amgtar.patterns);
  if (!messages) {
    return base::fail(base::ErrorKind::refused, fmt::format("amgtar: {}", messages.error().what()));
  }
  return {};
}

}  // namespace

base::Result<TarPlan> plan_tar(const ClientContext& context, const ClientRequest& request,
                               const wire::Dle& dle, TarPurpose purpose) {
  TarPlan plan;
  plan.purpose = purpose;
  plan.program = purpose == TarPurpose::dump ? "sendbackup" : "sendsize";
  plan.command.tar = context.paths.gnutar;
  plan.command.directory = dle.device_or_disk();
  plan.command.estimate = purpose == TarPurpose::estimate;
  plan.command.name_members = purpose == TarPurpose::dump && dle.index;
  plan.list_dir = request.config.gnutar_list_dir;
  plan.tmp_dir = context.paths.tmp_dir;
  plan.hostname = request.hostname;
  plan.disk = dle.disk;
  plan.exclude = dle.exclude;
  plan.include = dle.include;
  plan.rights = current_rights(context.paths.runtar);
  if (dle.program == "APPLICATION") {
    plan.command.dialect = compat::TarDialect::amgtar;
    auto properties = application_properties(dle, request.config);
    if (!properties) return std::unexpected(std::move(properties).error());
    if (auto applied = apply_amgtar(*properties, plan); !applied) {
      return std::unexpected(std::move(applied).error());
    }
  }
  if (plan.list_dir.empty()) {
    return base::fail(base::ErrorKind::refused,
                      "gnutar-list-dir is empty in this client's configuration: there is no place for the "
                      "state that incrementals begin from");
  }
  return plan;
}

TarFiles::TarFiles(const TarPlan& plan, int level, compat::WorkingSnapshot snapshot)
    : command_(plan.command),
      purpose_(plan.purpose),
      state_(state_of(plan)),
      level_(level),
      snapshot_(std::move(snapshot)) {
  command_.snapshot = snapshot_.path();
}

base::Result<std::unique_ptr<TarFiles>> TarFiles::make(const TarPlan& plan, int level) {
  const compat::GnutarState state = state_of(plan);
  auto snapshot =
      plan.purpose == TarPurpose::dump ? state.prepare_dump(level) : state.prepare_estimate(level);
  if (!snapshot) return std::unexpected(std::move(snapshot).error());
  std::unique_ptr<TarFiles> files(new TarFiles(plan, level, std::move(*snapshot)));
  if (auto added = files->add_selection(plan); !added) return std::unexpected(std::move(added).error());
  return files;
}

base::Result<> TarFiles::add_selection(const TarPlan& plan) {
  struct Half {
    const wire::Selection& selection;
    std::filesystem::path TarCommand::* name;
    const char* kind;
  };
  for (const Half& half : {Half{plan.exclude, &TarCommand::exclude_from, "exclude"},
                           Half{plan.include, &TarCommand::files_from, "include"}}) {
    if (half.selection.empty()) continue;
    const bool sees_more = !plan.rights.root && plan.rights.runtar_usable;
    compat::PatternFile file = half.name == &TarCommand::exclude_from
                                   ? compat::exclude_patterns(half.selection, command_.directory)
                                   : compat::include_names(half.selection, command_.directory, sees_more);
    complaints_.insert(complaints_.end(), file.complaints.begin(), file.complaints.end());
    auto path = write_list(plan, half.kind, file.text);
    if (!path) return std::unexpected(std::move(path).error());
    command_.*half.name = *path;
  }
  return {};
}

TarFiles::~TarFiles() {
  for (const auto& path : {command_.exclude_from, command_.files_from}) {
    // A leftover harms nobody; there is nobody left to tell.
    if (!path.empty()) [[maybe_unused]]
      auto removed = base::remove_file(path);
  }
  if (purpose_ == TarPurpose::estimate) {
    [[maybe_unused]] auto removed = compat::GnutarState::discard(snapshot_);
  }
}

base::Result<> TarFiles::promote() const { return state_.promote(snapshot_, level_); }

base::Result<> TarFiles::discard() const { return compat::GnutarState::discard(snapshot_); }

}  // namespace headrace::client
