"""What Headrace's server says about three dumps of one Headrace client, one of which has a slow path.

The other phases need one receiver process a dump, which only the real Amanda has; here the server is ours, since only
ours says what holds a dump up. What counts is the verdict in force, as `headrace status --json` shows it each second.
"""
import collections
import json
import re
import signal
import time

import rig as rigs
from lab import CONF, expect, wait_for
from rig import DISKS, Growth, Link

SETTLE_SECONDS, LOOKED_AT = 5.0, 4


def busiest_connection():
    """(client's port, server's port) of a dump's DATA: the connection that carried most."""
    best = (-1, None)
    for head, rest in re.findall(r"^(\S.*\n)(.*)$", rigs.shell("ss -tniH"), re.M):
        words = head.split()
        got = re.search(r"bytes_received:(\d+)", rest)
        if got and words[3].startswith("10.77.0."):
            best = max(best, (int(got[1]), tuple(int(word.rsplit(":", 1)[1]) for word in (words[4], words[3]))))
    expect(best[1] is not None, "no connection carries a dump")
    return best[1]


def verdicts(rig):
    """{disk: verdict in force}"""
    status = json.loads(rig.headrace("status", CONF, "--json", status=None).stdout)
    return {dump["disk"].strip("/"): dump.get("verdict", {}).get("verdict", "not yet") for dump in status["dumps"]}


def look(rig):
    """{disk: {verdict: how many of the looks}}"""
    seen = {disk: collections.Counter() for disk in DISKS}
    for _ in range(LOOKED_AT):
        for disk, verdict in verdicts(rig).items():
            if disk in seen:
                seen[disk][verdict] += 1
        time.sleep(1.0)
    return {disk: dict(counter) for disk, counter in seen.items()}


def one_run(rig, kind, auth):
    expect(kind == "headrace", "verdicts are asked of Headrace's server with Headrace's client")
    rig.change_to(kind, auth)
    growth = Growth(rig.path("holding"))
    server = rig.start([rig.path("bin/headrace"), "dump", CONF, rigs.CLIENT, *(f"/{disk}" for disk in DISKS)], log="out/dump.log")
    growth.start()

    def flowing():
        expect(server.poll() is None, "headrace dump ended: " + rig.read("out/dump.log")[-800:])
        return growth.samples and all(growth.samples[-1][1].get(disk, 0) > 30e6 for disk in DISKS)

    wait_for(flowing, "three dumps in flow", 60)
    time.sleep(SETTLE_SECONDS)
    found = {"equal": look(rig)}
    Link.slow_down(*busiest_connection())
    time.sleep(SETTLE_SECONDS)
    since = time.monotonic()
    found["slow path"] = look(rig)
    rates = growth.rates(since, time.monotonic())
    Link.restore()
    growth.ended.set()
    growth.join()
    server.send_signal(signal.SIGKILL)
    server.wait()
    rig.clear_holding()
    slow = min(DISKS, key=lambda disk: rates[disk])
    words = f"slow: {slow} {found['slow path'][slow]}, others " + ", ".join(str(found["slow path"][disk]) for disk in DISKS if disk != slow)
    return {"short": words, "client": kind, "auth": auth, "verdicts": found, "slow": slow, "rates": rates, "proof": rig.prove(),
            "machine": rigs.machine()}
