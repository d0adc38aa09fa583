#!/usr/bin/env python3
"""Scale in streams: 1, 3, 8, 64 and 512 dumps at once through one client process.

  bench/streams.py [--rounds 5] [--streams 1,3,8,64,512] [--auth bsdtcp] [--seconds 3] [--write]

One `headrace client` listens; `receivers` (bench/README.md) asks it for so many dumps and throws them away,
with checksums at both ends. Each dump has a tar of its own and the same data: one file on tmpfs, linked into
512 directories. A round goes through all numbers in turn, so that what else the machine does falls on all.

throughput  bytes of DATA that arrived in the steady middle, over its length.
memory      the client's proportional set size beyond that before the first dump, a stream; beside it what the
            kernel's pipes of the client may hold, a stream (at most; it is not all in use at once).
fairness    Jain's index over the bytes of each stream in that time: 1 when all are equal, 1/n when one has all.
answer      a noop over a connection of its own, asked meanwhile.

With 512 dumps bsdtcp needs 512 reserved ports at the receivers' end: they use all below 1024.
Needs root and 12 GB of memory.
"""
import argparse
import os
import platform
import statistics
import sys

import clientbench as cb
from clientbench import Failure, expect, labs

NAMES = ("headrace", "amandad")


def measure(lab, count, file, arguments, idle_kib):
    disks = cb.disks_of(lab, count, file)
    with cb.Receivers(disks, "--auth", arguments.auth, "--source-ports", "1:1023", "--report", 50 if count < 64 else 250,
                      "--budget", 262144) as receivers:
        receivers.until(lambda: receivers.streaming == count, f"{count} dumps to stream")
        receivers.until(lambda: all(receivers.data()), "every dump's first bytes")
        receivers.pass_seconds(arguments.settle)
        before, began, cpu = receivers.data(), receivers.at, cb.cpu_seconds(NAMES)
        receivers.say("ping")
        pong = {}
        memory = pipes = 0
        half = began + arguments.seconds / 2
        while receivers.at < began + arguments.seconds or not pong:
            line = receivers.next_line()
            if line.get("event") == "pong":
                pong = line
            if receivers.at > half and not memory:
                memory, pipes = cb.memory_kib(NAMES), cb.pipe_kib(NAMES)
        receivers.pass_seconds(0)
        after, ended, used = receivers.data(), receivers.at, cb.cpu_between(cpu, cb.cpu_seconds(NAMES))
        expect(receivers.ended == 0, "a dump ended in the steady middle: the file is too small")
    moved = [b - a for a, b in zip(before, after)]
    expect("fault" not in pong, f"the noop: {pong}")
    return {"streams": count, "mb_per_s": sum(moved) / (ended - began) / 1e6, "jain": cb.jain(moved),
            "least": min(moved) / (sum(moved) / count), "memory_kib": max(memory - idle_kib, 0) / count, "pipes_kib": pipes / count,
            "pong_ms": pong["ms"], "cpu_s_per_gb": used / (sum(moved) / 1e9)}


def write(results, arguments):
    by = {count: [r for r in results if r["streams"] == count] for count in arguments.numbers}
    median = {count: {key: statistics.median(r[key] for r in rows) for key in rows[0]} for count, rows in by.items()}
    rows = [[count, cb.spread([r["mb_per_s"] for r in runs], 0), cb.spread([r["jain"] for r in runs], 3),
             cb.spread([r["memory_kib"] / 1024 for r in runs]), f"{median[count]['pipes_kib'] / 1024:.2f}",
             cb.spread([r["pong_ms"] for r in runs], 0), cb.spread([r["cpu_s_per_gb"] for r in runs])]
            for count, runs in by.items()]
    most = max(arguments.numbers)
    ratios = [most_run["mb_per_s"] / three["mb_per_s"] for most_run, three in zip(by[most], by.get(3, by[most]))]
    text = f"""# Scale in streams

| {most} streams through one client process | figure | wanted |
|---|---|---|
| throughput against that of 3 streams, round by round | **{statistics.median(ratios):.2f}** ({", ".join(f"{r:.2f}" for r in ratios)}) | at least 0.90 |
| memory a stream, MB (resident; what its pipes may hold beside it: {median[most]['pipes_kib'] / 1024:.2f}) | **{median[most]['memory_kib'] / 1024:.2f}** | at most 2 |
| Jain's index over equal streams, lowest of all runs | **{min(r['jain'] for r in results):.3f}** | at least 0.95 |

## By number of streams
{cb.table(["streams", "MB/s", "Jain's index", "MB resident a stream", "MB of pipe a stream", "noop answered, ms", "client CPU s per GB"], rows)}

Median (lowest to highest) of {len(by[most])} rounds. One `headrace client`, {arguments.auth} over loopback, checksums at both ends,
index on, GNU tar from tmpfs, receivers on the same machine: Linux {platform.release()}, {os.cpu_count()} cores, which all of them share.
How each figure is taken stands at the top of `bench/streams.py`.
"""
    cb.write_section("streams", text, {"rounds": results, "auth": arguments.auth, "seconds": arguments.seconds})
    print(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--streams", default="1,3,8,64,512")
    parser.add_argument("--auth", default="bsdtcp")
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--settle", type=float, default=0.7)
    parser.add_argument("--file-mb", type=int, default=9000)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    arguments.numbers = list(map(int, arguments.streams.split(",")))
    labs.inside()
    cb.raise_limits()
    place = cb.on_tmpfs("streams")
    results = []
    try:
        with labs.Lab(root=place + "/lab", client="headrace", auth=arguments.auth) as lab:
            lab.up()
            file = lab.path("data")
            cb.data_file(file, arguments.file_mb)
            lab.start_client()
            idle_kib = cb.memory_kib(NAMES)
            for number in range(arguments.rounds):
                for count in arguments.numbers:
                    results.append(measure(lab, count, file, arguments, idle_kib))
                    print(f"round {number + 1} " + " ".join(f"{key} {value:.3g}" for key, value in results[-1].items()), flush=True)
    except Failure as failure:
        print(f"FAILED: {failure}")
        return 1
    if arguments.write:
        write(results, arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main())
