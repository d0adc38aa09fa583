#include "server/drive/history.h"

namespace headrace::drive {

using base::Result;

History::History(loop::Loop& loop, std::filesystem::path infofile,
                 std::move_only_function<void(const base::Error&)> failed)
    : loop_(loop), infofile_(std::move(infofile)), failed_(std::move(failed)), lane_(loop.new_lane()) {}

void History::change(const journal::ImageId& image, Change change) {
  auto outcome = std::make_shared<Result<>>();
  loop_.offload(
      lane_,
      [file = infofile_, image, change = std::move(change), outcome]() mutable {
        auto info = compat::load_curinfo(file, image.host, image.disk);
        if (!info) {
          *outcome = std::unexpected(std::move(info).error());
          return;
        }
        change(*info);
        *outcome = compat::save_curinfo(file, image.host, image.disk, *info);
      },
      [this, alive = alive_.ref(), outcome] {
        if (!alive.expired() && !*outcome) failed_(outcome->error());
      });
}

void History::dumped(const journal::ImageId& image, compat::RecordedDump dump) {
  change(image, [dump](compat::Curinfo& info) {
    info.record_dump(dump);
    info.command = 0;
  });
}

void History::taped(const journal::ImageId& image, std::string label, int64_t fileno) {
  change(image, [image, label = std::move(label), fileno](compat::Curinfo& info) {
    // False: a newer dump of that level has taken its place in the record, which is as it should be.
    (void)info.record_taped(image.level, base::unix_of_timestamp(image.timestamp), fileno, label);
  });
}

void History::when_settled(std::move_only_function<void()> done) {
  loop_.offload(lane_, [] {}, std::move(done));
}

}  // namespace headrace::drive
