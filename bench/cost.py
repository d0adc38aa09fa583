#!/usr/bin/env python3
"""What the client process costs beside the real Amanda's, and how fast one stream is beside iperf3.

  bench/cost.py [--rounds 5] [--auths bsdtcp,bsd] [--seconds 3] [--write]

cost    three dumps at once, drawn by `receivers` (bench/README.md) as fast as they come, from the real amandad
        (started by xinetd) and from one `headrace client`, in turn. CPU seconds, user and system, of amandad and
        sendbackup or of headrace, in the steady middle, over the bytes that arrived in it; tar and the programs
        of the real one's index (a second tar, sed) are left out. Checksums on at both ends, with INDEX and without.
stream  one dump, its source an archiver that costs nothing (outpour: the file spliced into the pipe), since tar
        would be the limit; with the client's checksum, and without, when a client's bytes may be spliced; beside
        it one iperf3 stream over the same loopback, in the same round.

Needs root, iperf3, the real Amanda's client, and 6 GB of memory.
"""
import argparse
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import time

import clientbench as cb
from clientbench import CLIENT, Failure, labs

NAMES = {"amanda": ("amandad", "sendbackup"), "headrace": ("headrace", "amandad")}
TITLES = {"amanda": "amandad 3.5.1", "headrace": "Headrace"}


def steady(lab, count, file, arguments, names, *options):
    """Three dumps' rate and cost in the steady middle: (MB/s, CPU s per GB)."""
    with cb.Receivers(cb.disks_of(lab, count, file), "--auth", lab.auth, *options) as receivers:
        receivers.until(lambda: all(receivers.data()), "every dump's first bytes")
        receivers.pass_seconds(0.7)
        before, began, cpu = sum(receivers.data()), receivers.at, cb.cpu_seconds(names)
        receivers.pass_seconds(arguments.seconds)
        moved, took = sum(receivers.data()) - before, receivers.at - began
        used = cb.cpu_between(cpu, cb.cpu_seconds(names))
        cb.expect(receivers.ended == 0, "a dump ended in the steady middle: the file is too small")
    settle()
    return moved / took / 1e6, used / (moved / 1e9)


def settle(names=("sendbackup", "tar", "outpour")):
    """The dumps of the run before are gone; the real one's go on for long after their server has."""
    def ended():
        left = cb.processes(names)
        for pid, _, _ in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        return not left

    labs.wait_for(ended, "the dumps of the run before to end")


def stop(lab, client):
    client.terminate()
    client.wait()
    lab.listening.clear()
    settle()
    settle(("amandad", "headrace"))  # the real one waits for ever for dumps that were killed


def with_client(lab, who, auth, options=()):
    lab.client, lab.auth = who, auth
    lab.client_options = list(options)
    lab.client_style = "daemon"
    return lab.start_client()


def cost_round(lab, file, arguments, auth):
    results = []
    for index in (True, False):
        for who in ("amanda", "headrace"):
            client = with_client(lab, who, auth)
            rate, cost = steady(lab, 3, file, arguments, NAMES[who], *([] if index else ["--no-index"]))
            results.append({"kind": "cost", "who": who, "auth": auth, "index": index, "mb_per_s": rate, "cpu_s_per_gb": cost})
            stop(lab, client)
    return results


def iperf(seconds):
    server = subprocess.Popen(["iperf3", "-s", "-1", "-p", "5201"], stdout=subprocess.DEVNULL)
    labs.wait_for(lambda: os.path.exists("/proc/net/tcp6") and ":1451 " in open("/proc/net/tcp6", encoding="utf-8").read(), "iperf3 to listen")
    made = subprocess.run(["iperf3", "-c", CLIENT, "-p", "5201", "-t", str(seconds), "-O", "0.5", "-J"], capture_output=True, text=True, check=True)
    server.wait()
    return json.loads(made.stdout)["end"]["sum_received"]["bits_per_second"] / 8e6


