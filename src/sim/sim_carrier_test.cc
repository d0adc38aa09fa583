#include "sim/sim_carrier.h"

#include <gtest/gtest.h>

namespace headrace::sim {
namespace {

class SimMeetingTest : public ::testing::Test {
 protected:
  std::unique_ptr<auth::Carrier> half(loop::Callback connected = nullptr) {
    auto make = meeting_.carriers();
    return make(loop::Address::ipv4(1, 1), std::move(connected));
  }
  static auth::StreamReady into(base::Result<std::unique_ptr<loop::Duplex>>& out) {
    return [&out](base::Result<std::unique_ptr<loop::Duplex>> got) { out = std::move(got); };
  }
  SimLoop loop_;
  SimMeeting meeting_{[this] { return make_sim_connection(loop_); }};
  base::Result<std::unique_ptr<loop::Duplex>> opened_ = nullptr, accepted_ = nullptr;
};

TEST_F(SimMeetingTest, EndsMeetInEitherOrder) {
  int connected = 0;
  auto responder = half([&connected] { ++connected; });
  auto initiator = half();
  std::vector<uint32_t> numbers;
  responder->offer(2, [&numbers](auto offered) { numbers = *offered; });
  ASSERT_EQ(numbers.size(), 2U);
  responder->accept(numbers[0], into(accepted_));
  EXPECT_EQ(*accepted_, nullptr);
  initiator->open(numbers[0], into(opened_));
  EXPECT_NE(*accepted_, nullptr);
  EXPECT_NE(*opened_, nullptr);
  initiator->open(numbers[1], into(opened_));
  *accepted_ = nullptr;
  responder->accept(numbers[1], into(accepted_));
  EXPECT_NE(*accepted_, nullptr);
  EXPECT_EQ(connected, 1) << "the first tells that the reply has come";
}

TEST_F(SimMeetingTest, WhatNobodyOffersIsRefused) {
  auto responder = half();
  std::vector<uint32_t> numbers;
  responder->offer(1, [&numbers](auto offered) { numbers = *offered; });
  responder.reset();
  half()->open(numbers.at(0), into(opened_));
  ASSERT_FALSE(opened_);
  EXPECT_EQ(opened_.error().kind(), base::ErrorKind::gone);
}

}  // namespace
}  // namespace headrace::sim
