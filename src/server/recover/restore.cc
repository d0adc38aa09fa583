#include "server/recover/restore.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <system_error>
#include <utility>

#include "base/alive.h"
#include "base/file.h"
#include "loop/lane.h"
#include "server/recover/image_restore.h"
#include "server/recover/image_source.h"
#include "server/recover/path_plan.h"
#include "server/recover/volumes.h"

namespace headrace::recover {

using base::ErrorKind;
using base::Result;

Result<> check_target(const std::filesystem::path& to, bool into_existing) {
  if (auto made = base::make_directories(to, 0700); !made) return made;
  std::error_code code;
  const bool empty = std::filesystem::is_empty(to, code);
  if (code) return base::fail_errno("read the directory " + to.string(), code.value());
  if (empty || into_existing) return {};
  return base::fail(
      ErrorKind::refused,
      fmt::format("{} has something in it. Restoring into it may delete what the dump does not know; "
                  "take an empty directory, or say --into-existing",
                  to.string()));
}

class Restore::Impl {
 public:
  Impl(loop::Loop& loop, const config::ServerConfig& config, RestoreRequest request, Progress& progress)
      : loop_(loop),
        request_(std::move(request)),
        progress_(progress),
        counting_(*this),
        volumes_(config),
        lane_(loop) {}

  void start(Done done) {
    HEADRACE_CHECK(!request_.images.empty());
    HEADRACE_CHECK(!request_.to.empty() || request_.images.size() == 1);
    done_ = std::move(done);
    auto plan = std::make_shared<Result<std::vector<ImagePaths>>>();
    // lane_ waits for the worker before anything it uses goes.
    lane_.run([this, plan] { *plan = prepare(); },
              [this, plan] {
                if (!*plan) {
                  finish(std::unexpected(std::move(plan->error())));
                  return;
                }
                plan_ = **std::move(plan);
                next_image();
              });
  }

 private:
  // Adds what earlier images came to.
  class Counting final : public Progress {
   public:
    explicit Counting(Impl& owner) : owner_(owner) {}
    void reading(const catalog::Image& image, const std::string& place) override {
      owner_.progress_.reading(image, place);
    }
    void moved(uint64_t stored_bytes) override {
      owner_.progress_.moved(owner_.summary_.stored_bytes + stored_bytes);
    }
    void message(const std::string& line) override { owner_.progress_.message(line); }
    void restored(const catalog::Image& image, bool checked) override {
      owner_.progress_.restored(image, checked);
    }

   private:
    Impl& owner_;
  };

  // On a worker: what is to be read, and whether it can be had, before anything is written.
  Result<std::vector<ImagePaths>> prepare() {
    auto plan = plan_paths(request_.images, request_.indexdir, request_.paths);
    if (!plan) return plan;
    std::vector<VolumeWanted> volumes;
    for (size_t i = 0; i < plan->size(); ++i) {
      const catalog::Image& image = request_.images[i];
      if (!(*plan)[i].needed) continue;
      for (const catalog::Part& part : image.parts) {
        if (part.ok) volumes.push_back({part.label, part.write_timestamp, image.storage});
      }
    }
    if (auto there = volumes_.require(volumes); !there) return std::unexpected(std::move(there.error()));
    return plan;
  }

  void next_image() {
    while (index_ < request_.images.size() && !plan_[index_].needed) ++index_;
    if (index_ == request_.images.size()) {
      finish(judge_missing());
      return;
    }
    const catalog::Image& image = request_.images[index_];
    ImagePaths& paths = plan_[index_];
    auto opened = [this, alive = alive_.ref(), index = index_](const std::string& place) {
      loop_.post([this, alive, index, place] {
        if (!alive.expired()) progress_.reading(request_.images[index], place);
      });
    };
    current_ = std::make_unique<ImageRestore>(loop_, open_image(volumes_, image, std::move(opened)), image,
                                              ImageTarget{.directory = request_.to,
                                                          .descriptor = request_.to_descriptor,
                                                          .members = paths.members,
                                                          .may_be_missing = paths.may_be_missing},
                                              counting_);
    current_->start([this](Result<ImageOutcome> outcome) { image_done(std::move(outcome)); });
  }

  void image_done(Result<ImageOutcome> outcome) {
    if (!outcome) {
      finish(std::unexpected(std::move(outcome.error())));
      return;
    }
    const catalog::Image& image = request_.images[index_];
    ++summary_.images;
    summary_.stored_bytes += outcome->stored.size;
    summary_.native_bytes += outcome->native.size;
    summary_.all_checked = summary_.all_checked && outcome->checked;
    for (const std::string& member : outcome->missing) ++missing_[member];
    progress_.restored(image, outcome->checked);
    current_.reset();
    ++index_;
    next_image();
  }

  // Where there was no index to go by: each path must have been in at least one of the dumps.
  Result<RestoreSummary> judge_missing() const {
    for (const auto& [member, times] : missing_) {
      if (times == summary_.images) {
        return base::fail(ErrorKind::refused, fmt::format("{} is in none of the {} dumps that were read",
                                                          member, summary_.images));
      }
    }
    return summary_;
  }

  void finish(Result<RestoreSummary> result) {
    auto done = std::move(done_);
    done(std::move(result));
  }

  loop::Loop& loop_;
  RestoreRequest request_;
  Progress& progress_;
  Counting counting_;
  Volumes volumes_;
  std::vector<ImagePaths> plan_;
  size_t index_ = 0;
  std::unique_ptr<ImageRestore> current_;  // after volumes_, which it reads from: destroyed first
  std::map<std::string, size_t> missing_;
  RestoreSummary summary_;
  Done done_;
  loop::Lane lane_;  // after all its work uses: destroyed before it
  base::Alive alive_;
};

Restore::Restore(loop::Loop& loop, const config::ServerConfig& config, RestoreRequest request,
                 Progress& progress)
    : impl_(std::make_unique<Impl>(loop, config, std::move(request), progress)) {}
Restore::~Restore() = default;
void Restore::start(Done done) { impl_->start(std::move(done)); }

}  // namespace headrace::recover