def stream_round(lab, file, arguments, auth):
    results = [{"kind": "iperf", "auth": auth, "mb_per_s": iperf(arguments.seconds)}]
    client = with_client(lab, "headrace", auth, ["--gnutar", arguments.outpour])
    for crc in (False, True):
        options = ["--no-index"] + ([] if crc else ["--no-crc", "--hide-feature", "sendbackup_crc"])
        rate, cost = steady(lab, 1, file, arguments, NAMES["headrace"], *options)
        results.append({"kind": "stream", "auth": auth, "crc": crc, "mb_per_s": rate, "cpu_s_per_gb": cost})
    stop(lab, client)
    return results


def pick(results, **wanted):
    return [r for r in results if all(r.get(key) == value for key, value in wanted.items())]


def write(results, arguments):
    rows, heads = [], []
    for auth in arguments.auths:
        for index in (True, False):
            by = {who: pick(results, kind="cost", who=who, auth=auth, index=index) for who in TITLES}
            ratios = [ours["cpu_s_per_gb"] / theirs["cpu_s_per_gb"] for ours, theirs in zip(by["headrace"], by["amanda"])]
            heads.append([f"CPU per GB against amandad's, {auth}, index {'on' if index else 'off'}",
                          f"**{statistics.median(ratios):.2f}** ({', '.join(f'{r:.2f}' for r in ratios)})", "at most 0.50"])
            for who, runs in by.items():
                rows.append([auth, "on" if index else "off", TITLES[who], cb.spread([r["cpu_s_per_gb"] for r in runs]),
                             cb.spread([r["mb_per_s"] for r in runs], 0)])
    streams = []
    for auth in arguments.auths:
        base = pick(results, kind="iperf", auth=auth)
        for crc in (False, True):
            runs = pick(results, kind="stream", auth=auth, crc=crc)
            ratios = [run["mb_per_s"] / beside["mb_per_s"] for run, beside in zip(runs, base)]
            heads.append([f"one stream against iperf3, {auth}, checksums {'on' if crc else 'off'}",
                          f"**{statistics.median(ratios):.2f}** ({', '.join(f'{r:.2f}' for r in ratios)})",
                          "" if crc else "at least 0.80"])
            streams.append([auth, "on" if crc else "off", cb.spread([r["mb_per_s"] for r in runs], 0),
                            cb.spread([r["cpu_s_per_gb"] for r in runs]), cb.spread([r["mb_per_s"] for r in base], 0)])
    text = f"""# Cost of the client process

{cb.table(["", "figure", "wanted"], heads)}

## Three dumps at once
GNU tar from tmpfs, checksums on at both ends:

{cb.table(["auth", "index", "client", "CPU s per GB, tar excepted", "MB/s, all three"], rows)}

## One stream
From an archiver that costs nothing:

{cb.table(["auth", "checksums", "MB/s", "client CPU s per GB", "iperf3 beside it, MB/s"], streams)}

Median (lowest to highest) of {arguments.rounds} rounds. Everything on one machine of {os.cpu_count()} cores, Linux {platform.release()}; the MB/s
of three dumps are what source, client and receivers together get out of them. How each figure is taken stands at the top of
`bench/cost.py`.
"""
    cb.write_section("cost", text, {"rounds": results, "seconds": arguments.seconds})
    print(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--auths", default="bsdtcp,bsd")
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--file-mb", type=int, default=4000)
    parser.add_argument("--outpour", default=os.path.join(cb.TREE, "build/release/bench/outpour"))
    parser.add_argument("--only", choices=("cost", "stream"))
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    arguments.auths = arguments.auths.split(",")
    labs.inside()
    cb.raise_limits()
    place = cb.on_tmpfs("cost")
    results = []
    try:
        with labs.Lab(root=place + "/lab") as lab:
            lab.up()
            file = lab.path("data")
            cb.data_file(file, arguments.file_mb)
            for number in range(arguments.rounds):
                for auth in arguments.auths:
                    made = [] if arguments.only == "stream" else cost_round(lab, file, arguments, auth)
                    made += [] if arguments.only == "cost" else stream_round(lab, file, arguments, auth)
                    for result in made:
                        print(f"round {number + 1} " + " ".join(f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in result.items()), flush=True)
                    results += made
                    time.sleep(0.2)
    except Failure as failure:
        print(f"FAILED: {failure}")
        return 1
    if arguments.write:
        write(results, arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main())
