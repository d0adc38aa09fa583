#!/usr/bin/env python3
"""A bad network for Amanda's UDP packets: some are lost, some come twice, late or in another order.

  udp_proxy.py SEED LOG [--late]

Started by the lab in its namespaces. Packets from or to port 10080 take a route through a TUN device that
this program holds; it reads each one and writes it back, or not, or later. All keep their addresses, and
TCP goes its own way. With --late some come after their own repetition; the real amandad may have ended by
then and starts the dump again, so that is for ours alone. No packet is lost more than twice, however often it is sent again (Amanda sends the very
same bytes), so who is patient succeeds. Writes a line for each packet to LOG, and "ready" first.
"""
import fcntl
import heapq
import os
import random
import select
import struct
import subprocess
import sys
import time

ADDRESS, PORT, TABLE, DEVICE = "10.77.0.10", "10080", "77", "badudp"
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
UDP = 17
LOSE = (0.3, 0.15)        # the first time a packet is sent, the second
TWICE = 0.2
USUAL_DELAY = 0.1         # seconds, at most
LATE, LATE_DELAY = 0.05, (10.5, 13.0)  # after its own repetition


def ip(*words):
    subprocess.run(["ip", *words], check=True)


def open_device():
    device = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", DEVICE.encode(), IFF_TUN | IFF_NO_PI))
    ip("link", "set", DEVICE, "up", "mtu", "65535")
    for name, value in (("accept_local", "1"), ("rp_filter", "0")):
        with open(f"/proc/sys/net/ipv4/conf/{DEVICE}/{name}", "w", encoding="ascii") as file:
            file.write(value)
    with open("/proc/sys/net/ipv4/conf/all/rp_filter", "w", encoding="ascii") as file:
        file.write("0")
    ip("route", "add", "default", "dev", DEVICE, "src", ADDRESS, "table", TABLE)
    # What this machine sends itself is looked up before its own addresses; what comes from the device is not.
    ip("rule", "add", "pref", "100", "lookup", "local")
    for end in ("dport", "sport"):
        ip("rule", "add", "pref", "50", "iif", "lo", "ipproto", "udp", end, PORT, "lookup", TABLE)
    ip("rule", "del", "pref", "0")
    return device


def describe(packet):
    header = (packet[0] & 15) * 4
    source, destination = struct.unpack(">HH", packet[header:header + 4])
    text = packet[header + 8:].split(b"\n")[0].decode(errors="replace")
    return f"{source} -> {destination} {text}"


class Network:
    def __init__(self, seed, late):
        self.random = random.Random(seed)
        self.late = late
        self.times = {}      # payload and direction: how often it was sent
        self.under_way = []  # (when, number, packet)
        self.number = 0

    def take(self, packet, now):
        """Returns what becomes of it, in words."""
        header = (packet[0] & 15) * 4
        key = packet[header:header + 4] + packet[header + 8:]
        time_sent = self.times.get(key, 0)
        self.times[key] = time_sent + 1
        if self.random.random() < (LOSE[time_sent] if time_sent < len(LOSE) else 0):
            return "lost"
        copies = 2 if self.random.random() < TWICE else 1
        words = []
        for _ in range(copies):
            late = self.random.random() < self.late
            delay = self.random.uniform(*LATE_DELAY) if late else self.random.uniform(0, USUAL_DELAY)
            heapq.heappush(self.under_way, (now + delay, self.number, packet))
            self.number += 1
            words.append(f"{delay:.3f} s")
        return " and ".join(words)

    def due(self, now):
        while self.under_way and self.under_way[0][0] <= now:
            yield heapq.heappop(self.under_way)[2]

    def patience(self, now):
        return max(0, self.under_way[0][0] - now) if self.under_way else None


def main():
    network = Network(int(sys.argv[1]), LATE if "--late" in sys.argv else 0)
    device = open_device()
    with open(sys.argv[2], "w", encoding="utf-8", buffering=1) as log:
        print("ready", file=log)
        while True:
            readable, _, _ = select.select([device], [], [], network.patience(time.monotonic()))
            now = time.monotonic()
            if readable:
                packet = os.read(device, 65536)
                if len(packet) > 28 and packet[0] >> 4 == 4 and packet[9] == UDP:
                    print(f"{now:.3f} {describe(packet)}: {network.take(packet, now)}", file=log)
            for packet in network.due(now):
                os.write(device, packet)


if __name__ == "__main__":
    main()
