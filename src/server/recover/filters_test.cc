#include "server/recover/filters.h"

#include <gtest/gtest.h>

namespace headrace::recover {
namespace {

TEST(Filters, DecodersByHeader) {
  wire::DumpHeader header;
  EXPECT_TRUE(decoders(header)->empty());
  header.compress_suffix = ".gz";
  header.encrypted = true;
  header.server_encrypt_program = "/usr/sbin/amcrypt";
  header.server_decrypt_option = "-D";
  auto commands = decoders(header);
  ASSERT_TRUE(commands);
  ASSERT_EQ(commands->size(), 2U);
  EXPECT_EQ((*commands)[0].text(), "/usr/sbin/amcrypt -D");
  EXPECT_EQ((*commands)[1].text(), "gzip -dc");
  header.server_encrypt_program.clear();
  EXPECT_FALSE(decoders(header)) << "encrypted, nobody knows how";
  header.encrypted = false;
  header.compress_suffix = "cust";
  EXPECT_FALSE(decoders(header));
  header.client_compress_program = "/usr/bin/pigz";
  EXPECT_EQ(decoders(header)->front().text(), "/usr/bin/pigz -d");
  header.client_compress_program = "pigz; rm -rf /";
  EXPECT_FALSE(decoders(header)) << "no path to a program";
}

}  // namespace
}  // namespace headrace::recover
