#include "wire/dump_header.h"

#include <gtest/gtest.h>

namespace headrace::wire {
namespace {

using base::as_bytes;
using Type = DumpHeader::Type;

DumpHeader dump() {
  DumpHeader out;
  out.type = Type::split_file;
  out.timestamp = "20261123011349";
  out.host = "client.lab";
  out.disk = "/srv/d \"3\"";
  out.part = 2;
  out.compress_suffix = ".gz";
  out.program = "APPLICATION";
  out.application = "amgtar";
  out.recover_command = "/usr/lib/amanda/application/amgtar restore [./file-to-restore]+";
  out.blocksize = kHeaderBlockBytes;
  return out;
}

DumpHeader reread(const DumpHeader& header) {
  const auto text = encode_header_text(header);
  EXPECT_TRUE(text) << text.error().what();
  const auto read = parse_header(as_bytes(text.value_or("")));
  EXPECT_TRUE(read) << read.error().what();
  return read.value_or(DumpHeader{});
}

TEST(DumpHeader, of_every_type_undoes_itself) {
  DumpHeader label;
  label.type = Type::tapestart;
  label.timestamp = "X";
  label.label = "VTAPE-001";
  EXPECT_EQ(*encode_header_text(label), "AMANDA: TAPESTART DATE X TAPE VTAPE-001\n\f\n");
  EXPECT_EQ(reread(label), label);
  DumpHeader end;
  end.type = Type::tapeend;
  end.timestamp = "20261123011349";
  EXPECT_EQ(*encode_header_text(end), "AMANDA: TAPEEND DATE 20261123011349\n\f\n");
  EXPECT_EQ(reread(end), end);
  DumpHeader noop;
  noop.type = Type::noop;
  EXPECT_EQ(*encode_header_text(noop), "AMANDA: NOOP\n\f\n");
  EXPECT_EQ(reread(noop), noop);
  EXPECT_EQ(reread(dump()), dump());
  DumpHeader chunk = dump();
  chunk.type = Type::cont_file;
  chunk.part = 0;
  chunk.cont_filename = "/hold/20261123/a b.2";
  EXPECT_EQ(reread(chunk), chunk);
}

TEST(DumpHeader, holds_every_field) {
  DumpHeader header = dump();
  header.type = Type::file;
  header.part = header.total_parts = 1;
  header.level = kMaxHeaderFieldBytes;
  header.encrypted = true;
  header.server_compress_program = "/bin/zip";
  header.server_encrypt_program = "/bin/crypt";
  header.server_decrypt_option = "-d";
  header.partial = true;
  header.orig_size_kib = 12345678901234;
  header.native_crc = {0x1, 10240};
  header.client_crc = {0xffffffff, 1};
  header.server_crc = {0x4585951d, 99999999999};
  header.dle_xml = "<dle>\nENDDLE\nENDDLE1\n</dle>\n";
  header.decrypt_command = "/bin/crypt -d";
  header.uncompress_command = "/bin/zip -d";
  EXPECT_EQ(reread(header), header);
  header.server_compress_program.swap(header.client_compress_program);
  header.server_encrypt_program.swap(header.client_encrypt_program);
  header.server_decrypt_option.swap(header.client_decrypt_option);
  header.decrypt_command.clear();
  EXPECT_EQ(reread(header), header);
}

TEST(DumpHeader, finds_the_end_of_its_first_line_whatever_the_disk_is_called) {
  for (std::string_view disk : {"one \" quote", "back\\", "new\nline", "\\\""}) {
    DumpHeader header = dump();
    header.disk = disk;
    EXPECT_EQ(reread(header), header) << disk;
  }
  const auto raw =
      parse_header(as_bytes("AMANDA: FILE 20260101 h \"new\nline\" lev 0 comp N\nPARTIAL=YES\n\f\n"));
  ASSERT_TRUE(raw) << raw.error().what();
  EXPECT_EQ(raw->disk, "new\nline");
  EXPECT_TRUE(raw->partial);
}

// As a client that compresses sends it: the bar belongs to the command.
TEST(DumpHeader, keeps_a_recover_command_with_a_pipe_whole) {
  DumpHeader header = dump();
  header.recover_command = "/bin/gzip -dc |/bin/tar -xpGf - ...";
  EXPECT_EQ(reread(header), header);
}

TEST(DumpHeader, block_is_padded_and_leaves_out_a_long_dle) {
  DumpHeader header = dump();
  header.dle_xml = std::string(kHeaderBlockBytes - 2048, 'x') + "\n";
  const auto block = encode_header(header);
  ASSERT_TRUE(block);
  EXPECT_EQ(block->size(), kHeaderBlockBytes);
  EXPECT_EQ(parse_header(as_bytes(*block))->dle_xml, "");
  header.dle_xml.resize(kHeaderBlockBytes - 2048);
  EXPECT_EQ(parse_header(as_bytes(*encode_header(header)))->dle_xml, header.dle_xml + "\n");
  EXPECT_FALSE(encode_header(header, 64));
}

TEST(DumpHeader, of_nothing_is_empty_and_of_something_else_is_weird) {
  EXPECT_EQ(parse_header({})->type, Type::empty);
  EXPECT_EQ(parse_header(as_bytes(std::string(kHeaderBlockBytes, '\0')))->type, Type::empty);
  EXPECT_EQ(parse_header(as_bytes(std::string("\0x", 2)))->type, Type::weird);
  EXPECT_EQ(parse_header(as_bytes("./\0\0\0"))->type, Type::weird);
  EXPECT_EQ(parse_header(as_bytes("\n"))->type, Type::weird);
  EXPECT_EQ(parse_header(as_bytes("AMANDAS: FILE\n"))->type, Type::weird);
}

TEST(DumpHeader, of_old_writers_is_read) {
  const auto read =
      parse_header(as_bytes("NETDUMP: FILE 19990101 h sd0a lev 1 comp C program /sbin/dump\n\f\n"));
  ASSERT_TRUE(read) << read.error().what();
  EXPECT_EQ(read->type, Type::file);
  EXPECT_EQ(read->timestamp, "19990101");
  EXPECT_EQ(read->compress_suffix, ".Z");
  EXPECT_EQ(read->level, 1);
  EXPECT_EQ(read->part, 1);
  const auto bare =
      parse_header(as_bytes("AMANDA: FILE 20260101 h d lev 0 comp N\nORIGSIZE=-4\nPARTIAL=yes\nFUTURE=1\n"));
  ASSERT_TRUE(bare) << bare.error().what();
  EXPECT_EQ(bare->program, "");
  EXPECT_EQ(bare->orig_size_kib, 0U);
  EXPECT_TRUE(bare->partial);
}

TEST(DumpHeader, that_makes_no_sense_is_corrupt_and_quoted) {
  for (std::string_view line :
       {"AMANDA: ", "AMANDA: SOMETHING", "AMANDA: TAPESTART", "AMANDA: TAPESTART DATE yesterday TAPE x",
        "AMANDA: TAPESTART DATE X TAPE", "AMANDA: TAPEEND", "AMANDA: FILE", "AMANDA: FILE 20260101 h",
        "AMANDA: FILE now h d lev 0 comp N", "AMANDA: FILE 20260101 h d lev 400 comp N",
        "AMANDA: FILE 20260101 h d lev x comp N", "AMANDA: FILE 20260101 h d lev 0",
        "AMANDA: FILE 20260101 h d lev 0 comp", "AMANDA: SPLIT_FILE 20260101 h d lev 0 comp N",
        "AMANDA: SPLIT_FILE 20260101 h d part 0/1 lev 0 comp N",
        "AMANDA: SPLIT_FILE 20260101 h d part 3/2 lev 0 comp N",
        "AMANDA: SPLIT_FILE 20260101 h d part 1 lev 0 comp N", "AMANDA: FILE 20260101 h \"d lev 0 comp N"}) {
    const auto read = parse_header(as_bytes(line));
    ASSERT_FALSE(read) << line;
    EXPECT_EQ(read.error().kind(), base::ErrorKind::corrupt);
  }
}

TEST(DumpHeader, that_could_not_be_read_back_is_not_written) {
  const auto refused = [](auto change) {
    DumpHeader header = dump();
    change(header);
    const auto text = encode_header_text(header);
    return !text && text.error().kind() == base::ErrorKind::refused;
  };
  EXPECT_TRUE(refused([](DumpHeader& h) { h.type = Type::weird; }));
  EXPECT_TRUE(refused([](DumpHeader& h) { h.type = Type::empty; }));
  EXPECT_TRUE(refused([](DumpHeader& h) { h.timestamp = "2026112301134"; }));
  EXPECT_TRUE(refused([](DumpHeader& h) { h.timestamp.clear(); }));
  EXPECT_TRUE(refused([](DumpHeader& h) { h.host = "a b"; }));
  EXPECT_TRUE(refused([](DumpHeader& h) { h.host.clear(); }));
  EXPECT_TRUE(refused([](DumpHeader& h) { h.host.assign(256, 'h'); }));
  EXPECT_TRUE(refused([](DumpHeader& h) { h.disk.assign(256, 'd'); }));
  EXPECT_TRUE(refused([](DumpHeader& h) { h.disk = std::string("a\0b", 3); }));
  EXPECT_TRUE(refused([](DumpHeader& h) { h.level = -1; }));
  EXPECT_TRUE(refused([](DumpHeader& h) { h.part = 0; }));
  EXPECT_TRUE(refused([](DumpHeader& h) { h.total_parts = 1; }));
  EXPECT_TRUE(refused([](DumpHeader& h) { h.compress_suffix = "N"; }));
  EXPECT_TRUE(refused([](DumpHeader& h) { h.program = "tar x"; }));
  EXPECT_TRUE(refused([](DumpHeader& h) { h.client_decrypt_option = "-d x"; }));
  EXPECT_TRUE(refused([](DumpHeader& h) { h.cont_filename = "a\nDLE=x"; }));
  EXPECT_TRUE(refused([](DumpHeader& h) { h.recover_command = "a\n"; }));
  EXPECT_TRUE(refused([](DumpHeader& h) { h.dle_xml = std::string("\0", 1); }));
  EXPECT_TRUE(refused([](DumpHeader& h) {
    h.type = Type::tapestart;
    h.label = "A B";
  }));
  EXPECT_TRUE(refused([](DumpHeader& h) {
    h.type = Type::tapestart;
    h.label.clear();
  }));
}

}  // namespace
}  // namespace headrace::wire
