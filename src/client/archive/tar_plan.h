// What one run of tar for a DLE is to do, decided from the request and the configuration; and the files such
// a run needs on disk: the working snapshot, the exclude and include files. Planning is pure, making the
// files blocks: on a worker thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "client/archive/amgtar_options.h"
#include "client/archive/tar_command.h"
#include "client/request.h"
#include "compat/gnutar_state.h"
#include "compat/tar_messages.h"

namespace headrace::client {

enum class TarPurpose { dump, estimate };

struct TarPlan {
  TarCommand command;  // without the files that TarFiles makes
  AmgtarOptions amgtar;
  std::filesystem::path list_dir;
  std::filesystem::path tmp_dir;
  std::string hostname;
  std::string disk;
  std::string program;  // "sendbackup", "sendsize": begins the temporary files' names
  wire::Selection exclude, include;
  TarPurpose purpose = TarPurpose::dump;
  TarRights rights;
};

// For a DLE of which archiver_of says that we run tar. Errors (refused) are sentences for the operator,
// amgtar's own where it has one.
base::Result<TarPlan> plan_tar(const ClientContext& context, const ClientRequest& request,
                               const wire::Dle& dle, TarPurpose purpose);

// The files of one run at one level. Destroying it removes the exclude and include files and an estimate's
// snapshot; the snapshot of a dump that was not promoted stays, to be overwritten by the next.
class TarFiles {
 public:
  static base::Result<std::unique_ptr<TarFiles>> make(const TarPlan& plan, int level);
  TarFiles(const TarFiles&) = delete;
  TarFiles& operator=(const TarFiles&) = delete;
  ~TarFiles();

  // Complete, ready to run.
  const TarCommand& command() const { return command_; }
  // Lists and includes that could not be followed.
  const std::vector<std::string>& complaints() const { return complaints_; }
  // The dump is complete and to be recorded: its snapshot becomes the level's.
  base::Result<> promote() const;
  // It is complete and not to be recorded: its snapshot is of no use.
  base::Result<> discard() const;

 private:
  TarFiles(const TarPlan& plan, int level, compat::WorkingSnapshot snapshot);
  base::Result<> add_selection(const TarPlan& plan);

  TarCommand command_;
  TarPurpose purpose_;
  compat::GnutarState state_;
  int level_;
  compat::WorkingSnapshot snapshot_;
  std::vector<std::string> complaints_;
};

}  // namespace headrace::client
