#include "config/client_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace headrace::config {
namespace {

const std::filesystem::path kData = std::filesystem::path(HEADRACE_TEST_DATA) / "config";

TEST(ClientConfig, WithoutFilesHasDefaults) {
  const auto client = load_client("/nowhere", "daily");
  ASSERT_TRUE(client.ok());
  EXPECT_EQ(client->auth, "bsdtcp");
  EXPECT_EQ(client->gnutar_list_dir, "/var/lib/amanda/gnutar-lists");
  EXPECT_EQ(client->amandates, "/var/lib/amanda/amandates");
  EXPECT_EQ(client->conf, "DailySet1");
  EXPECT_EQ(client->hostname, "");
  EXPECT_EQ(client->reserved_tcp_port, (PortRange{512, 1023}));
  EXPECT_EQ(client->rep_tries, 5);
  EXPECT_EQ(client->application("x"), nullptr);
}

TEST(ClientConfig, OneConfigurationsFileGoesOverTheSites) {
  const auto site = load_client(kData / "client", "");
  ASSERT_TRUE(site.ok()) << errors_text(site.diagnostics);
  EXPECT_EQ(site->auth, "local");
  EXPECT_EQ(site->conf, "daily");
  EXPECT_EQ(site->tape_server, "tapes.example.com");
  EXPECT_EQ(site->ctimeout, std::chrono::seconds(40));
  EXPECT_EQ(site->client_port, "10081");
  EXPECT_EQ(site->debug.at("sendbackup"), 3);
  ASSERT_NE(site->application("MINE"), nullptr);
  EXPECT_EQ(site->application("mine")->properties[0].values[0], "/opt/tar");
  ASSERT_NE(site->script("also"), nullptr);

  const auto conf = load_client(kData / "client", "conf");
  ASSERT_TRUE(conf.ok()) << errors_text(conf.diagnostics);
  EXPECT_EQ(conf->auth, "bsdtcp");
  EXPECT_EQ(conf->hostname, "me.example.com");
  EXPECT_FALSE(conf->ssl.check_host);
  EXPECT_EQ(conf->ssh_keys, "/k");
}

TEST(ClientConfig, Overrides) {
  const std::vector<Override> overrides{{"auth", "ssh"}, {"ctimeout", "7"}};
  const auto client = load_client("/nowhere", "", overrides);
  ASSERT_TRUE(client.ok());
  EXPECT_EQ(client->auth, "ssh");
  EXPECT_EQ(client->ctimeout, std::chrono::seconds(7));
}

TEST(ClientConfig, ServerParametersAreMistakes) {
  const std::vector<Override> overrides{{"org", "x"}};
  EXPECT_FALSE(load_client("/nowhere", "", overrides).ok());
}

TEST(ClientConfig, ANameFromAPeerStaysInTheDirectory) {
  for (const auto* name : {"../client", "a/b", "/etc", ".."}) {
    const auto client = load_client(kData / "client", name);
    EXPECT_FALSE(client.ok()) << name;
    EXPECT_THAT(client.diagnostics.at(0).message, testing::HasSubstr("contains '/'")) << name;
  }
}

TEST(ClientConfig, ValuesPrintAsAmandasDo) {
  const auto client = load_client(kData / "client", "");
  ASSERT_TRUE(client.ok());
  EXPECT_EQ(value_text(client->settings, "index-server"), "server.example.com");
  EXPECT_EQ(value_text(client->settings, "unreserved-tcp-port"), "50010,50020");
  EXPECT_FALSE(value_text(client->settings, "org"));
}

}  // namespace
}  // namespace headrace::config
