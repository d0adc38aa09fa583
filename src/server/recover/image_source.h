// The stored bytes of one image, from its volumes or its holding file, headers left out. Checks on the way
// that every header is that of the part it should be, and that every part has the size the log gave it;
// checksums of the whole are others' business. Owned by the stream that reads it; blocking, on one worker at
// a time.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/error.h"
#include "loop/worker_readable.h"
#include "server/catalog/catalog.h"
#include "server/recover/volumes.h"
#include "wire/dump_header.h"

namespace headrace::recover {

class ImageSource : public loop::BlockingSource {
 public:
  // The image's first header.
  virtual base::Result<wire::DumpHeader> header() = 0;
};

// Told on the worker's thread what is opened: "file 3 of volume T1-001", "/hold/…".
using Opened = std::function<void(const std::string& place)>;

// `volumes` is borrowed.
std::unique_ptr<ImageSource> open_image(Volumes& volumes, const catalog::Image& image, Opened opened);

// Where an image was read from, for the sentence about its damage: "volume T1-002 (files 3, 4), volume T1-003
// (file 1)".
std::string places_of(const catalog::Image& image);

}  // namespace headrace::recover
