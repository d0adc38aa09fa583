// Disklist entries as requests and peers.
#include <gtest/gtest.h>

#include "config/load.h"
#include "server/dump/dle_of.h"
#include "server/dump/peer_of.h"

namespace headrace::dump {
namespace {

struct Loaded {
  config::ServerConfig config;
  std::vector<config::DiskListEntry> disks;
};

Loaded load(const std::string& dumptype, const std::string& globals = "",
            const std::string& disk = "h /d t") {
  Loaded out;
  auto config = config::load_server_text(
      globals +
          "\ndefine application-tool gt {\n plugin \"amgtar\"\n property \"ATIME\" \"no\"\n}\n"
          "define dumptype t {\n" +
          dumptype + "\n}\n",
      "/nowhere/daily");
  EXPECT_TRUE(config.ok()) << config::errors_text(config.diagnostics);
  if (!config.ok()) return out;
  out.config = *config;
  auto disks = config::load_disklist_text(out.config, disk + "\n", "disklist");
  EXPECT_TRUE(disks.ok()) << config::errors_text(disks.diagnostics);
  if (disks.ok()) out.disks = *disks;
  return out;
}

wire::Dle dle(const std::string& dumptype, const std::string& disk = "h /d t") {
  const auto loaded = load(dumptype, "", disk);
  return loaded.disks.empty() ? wire::Dle{} : dle_of(loaded.disks.front());
}

TEST(DleOf, GnutarWithListsAndLimits) {
  const auto it =
      dle("program \"GNUTAR\"\ncompress none\nindex yes\nrecord no\n"
          "exclude file \"./tmp\" \"*.o\"\nexclude list optional \".exclude\"\ninclude file \"./a\"");
  EXPECT_EQ(it.program, "GNUTAR");
  EXPECT_EQ(it.disk, "/d");
  EXPECT_EQ(it.device, "") << "the same as the disk is not sent";
  EXPECT_EQ(it.compress, wire::Compress::none);
  EXPECT_TRUE(it.index);
  EXPECT_FALSE(it.record);
  EXPECT_EQ(it.exclude.files, (std::vector<std::string>{"./tmp", "*.o"}));
  EXPECT_EQ(it.exclude.lists, std::vector<std::string>{".exclude"});
  EXPECT_TRUE(it.exclude.optional);
  EXPECT_EQ(it.include.files, std::vector<std::string>{"./a"});
  EXPECT_TRUE(it.levels.empty()) << "the asker's business";
  EXPECT_EQ(it.auth, "BSDTCP");
}

TEST(DleOf, DeviceAndSpindle) {
  const auto it = dle("program \"GNUTAR\"", "h name /the/device t 3");
  EXPECT_EQ(it.disk, "name");
  EXPECT_EQ(it.device, "/the/device");
  EXPECT_EQ(it.spindle, 3);
}

TEST(DleOf, Applications) {
  const auto it = dle("program \"APPLICATION\"\napplication \"gt\"\ncompress client best");
  EXPECT_EQ(it.program, "APPLICATION");
  EXPECT_EQ(it.application.plugin, "amgtar");
  ASSERT_EQ(it.application.properties.size(), 1U);
  EXPECT_EQ(it.application.properties[0].values, std::vector<std::string>{"no"});
  EXPECT_EQ(it.compress, wire::Compress::best);
}

TEST(DleOf, ClientEncryptionGoesAlong) {
  const auto it =
      dle("program \"GNUTAR\"\nencrypt client\nclient-encrypt \"/usr/sbin/amcrypt\"\nclient-decrypt-option "
          "\"-d\"");
  EXPECT_EQ(it.encrypt, wire::Encrypt::custom);
  EXPECT_EQ(it.encrypt_program, "/usr/sbin/amcrypt");
}

// The header, and with it what restores the dump, is made of this.
TEST(DleOf, ServerEncryptionGoesAlong) {
  const auto it =
      dle("program \"GNUTAR\"\nencrypt server\nserver-encrypt \"/usr/sbin/amcrypt\"\n"
          "server-decrypt-option \"-x\"\ncompress server custom\nserver-custom-compress \"/bin/zip\"");
  EXPECT_EQ(it.encrypt, wire::Encrypt::server_custom);
  EXPECT_EQ(it.encrypt_program, "/usr/sbin/amcrypt");
  EXPECT_EQ(it.decrypt_option, "-x");
  EXPECT_EQ(it.compress, wire::Compress::server_custom);
  EXPECT_EQ(it.compress_program, "/bin/zip");
}

TEST(WhyNot, NamesWhatToChange) {
  const std::pair<const char*, const char*> cases[] = {
      {"program \"GNUTAR\"", ""},
      {"program \"APPLICATION\"\napplication \"gt\"", ""},
      {"program \"GNUTAR\"\ncompress server fast", ""},
      {"program \"GNUTAR\"\ncompress server custom", "server-custom-compress"},
      {"program \"GNUTAR\"\ncompress server custom\nserver-custom-compress \"/bin/zip\"", ""},
      {"program \"GNUTAR\"\nencrypt server\nserver-encrypt \"crypt\"", "server-encrypt"},
      {"program \"GNUTAR\"\ndata-path directtcp", "directtcp"},
      {"program \"DUMP\"", "program \"DUMP\""},
  };
  for (const auto& [dumptype, words] : cases) {
    const auto loaded = load(dumptype);
    ASSERT_FALSE(loaded.disks.empty());
    const auto why = why_not(loaded.disks.front());
    if (std::string_view(words).empty()) {
      EXPECT_EQ(why, "");
    } else {
      EXPECT_NE(why.find(words), std::string::npos) << why;
      EXPECT_NE(why.find("dumptype \"t\""), std::string::npos) << why;
    }
  }
}

TEST(PeerOf, PortsAndTries) {
  const auto loaded =
      load("program \"GNUTAR\"\nauth \"bsdtcp\"\nclient-port \"10123\"\namandad-path \"/opt/amandad\"",
           "reserved-tcp-port 600,700\nreserved-udp-port 850,855\nunreserved-tcp-port "
           "1025,1030\nconnect-tries 5\nreq-tries 7");
  const auto peer = peer_of(loaded.config, loaded.disks.front());
  ASSERT_TRUE(peer) << peer.error().what();
  EXPECT_EQ(peer->host, "h");
  EXPECT_EQ(peer->port, 10123);
  EXPECT_EQ(peer->source_port_low, 600);
  EXPECT_EQ(peer->source_port_high, 700);
  EXPECT_EQ(peer->udp_ports, (loop::PortRange{850, 855}));
  EXPECT_EQ(peer->stream_ports, (loop::PortRange{1025, 1030}));
  EXPECT_EQ(peer->tries, 5);
  EXPECT_EQ(peer->amandad_path, "/opt/amandad");
  const auto times = times_of(loaded.config, std::chrono::seconds(9));
  EXPECT_EQ(times.request_tries, 7);
  EXPECT_EQ(times.reply_timeout, std::chrono::seconds(9));
}

TEST(PeerOf, PortDefaultsAndNonsense) {
  auto loaded = load("program \"GNUTAR\"");
  auto& entry = loaded.disks.front();
  EXPECT_EQ(peer_of(loaded.config, entry)->port, 10080);
  for (const char* bad : {"0", "65536", "12x", "-1", "no-such-service-anywhere"}) {
    entry.dumptype.client_port = bad;
    const auto peer = peer_of(loaded.config, entry);
    ASSERT_FALSE(peer) << bad;
    EXPECT_EQ(peer.error().kind(), base::ErrorKind::refused);
    EXPECT_NE(peer.error().what().find(bad), std::string::npos);
  }
}

TEST(PeerOf, OneWayMeansOneConversation) {
  const auto loaded = load("program \"GNUTAR\"");
  const auto one = *peer_of(loaded.config, loaded.disks.front());
  auto other = one;
  EXPECT_TRUE(same_way(one, other));
  other.port = 1;
  EXPECT_FALSE(same_way(one, other));
  other = one;
  other.auth = "local";
  EXPECT_FALSE(same_way(one, other));
}

}  // namespace
}  // namespace headrace::dump
