// Parts on volumes under the contract of streams.
#include "loop/stream_contract.h"
#include "server/volume/test_support.h"

namespace headrace::loop {
namespace {

// Small parts on small volumes that are given late, so that splitting, changing and waiting are part of it.
class PartPair : public StreamPair, public volume::PartOwner {
 public:
  PartPair() {
    vtape::VtapeLimits limits;
    limits.length_bytes = 700000;
    slots_ = std::make_unique<volume::SlotDirectory>(9, limits);
    lane_ = loop_->new_lane();
    writer_ =
        std::make_unique<volume::PartWriter>(*loop_, lane_, volume::sample_header(),
                                             volume::PartOptions{.part_bytes = 200000, .sync = false}, *this);
  }
  ~PartPair() override {
    writer_.reset();
    reader_.reset();
    // The pool ends with the loop: only then nobody uses the changer any more.
    loop_.reset();
  }
  Loop& loop() override { return *loop_; }
  Writable& writer() override { return *writer_; }
  Readable& reader() override {
    if (!reader_) {
      writer_.reset();
      reader_ = std::make_unique<volume::PartReader>(*loop_, lane_, volume::volumes_of(slots_->changer()),
                                                     volume::sample_id(), places_);
    }
    return *reader_;
  }
  void drop_writer() override { writer_.reset(); }
  void drop_reader() override { reader_.reset(); }
  bool concurrent() const override { return false; }
  bool bounded() const override { return false; }
  bool writer_sees_lost_reader() const override { return false; }

 private:
  void volume_wanted() override {
    loop_->post([this] {
      const std::string slot = std::to_string(++slot_);
      if (writer_) writer_->use(slots_->labelled(slot, "VOL-" + slot), "VOL-" + slot);
    });
  }
  void part_done(const volume::PartResult& part) override {
    EXPECT_TRUE(part.good) << part.why;
    places_.push_back({part.label, part.file, part.part});
  }

  std::unique_ptr<volume::SlotDirectory> slots_;
  std::unique_ptr<Loop> loop_ = make_loop(2);
  uint64_t lane_ = 0;
  int slot_ = 0;
  std::vector<volume::PartPlace> places_;
  std::unique_ptr<volume::PartWriter> writer_;
  std::unique_ptr<volume::PartReader> reader_;
};

INSTANTIATE_TEST_SUITE_P(Volumes, StreamContract,
                         ::testing::Values(StreamCase{"parts", [] { return std::make_unique<PartPair>(); }}),
                         name_of_case);

}  // namespace
}  // namespace headrace::loop
