#include "server/recover/restore.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

#include "base/alive.h"
#include "base/file.h"
#include "loop/lane.h"
#include "server/recover/copies.h"
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
        config_(config),
        volumes_(config),
        lane_(loop) {}

  void start(Done done) {
    HEADRACE_CHECK(!request_.images.empty());
    HEADRACE_CHECK(!request_.to.empty() || request_.images.size() == 1);
    done_ = std::move(done);
    HEADRACE_CHECK(request_.copies.empty() || request_.copies.size() == request_.images.size());
    auto prepared = std::make_shared<Result<>>();
    // lane_ waits for the worker before anything it uses goes.
    lane_.run([this, prepared] { *prepared = prepare(); },
              [this, prepared] {
                if (!*prepared) {
                  finish(std::unexpected(std::move(prepared->error())));
                  return;
                }
                tell_passed_over();
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
    void other_copy(const catalog::Image& failed, const base::Error& why, const catalog::Image& next,
                    Again again) override {
      ++owner_.unusable_copies_;
      owner_.progress_.other_copy(failed, why, next, again);
    }
    void restored(const catalog::Image& image, bool checked) override {
      owner_.progress_.restored(image, checked);
    }

   private:
    Impl& owner_;
  };

  // On a worker: what is to be read, and whether it can be had, before anything is written.
  Result<> prepare() {
    auto plan = plan_paths(request_.images, request_.indexdir, request_.paths);
    if (!plan) return std::unexpected(std::move(plan.error()));
    plan_ = *std::move(plan);
    volumes_.look_again();
    std::optional<base::Error> first;
    std::set<std::string> troubles;
    for (size_t i = 0; i < plan_.size(); ++i) {
      copies_.emplace_back(request_.copies.empty() ? std::vector{request_.images[i]} : request_.copies[i],
                           config_, request_.preferred_storage);
      if (!plan_[i].needed) continue;
      copies_.back().look(volumes_);
      auto usable = copies_.back().current();
      if (usable) continue;
      troubles.insert(usable.error().what());
      if (!first) first = std::move(usable.error());
    }
    if (!first) return {};
    return base::fail(first->kind(), fmt::format("{}", fmt::join(troubles, "; ")));
  }

  void tell_passed_over() {
    for (size_t i = 0; i < plan_.size(); ++i) {
      if (!plan_[i].needed) continue;
      for (const Copies::GivenUp& passed : copies_[i].passed_over())
        counting_.other_copy(passed.copy, passed.why, **copies_[i].current(), Progress::Again::nothing);
    }
  }

  void next_image() {
    while (index_ < plan_.size() && !plan_[index_].needed) ++index_;
    if (index_ == plan_.size()) {
      finish(judge_missing());
      return;
    }
    const catalog::Image& image = **copies_[index_].current();
    const ImagePaths& paths = plan_[index_];
    auto opened = [this, alive = alive_.ref(), image](const std::string& place) {
      loop_.post([this, alive, image, place] {
        if (!alive.expired()) progress_.reading(image, place);
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
      copy_failed(std::move(outcome.error()));
      return;
    }
    ++summary_.images;
    summary_.stored_bytes += outcome->stored.size;
    summary_.native_bytes += outcome->native.size;
    summary_.all_checked = summary_.all_checked && outcome->checked;
    for (const std::string& member : outcome->missing) ++missing_[member];
    progress_.restored(**copies_[index_].current(), outcome->checked);
    current_.reset();
    ++index_;
    next_image();
  }

  void copy_failed(base::Error why) {
    const bool wrote = current_->wrote();
    const bool in_doubt = current_->copy_in_doubt();
    current_.reset();
    if (!in_doubt) {
      finish(std::unexpected(std::move(why)));
      return;
    }
    Copies& copies = copies_[index_];
    const catalog::Image failed = **copies.current();
    copies.give_up(why);
    const auto next = copies.current();
    if (!next) {
      finish(std::unexpected(next.error()));
      return;
    }
    if (wrote && request_.to.empty()) {
      finish(base::fail(
          why.kind(),
          fmt::format("{}. There is a copy {} as well, but part of this one has been given out already: "
                      "throw that away and ask for the other with --storage {}",
                      why.what(), (*next)->where(), (*next)->storage)));
      return;
    }
    const auto again = !wrote                 ? Progress::Again::nothing
                       : summary_.images == 0 ? Progress::Again::this_one
                                              : Progress::Again::all;
    counting_.other_copy(failed, why, **next, again);
    // An incremental that is not right may have removed or renamed what earlier dumps had brought.
    if (again == Progress::Again::all) {
      index_ = 0;
      summary_ = {};
      missing_.clear();
    }
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
    RestoreSummary summary = summary_;
    summary.unusable_copies = unusable_copies_;
    return summary;
  }

  void finish(Result<RestoreSummary> result) {
    auto done = std::move(done_);
    done(std::move(result));
  }

  loop::Loop& loop_;
  RestoreRequest request_;
  Progress& progress_;
  Counting counting_;
  const config::ServerConfig& config_;
  Volumes volumes_;
  std::vector<ImagePaths> plan_;
  std::vector<Copies> copies_;  // of each of the images
  size_t index_ = 0;
  std::unique_ptr<ImageRestore> current_;  // after volumes_, which it reads from: destroyed first
  std::map<std::string, size_t> missing_;
  RestoreSummary summary_;
  size_t unusable_copies_ = 0;
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
