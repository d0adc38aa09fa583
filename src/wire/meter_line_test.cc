#include "wire/meter_line.h"

#include <gtest/gtest.h>

#include "wire/sendbackup.h"

namespace headrace::wire {
namespace {

MeterLine some() {
  MeterLine out;
  out.at_ms = 5003;
  out.thread = MeterCpu{1200, 30};
  out.programs = {{"tar", {400, 5}}, {"compress", {4900, 50}}};
  out.joints = {{"source", 1000, 1, 2, 3, 4, 5, {6, 7, 8, 9, 10, 11, 12, 13}}, {"network send", 500, 1}};
  out.tcp = MeterTcp{5000, 10, 20, 3, 1500, 12500000};
  return out;
}

TEST(MeterLine, reads_as_the_page_says) {
  EXPECT_EQ(encode_meter(some()),
            "1 at=5003 thread=1200,30 program=tar:400,5 program=compress:4900,50 "
            "joint=source:1000,1,2,3,4,5,6,7,8,9,10,11,12,13 "
            "joint=network_send:500,1,0,0,0,0,0,0,0,0,0,0,0,0 tcp=5000,10,20,3,1500,12500000");
  EXPECT_EQ(parse_meter(encode_meter(some())), some());
}

TEST(MeterLine, passes_over_what_it_does_not_know) {
  EXPECT_EQ(parse_meter("1 at=7 disks=sda,sdb moon=full")->at_ms, 7U);
  EXPECT_EQ(parse_meter("1"), MeterLine());
  EXPECT_FALSE(parse_meter("2 at=7"));
  EXPECT_FALSE(parse_meter(""));
}

TEST(MeterLine, that_is_no_meter_is_none) {
  for (const char* text : {"1 at=", "1 at=-1", "1 at=1e3", "1 at", "1 thread=1", "1 thread=1,2,3",
                           "1 program=tar", "1 program=:1,2", "1 program=T:1,2", "1 joint=a:1,2,3",
                           "1 tcp=1,2,3,4,5", "1 at=99999999999999999999"})
    EXPECT_FALSE(parse_meter(text)) << text;
}

TEST(MeterLine, is_bounded) {
  MeterLine many = some();
  for (int i = 0; i < 100; ++i) many.joints.push_back(many.joints.front());
  many.joints.front().name = std::string(1000, 'x');
  const auto text = encode_meter(many);
  EXPECT_LT(text.size(), kMaxMeterLineBytes);
  EXPECT_EQ(parse_meter(text)->joints.size(), kMaxMeterItems);
  std::string long_line = "1";
  for (int i = 0; i < 1000; ++i) long_line += " at=12345";
  EXPECT_FALSE(parse_meter(long_line));
  std::string too_many = "1";
  for (size_t i = 0; i <= kMaxMeterItems; ++i) too_many += " program=a:1,2";
  EXPECT_FALSE(parse_meter(too_many));
}

TEST(MeterLine, is_a_kind_of_its_own_in_MESG) {
  const auto line = classify_mesg("sendbackup: meter 1 at=7");
  EXPECT_EQ(line.kind, MesgLine::Kind::meter);
  EXPECT_EQ(line.text, "1 at=7");
  EXPECT_EQ(encode_mesg(line), "sendbackup: meter 1 at=7\n");
}

}  // namespace
}  // namespace headrace::wire
