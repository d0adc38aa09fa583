#include "cli/client_sockets.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"

namespace headrace::cli {
namespace {

using Texts = std::vector<std::string>;

Texts places(const std::string& text, const Texts& auths = {"bsdtcp"}) {
  const auto all = listen_at(text, auths);
  if (!all) return {all.error().what()};
  Texts out;
  for (const auto& one : *all) out.push_back(one.auth + " " + one.address.text());
  return out;
}

TEST(ClientSockets, AListenWordHasAnAuthAnAddressAndAPort) {
  EXPECT_EQ(places("10.0.0.1:700"), Texts{"bsdtcp 10.0.0.1:700"});
  EXPECT_EQ(places("10.0.0.1"), Texts{"bsdtcp 10.0.0.1:10080"});
  EXPECT_EQ(places(":700"), Texts{"bsdtcp 0.0.0.0:700"});
  EXPECT_EQ(places("bsd:10.0.0.1:700"), Texts{"bsd 10.0.0.1:700"});
  EXPECT_EQ(places("BSDUDP::700"), Texts{"bsdudp 0.0.0.0:700"});
  EXPECT_EQ(places("bsd:[::1]:700"), Texts{"bsd [::1]:700"});
  EXPECT_EQ(places("[::1]"), Texts{"bsdtcp [::1]:10080"});
  EXPECT_EQ(places("10.0.0.1:700", {"bsdtcp", "bsd"}), (Texts{"bsdtcp 10.0.0.1:700", "bsd 10.0.0.1:700"}));
}

TEST(ClientSockets, WhatIsNoPlaceIsSaid) {
  EXPECT_EQ(places("10.0.0.1:70000"), Texts{"\"10.0.0.1:70000\" is no ADDRESS:PORT"});
  EXPECT_EQ(places("10.0.0.1:7x"), Texts{"\"10.0.0.1:7x\" is no ADDRESS:PORT"});
  EXPECT_EQ(places("mill:700"), Texts{"\"mill\" is no numeric IP address"});
  EXPECT_EQ(places(":700", {"local"}),
            Texts{"auth local listens nowhere: it is spoken on standard input and output"});
  EXPECT_EQ(places("ssh:0.0.0.0:700", {"bsdtcp"}),
            Texts{"auth ssh listens nowhere: it is spoken on standard input and output"});
  EXPECT_EQ(served_auth("krb5").error().what(),
            "auth \"krb5\" cannot be served; bsdtcp, bsd, bsdudp, ssh, local can");
}

TEST(ClientSockets, TwoUdpAuthsNeedTwoPorts) {
  const auto all = [](const Texts& auths) { return *listen_at(":10080", auths); };
  EXPECT_TRUE(check_apart(all({"bsdtcp", "bsd"})));
  const auto clash = check_apart(all({"bsdtcp", "bsd", "bsdudp"}));
  ASSERT_FALSE(clash);
  EXPECT_NE(clash.error().what().find("bsd and bsdudp cannot share 0.0.0.0:10080"), std::string::npos);
  EXPECT_FALSE(check_apart(all({"bsd", "bsd"})));
}

TEST(ClientSockets, ADescriptorShowsWhatItIs) {
  const base::Fd udp(::socket(AF_INET, SOCK_DGRAM, 0));
  EXPECT_EQ(kind_of_descriptor(udp.get()), HandedKind::datagrams);
  const base::Fd tcp(::socket(AF_INET, SOCK_STREAM, 0));
  EXPECT_EQ(kind_of_descriptor(tcp.get()), HandedKind::connection);
  ASSERT_EQ(::listen(tcp.get(), 1), 0);
  EXPECT_EQ(kind_of_descriptor(tcp.get()), HandedKind::listener);
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  EXPECT_EQ(kind_of_descriptor(pipe[0]), HandedKind::nothing);
  ::close(pipe[0]);
  ::close(pipe[1]);
}

TEST(ClientSockets, ASocketServesTheAuthItIsNamedForOrTheFirstThatFits) {
  EXPECT_EQ(auth_of(HandedKind::datagrams, "", {"bsdtcp", "bsdudp"}), "bsdudp");
  EXPECT_EQ(auth_of(HandedKind::datagrams, "bsd", {"bsdtcp"}), "bsd");
  EXPECT_EQ(auth_of(HandedKind::datagrams, "bsdtcp", {"bsd"}), "bsd");
  EXPECT_EQ(auth_of(HandedKind::datagrams, "headrace.socket", {"bsdtcp"}), "");
  EXPECT_EQ(auth_of(HandedKind::listener, "headrace.socket", {"bsd", "bsdtcp"}), "bsdtcp");
}

TEST(ClientSockets, SystemdNamesItsSockets) {
  ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
  ::setenv("LISTEN_FDS", "3", 1);
  ::setenv("LISTEN_FDNAMES", "bsd:other", 1);
  const auto sockets = systemd_sockets();
  ASSERT_EQ(sockets.size(), 3U);
  EXPECT_EQ(sockets[0].fd, 3);
  EXPECT_EQ(sockets[0].name, "bsd");
  EXPECT_EQ(sockets[1].name, "other");
  EXPECT_EQ(sockets[2].name, "");
  ::setenv("LISTEN_PID", "1", 1);
  EXPECT_TRUE(systemd_sockets().empty());
  for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) ::unsetenv(name);
}

}  // namespace
}  // namespace headrace::cli
