#!/usr/bin/python3
"""How long the plan of a large night takes, and the page of it.

  bench/planning.py [--program build/release/bench/planning] [--disks 5000] [--rounds 15] [--write FILE]

Runs bench/planning/main.cc: `decide` and `make_plan` on made-up disks of made-up history, the same each time, five disks a
host. Measured is wall time, which other work on the machine makes longer: how much there was, stands on the page. Reading the
records and asking the clients is not in it. Asked is that 5,000 disks take less than a second.
"""
import argparse
import os
import platform
import re
import subprocess
import sys

TREE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ASKED_MS = 1000
# As main.cc names them: what it takes to plan such a night.
NIGHTS = {
    "room for all": "each disk at another day of its cycle, room for all",
    "room for some": "the same, volumes for an eighth of all fulls",
    "no full due": "no full is due: all of the night's share is made early",
    "one host": "the same, all disks of one host",
    "all overdue": "every full is overdue, volumes for an eighth",
    "hardly any room": "the same, volumes for a hundredth",
}


def measure(program, disks, rounds):
    done = subprocess.run([program, str(disks), str(rounds)], capture_output=True, text=True, check=True)
    nights = []
    for line in done.stdout.splitlines():
        found = re.fullmatch(r"([a-z ]+): ([\d.]+) ms \(([\d.]+) to ([\d.]+)\); (.*)", line)
        if not found:
            sys.exit(f"{program} said what this does not understand: {line}")
        nights.append((NIGHTS[found[1]], *(float(found[i]) for i in (2, 3, 4)), found[5]))
    return nights


def page(nights, arguments, load):
    worst = max(median for _, median, *_ in nights)
    rows = "".join(f"| {what} | {median:.0f} ({low:.0f} to {high:.0f}) | {came} |\n" for what, median, low, high, came in nights)
    return f"""# Planning {arguments.disks:,} disks

Slowest of {len(nights)} kinds of night: **{worst:.0f} ms**, asked < {ASKED_MS} ms {"✓" if worst < ASKED_MS else "✗"}

| night | ms | what came of it |
|---|---|---|
{rows}
Median (lowest to highest) of {arguments.rounds} plans each, in a release build: levels, sizes, room, balance and order, from records
and answers in memory to the plan. Debian 12, Linux {platform.release()}, {os.cpu_count()} cores, of which it uses
one; load average when it began: {load:.1f}.

Made by

    cmake --preset release && cmake --build --preset release --target bench
    bench/planning.py --disks {arguments.disks} --rounds {arguments.rounds} --write bench/results/planning.md
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=os.path.join(TREE, "build/release/bench/planning"))
    parser.add_argument("--disks", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--write", metavar="FILE", help="the page; without it, it is printed")
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    text = page(measure(arguments.program, arguments.disks, arguments.rounds), arguments, load)
    if arguments.write:
        with open(arguments.write, "w", encoding="utf-8") as file:
            file.write(text)
    else:
        print(text, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
