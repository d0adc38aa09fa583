#include "server/drive/holding_target.h"

#include <algorithm>

namespace headrace::drive {

using base::ErrorKind;
using base::Result;

namespace {

// What an image that has outgrown its estimate is promised at a time: a share of what it already is, so that
// a large one does not ask a thousand times.
constexpr uint64_t kLeastExtensionKib = 16 * 1024;
constexpr uint64_t kExtensionShare = 8;

}  // namespace

void HoldingSpace::freed() {
  const auto waiting = waiting_;
  for (auto* target : waiting) target->try_extend();
}

void HoldingSpace::settle_waiting(bool coming) {
  if (coming || waiting_.empty()) return;
  auto* smallest = *std::ranges::min_element(
      waiting_, {}, [](const HoldingTarget* target) { return target->written_bytes(); });
  smallest->refuse();
}

HoldingTarget::HoldingTarget(loop::Loop& loop, HoldingSpace& space, hold::Reservation reservation,
                             std::string date_directory, std::move_only_function<void()> starving,
                             std::optional<uint64_t> lane)
    : loop_(loop),
      space_(space),
      reservation_(std::move(reservation)),
      date_directory_(std::move(date_directory)),
      lane_(lane),
      starving_(std::move(starving)) {}

HoldingTarget::~HoldingTarget() {
  if (!settled_) abandon();
}

Result<loop::Writable*> HoldingTarget::open(const wire::DumpHeader& header) {
  hold::ImageWriter::Options options;
  options.date_directory = date_directory_;
  options.lane = lane_;
  writer_ = std::make_unique<hold::ImageWriter>(loop_, header, hold::rooms_of(space_.disks(), reservation_),
                                                *this, options);
  return writer_.get();
}

void HoldingTarget::finish(const wire::DumpHeader& header, std::move_only_function<void(Result<>)> done) {
  writer_->set_totals({header.orig_size_kib, header.native_crc, header.client_crc, header.server_crc});
  writer_->finish([this, done = std::move(done)](Result<> outcome) mutable {
    if (outcome) {
      settled_ = true;
      file_ = writer_->first_path();
      space_.disks().settle(reservation_, writer_->used());
    }
    done(std::move(outcome));
  });
}

void HoldingTarget::abandon() {
  std::erase(space_.waiting_, this);
  if (settled_) return;
  settled_ = true;
  if (writer_ && writer_->failure()) {
    const auto kind = writer_->failure()->kind();
    disk_failed_ = kind != ErrorKind::full && kind != ErrorKind::cancelled;
  }
  // Which of its disks it was is not known; none of them is trusted any more in this run.
  if (disk_failed_)
    for (size_t i = 0; i < reservation_.pieces.size(); ++i)
      space_.disks().no_room(reservation_, reservation_.pieces[i].disk, 0);
  if (writer_) writer_->abandon();
  space_.disks().release(reservation_);
  space_.freed();
}

base::Duration HoldingTarget::waited_for_room() const {
  return waits_since_ ? waited_ + (loop_.clock().now() - *waits_since_) : waited_;
}

void HoldingTarget::more_room_wanted() {
  if (try_extend()) return;
  waits_since_ = loop_.clock().now();
  space_.waiting_.push_back(this);
  starving_();
}

bool HoldingTarget::try_extend() {
  const uint64_t wanted = std::max(kLeastExtensionKib, writer_->data_bytes() / base::kKiB / kExtensionShare);
  const auto before = reservation_.pieces;
  // Less than wanted is better than waiting.
  if (!space_.disks().extend(reservation_, wanted) && !space_.disks().extend(reservation_, hold::kLeastKib)) {
    return false;
  }
  std::erase(space_.waiting_, this);
  waited_ = waited_for_room();
  waits_since_.reset();
  for (size_t i = 0; i < reservation_.pieces.size(); ++i) {
    hold::Piece added = reservation_.pieces[i];
    if (i < before.size()) added.kib -= before[i].kib;
    if (added.kib > 0) writer_->grant(hold::room_of(space_.disks(), added));
  }
  return true;
}

void HoldingTarget::disk_full(hold::DiskIndex disk, uint64_t used_kib) {
  space_.disks().no_room(reservation_, disk, used_kib);
}

void HoldingTarget::refuse() {
  std::erase(space_.waiting_, this);
  writer_->refuse(
      base::Error(ErrorKind::full,
                  "the holding disks are full and nothing will free space: add a holding disk, raise its "
                  "\"use\", or let earlier dumps be flushed (autoflush, amflush)"));
}

}  // namespace headrace::drive
