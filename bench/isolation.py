#!/usr/bin/python3
"""No stream waits for another: measured with three dumps of one client, whose receivers are slow, stopped or fickle.

  bench/isolation.py run [CLIENT:AUTH ...] [--rounds 1] [--series FILE] [--disk-gb 8]
  bench/isolation.py streams [CLIENT:AUTH ...] [--rounds 1] [--series FILE]
  bench/isolation.py verdicts [headrace:AUTH ...] [--rounds 1] [--series FILE]
  bench/isolation.py report [--series FILE]

CLIENT is headrace (one daemon), headrace-inetd (as amandad under xinetd), amanda (Debian's 3.5.1 as it is) or relay
(Debian's, made to relay in one event loop as every release until 3.4 did); AUTH is bsd, bsdudp, bsdtcp or local.
`run` disturbs three large dumps; `streams` starts 3, 10 and 50 dumps and leaves one stream of each kind unread in turn;
`verdicts` asks Headrace's server what holds each of three dumps up, one of which has a slow path.
Each run is a line of JSON added to the series, so that a long series can be made in pieces; `report` sums up what is
there and writes bench/results/isolation.md and its plot.

The server of `run` is always the real amdump of 3.5.1, one dumper process a dump, that of `streams` is bench/rig/initiator.py; the link is 1 Gbit/s; see bench/rig/rig.py for
the machine, bench/rig/phases.py for what is done and measured. At the end of each run the server is killed, and the same
client makes one more dump, which is restored and compared, so that no figure comes from a client that loses data.

Needs root, 11 GB of memory, and `tools/install-deps --bench`.
"""
import argparse
import json
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "rig"))
import isolation_report  # noqa: E402
import phases  # noqa: E402
import rig as rigs  # noqa: E402
import standing  # noqa: E402
import whys  # noqa: E402

SERIES = os.path.join(HERE, "results/isolation.jsonl")


def one_run(rig, kind, auth):
    run = rig.play(kind, auth)
    found, marks, timeline = (phases.without_link if auth == "local" else phases.everything)(run)
    return {"short": short(found), "client": kind, "auth": auth, "began_after_s": run.began_after, "client_processes": len(run.rig.client_processes()),
            "phases": found, "marks": marks, "timeline": timeline, "proof": run.end(), "link_mbit": rig.link_mbit,
            "machine": rigs.machine()}


def short(found):
    return " | ".join(f"{name} {phases.sum_of(phase['rates']):.0f}" for name, phase in found.items())


def run_series(arguments, make=one_run):
    rigs.labs.inside()
    with rigs.Rig(arguments.disk_gb, arguments.link_mbit) as rig:
        rig.up()
        play(rig, arguments, make)


def stream_series(arguments):
    rigs.labs.inside()
    with rigs.Rig(0, arguments.link_mbit) as rig:
        rig.up()
        standing.fill(rig)
        play(rig, arguments, standing.one_run)


def verdict_series(arguments):
    run_series(arguments, whys.one_run)


def play(rig, arguments, make):
    for _ in range(arguments.rounds):
        for chosen in arguments.pairs:
            kind, auth = chosen.split(":")
            began = time.monotonic()
            result = make(rig, kind, auth)
            words = result.pop("short")
            with open(arguments.series, "a", encoding="utf-8") as file:
                file.write(json.dumps(result) + "\n")
            print(f"{chosen} ({time.monotonic() - began:.0f} s): {words}", flush=True)


def pair(text):
    kind, _, auth = text.partition(":")
    if kind not in rigs.CLIENTS or auth not in rigs.AUTHS:
        raise argparse.ArgumentTypeError(f"{text}: CLIENT:AUTH, of {', '.join(rigs.CLIENTS)} and {', '.join(rigs.AUTHS)}")
    return text


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run", help="make runs and add them to the series")
    running.add_argument("--disk-gb", type=int, default=8)
    streaming = commands.add_parser("streams", help="leave streams of 3, 10 and 50 dumps unread, and add that to the series")
    asking = commands.add_parser("verdicts", help="ask what holds up each dump, and add that to the series")
    asking.add_argument("--disk-gb", type=int, default=4)
    reporting = commands.add_parser("report", help="sum up the series")
    for command in (running, streaming, asking):
        command.add_argument("pairs", nargs="*", type=pair, metavar="CLIENT:AUTH",
                             default=["headrace:bsd"] if command is asking else ["headrace:bsd", "amanda:bsdtcp"])
        command.add_argument("--rounds", type=int, default=1)
        command.add_argument("--link-mbit", type=int, default=rigs.LINK_MBIT, help="for a small trial: 200, with --disk-gb 1")
    for command in (running, streaming, asking, reporting):
        command.add_argument("--series", default=SERIES, metavar="FILE")
    arguments = parser.parse_args()
    if arguments.command == "report":
        isolation_report.write(arguments.series)
        return 0
    try:
        {"run": run_series, "streams": stream_series, "verdicts": verdict_series}[arguments.command](arguments)
    except rigs.labs.Failure as failure:
        print(f"FAILED: {failure}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
