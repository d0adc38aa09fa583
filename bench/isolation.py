#!/usr/bin/python3
"""No stream waits for another: measured with three dumps of one client, whose receivers are slow, stopped or fickle.

  bench/isolation.py run [CLIENT:AUTH ...] [--runs 5] [--seconds N] [--series FILE]
  bench/isolation.py streams [CLIENT:AUTH ...] [--runs 5] [--series FILE]
  bench/isolation.py verdicts [headrace:AUTH ...] [--runs 5] [--series FILE]
  bench/isolation.py report [--series FILE]

CLIENT is headrace (one daemon), headrace-inetd (as amandad under xinetd), amanda (Debian's 3.5.1 as it is) or relay
(Debian's, made to relay in one event loop as every release until 3.4 did); AUTH is bsd, bsdudp, bsdtcp or local.
`run` disturbs three large dumps; `streams` starts 3, 10 and 50 dumps and leaves one stream of each kind unread in turn;
`verdicts` asks Headrace's server what holds each of three dumps up, one of which has a slow path.
Each run is a line of JSON added to the series, and what is there counts: call again until nothing is missing. `report`
sums up what is there and writes bench/results/isolation.md and its plot.

The server of `run` is the real amdump of 3.5.1, one dumper process a dump; that of `streams` is bench/rig/initiator.py.
The link is 1 Gbit/s; bench/rig/rig.py is the machine, bench/rig/phases.py says what is done and measured. At the end of
each run the server is killed, and the same client makes one more dump, which is restored and compared, so that no
figure comes from a client that loses data.

Needs root, 3 GB of memory, and `tools/install-deps --bench`.
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

ALL_PAIRS = ["headrace:bsd", "headrace:bsdudp", "headrace:bsdtcp", "amanda:bsdtcp", "relay:bsd", "amanda:bsd", "amanda:bsdudp",
             "headrace:local", "amanda:local", "headrace-inetd:bsd", "headrace-inetd:bsdudp"]
STREAM_PAIRS = ["headrace:bsd", "headrace:bsdudp", "headrace:bsdtcp", "amanda:bsd", "amanda:bsdudp", "amanda:bsdtcp", "relay:bsd"]
VERDICT_PAIRS = ["headrace:bsd", "headrace:bsdtcp"]
LONGEST_RUN_S = 115
BEGAN = time.monotonic()
SERIES = os.path.join(HERE, "results/isolation.jsonl")


def one_run(rig, kind, auth):
    run = rig.play(kind, auth)
    found = (phases.without_link if auth == "local" else phases.everything)(run)
    client_processes = len(rig.client_processes())
    return {"short": short(found), "client": kind, "auth": auth, "began_after_s": run.began_after, "client_processes": client_processes,
            "phases": found, "proof": run.end(), "link_mbit": rig.link_mbit, "machine": rigs.machine()}


def short(found):
    return " | ".join(f"{name} {phases.sum_of(phase['rates']):.0f}" for name, phase in found.items())


def run_series(arguments, what="phases", make=one_run):
    rigs.labs.inside()
    with rigs.Rig(arguments.disk_gb, arguments.link_mbit) as rig:
        rig.up()
        play(rig, arguments, what, make)


def stream_series(arguments):
    rigs.labs.inside()
    with rigs.Rig(0, arguments.link_mbit) as rig:
        rig.up()
        standing.fill(rig)
        play(rig, arguments, "streams", standing.one_run)


def verdict_series(arguments):
    run_series(arguments, "verdicts", whys.one_run)


def had(arguments, what, chosen):
    """Earlier runs of a pair in the series."""
    kind, auth = chosen.split(":")
    try:
        with open(arguments.series, encoding="utf-8") as file:
            entries = [json.loads(line) for line in file]
    except FileNotFoundError:
        return []
    return [entry for entry in entries if what in entry and (entry["client"], entry["auth"]) == (kind, auth)]


def play(rig, arguments, what, make):
    """Brings every pair to as many runs as asked, those with fewest first, as long as another fits into the time."""
    while True:
        counts = [(len(had(arguments, what, chosen)), place, chosen) for place, chosen in enumerate(arguments.pairs)]
        count, _, chosen = min(counts)
        if count >= arguments.runs:
            return
        earlier = [entry["took_s"] for entry in had(arguments, what, chosen)]
        needed = max(earlier, default=LONGEST_RUN_S) + 5
        if arguments.seconds and time.monotonic() - BEGAN + needed > arguments.seconds:
            print(f"{chosen} needs another {needed:.0f} s: call again for it")
            return
        began = time.monotonic()
        result = make(rig, *chosen.split(":"))
        result["took_s"] = round(time.monotonic() - began, 1)
        words = result.pop("short")
        with open(arguments.series, "a", encoding="utf-8") as file:
            file.write(json.dumps(result) + "\n")
        print(f"{chosen}, run {count + 1} ({result['took_s']:.0f} s): {words}", flush=True)


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
                             default={running: ALL_PAIRS, streaming: STREAM_PAIRS, asking: VERDICT_PAIRS}[command])
        command.add_argument("--runs", type=int, default=5, help="how many the series shall have of each, earlier ones counted (default: 5)")
        command.add_argument("--seconds", type=int, help="begin no run that would not end within so many seconds")
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
