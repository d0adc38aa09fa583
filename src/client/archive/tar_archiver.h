// GNU tar as an Archiver: names on its standard error become the index, the rest messages sorted as Amanda
// sorts them.
#pragma once

#include <memory>
#include <vector>

#include "client/archive/archiver.h"
#include "client/archive/name_listing.h"
#include "client/archive/tar_plan.h"
#include "flow/lines.h"
#include "flow/transform_pump.h"
#include "loop/process.h"

namespace headrace::client {

// The only environment our children get.
std::vector<std::string> child_environment();

class TarArchiver : public Archiver {
 public:
  struct Setup {
    TarLaunch launch;
    std::string tar;  // its name in messages
    compat::TarDialect dialect = compat::TarDialect::gnutar;
    AmgtarOptions amgtar;
    bool names_members = false;
  };
  TarArchiver(loop::Loop& loop, Setup setup);
  ~TarArchiver() override;
  base::Result<> start(ArchiverSinks sinks, Done done) override;
  loop::Readable& data() override { return *data_; }
  pid_t pid() const override { return process_ ? process_->pid() : -1; }

 private:
  base::Result<> open_pipes();
  void read_text();
  void message(std::string_view line);
  void text_ended(base::Result<> outcome);
  void finish_if_all_ended();
  std::string failure() const;

  loop::Loop& loop_;
  Setup setup_;
  ArchiverSinks sinks_;
  Done done_;
  std::unique_ptr<compat::TarMessages> messages_;
  std::unique_ptr<loop::Process> process_;
  std::unique_ptr<loop::Duplex> data_;
  std::unique_ptr<loop::Duplex> text_;
  std::unique_ptr<NameListing> listing_;
  std::unique_ptr<flow::TransformPump> naming_;
  std::unique_ptr<flow::LineReader> reader_;
  std::optional<loop::ExitStatus> exit_;
  std::optional<base::Result<>> text_outcome_;
  std::optional<uint64_t> size_bytes_;
  pid_t pid_ = 0;
};

}  // namespace headrace::client
