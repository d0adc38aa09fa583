// Vtapes under the contract of volumes.
#include "server/volume/volume_contract.h"

namespace headrace::volume {
namespace {

class VtapeDriver : public Driver {
 public:
  Changer& changer() override { return *changer_; }
  void limit(uint64_t bytes) override {
    auto settings = slots_.settings();
    settings.limits.length_bytes = bytes;
    changer_ = std::make_unique<vtape::VtapeChanger>(settings);
  }

 private:
  SlotDirectory slots_{3};
  std::unique_ptr<Changer> changer_ = std::make_unique<vtape::VtapeChanger>(slots_.settings());
};

INSTANTIATE_TEST_SUITE_P(Vtape, VolumeContract,
                         ::testing::Values(DriverCase{"vtape",
                                                      [] { return std::make_unique<VtapeDriver>(); }}),
                         name_of_driver);

}  // namespace
}  // namespace headrace::volume
