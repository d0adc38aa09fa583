// Holding images under the contract of streams.
#include "loop/stream_contract.h"
#include "server/hold/test_support.h"

namespace headrace::loop {
namespace {

// Small chunks and rooms given late, so that rolling and waiting for room are part of the contract.
class ImagePair : public StreamPair, public hold::SpaceSource {
 public:
  ImagePair() {
    writer_ = std::make_unique<hold::ImageWriter>(
        *loop_, hold::sample_header(), std::vector{hold::room(dir_.path(), 200, 96)}, *this,
        hold::ImageWriter::Options{.date_directory = "", .sync = false});
    path_ = dir_ / hold::kStamp / "client.lab._srv_data.1";
  }
  Loop& loop() override { return *loop_; }
  Writable& writer() override { return *writer_; }
  Readable& reader() override {
    if (!reader_) reader_ = std::make_unique<hold::ImageReader>(*loop_, path_);
    return *reader_;
  }
  void drop_writer() override { writer_.reset(); }
  void drop_reader() override { reader_.reset(); }
  bool concurrent() const override { return false; }
  bool bounded() const override { return false; }
  bool writer_sees_lost_reader() const override { return false; }

 private:
  void more_room_wanted() override {
    loop_->post([this] {
      if (writer_) writer_->grant(hold::room(dir_.path(), 300, 96));
    });
  }
  void disk_full(hold::DiskIndex, uint64_t) override { ADD_FAILURE() << "the disk is not full"; }

  hold::TempDir dir_;
  std::unique_ptr<Loop> loop_ = make_loop(2);
  std::filesystem::path path_;
  std::unique_ptr<hold::ImageWriter> writer_;
  std::unique_ptr<hold::ImageReader> reader_;
};

INSTANTIATE_TEST_SUITE_P(HoldingImages, StreamContract,
                         ::testing::Values(StreamCase{"chunks",
                                                      [] { return std::make_unique<ImagePair>(); }}),
                         name_of_case);

}  // namespace
}  // namespace headrace::loop
