#!/usr/bin/env python3
"""One night with the real Amanda and with Headrace, in turn: wall time, CPU, memory.

  bench/night.py [--rounds 5] [--only amanda|headrace] [--disk-mb 600] [--write bench/results/night.md]

Both back up the same three trees, at level 0, with the same amanda.conf: auth bsdtcp, index on, no
compression, maxdumps 3, holding disk and vtapes; trees, holding disk, vtapes and state on one tmpfs.
Each night starts as new: no history, empty volumes, no holding files. Nights alternate, so that what
else the machine does falls on both.

wall   from the start of `amdump` or `headrace dump` to its end.
cpu    user and system time of every process of the night, client's and server's, started programs
       included: the night is one process that adopts whatever its descendants leave behind, waits for
       all of them, and reads its getrusage(RUSAGE_CHILDREN).
tar    a wrapper in place of /bin/tar adds up what each tar used (both do the same estimates and
       dumps; the real Amanda also runs a tar to make its index). It is taken off the figure of cpu.
memory the highest VmHWM of headrace's processes, looked at every 20 ms.

HEADRACE names the program (default build/release/headrace). Needs root and 8 GB of memory.
"""
import argparse
import ctypes
import glob
import json
import os
import platform
import re
import resource
import shutil
import statistics
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "tests/interop"))
os.environ.setdefault("HEADRACE", os.path.join(os.path.dirname(HERE), "build/release/headrace"))
import lab as labs  # noqa: E402
from lab import CLIENT_ADDRESS, CONF, PORT, Failure, expect  # noqa: E402

PR_SET_CHILD_SUBREAPER = 36
DISKS = 3


def fill(root, disk_mb):
    """`DISKS` trees of 10 MB files and some small ones, of bytes that do not compress."""
    block = os.urandom(10_000_000)
    for disk in range(1, DISKS + 1):
        for number in range(disk_mb // 10):
            folder = f"{root}/disk{disk}/folder {number // 10:02d}"
            os.makedirs(folder, exist_ok=True)
            with open(f"{folder}/file {number:03d}", "wb") as file:
                file.write(os.urandom(64) + block[64:])
            for small in range(10):
                with open(f"{folder}/small {number:03d} {small}", "wb") as file:
                    file.write(os.urandom(200))


def warm_memory(lab, disk_mb):
    """Takes the memory of a night once and gives it back, so that the first night does not pay for it."""
    path = lab.path("warm")
    with open(path, "wb") as file:
        for _ in range(2 * DISKS * disk_mb):
            file.write(bytes(1_000_000))
    os.remove(path)


def wrap_tar(lab):
    """From here on /bin/tar notes its CPU time in out/tar.log."""
    shutil.copy("/bin/tar", lab.path("bin/real-tar"))
    wrapper = lab.path("bin/tar-wrapper")
    log = lab.path("out/tar.log")
    with open(wrapper, "w", encoding="utf-8") as file:
        file.write(f"""#!/bin/bash
TIMEFORMAT="%3U %3S"
{{ time {lab.path("bin/real-tar")} "$@" 2>&3; }} 3>&2 2>>{log}
""")
    os.chmod(wrapper, 0o755)
    subprocess.run(["mount", "--bind", wrapper, os.path.realpath("/bin/tar")], check=True)


def start_as_new(lab):
    for pattern in ("state/info/*", "state/index/*", "state/log/*", "holding/*", "vtapes/*", "lib-amanda/gnutar-lists/*",
                    "log-amanda/*", "etc-amanda/lab/tapelist*", "etc-amanda/lab/changer*", "etc-amanda/lab/command_file*"):
        for path in glob.glob(lab.path(pattern)):
            subprocess.run(["rm", "-rf", path], check=True)
    for number in range(1, lab.slots + 1):
        os.makedirs(lab.path(f"vtapes/slot{number}"))
    for name in ("lib-amanda/amandates", "out/tar.log", "etc-amanda/lab/tapelist"):
        open(lab.path(name), "w", encoding="utf-8").close()
    os.chmod(lab.path("out/tar.log"), 0o666)
    lab.give_to_backup(lab.path("vtapes"), lab.path("lib-amanda"), lab.path("etc-amanda"))


class Memory(threading.Thread):
    """The highest VmHWM seen of headrace's processes, by what they do."""

    def __init__(self):
        super().__init__(daemon=True)
        self.peak_kib = {}
        self.done = threading.Event()

    def run(self):
        while not self.done.wait(0.02):
            for entry in os.listdir("/proc"):
                if not entry.isdigit():
                    continue
                try:
                    with open(f"/proc/{entry}/comm", encoding="utf-8") as file:
                        if file.read().strip() not in ("headrace", "amandad"):
                            continue
                    with open(f"/proc/{entry}/cmdline", "rb") as file:
                        words = file.read().split(b"\0")
                    with open(f"/proc/{entry}/status", encoding="utf-8") as file:
                        peak = int(re.search(r"VmHWM:\s+(\d+)", file.read())[1])
                except (OSError, TypeError):
                    continue
                part = "server" if b"dump" in words[1:3] else "client"
                self.peak_kib[part] = max(self.peak_kib.get(part, 0), peak)


def night(lab, who):
    """Runs in a process of its own; returns the figures."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    lab.client = who
    client = lab.start_client()
    memory = Memory()
    memory.start()
    started = time.monotonic()
    if who == "amanda":
        lab.run(["amdump", CONF], user="backup", seconds=600)
    else:
        lab.headrace("dump", CONF, seconds=600)
    wall = time.monotonic() - started
    memory.done.set()
    memory.join()
    client.terminate()
    client.wait()
    while True:
        try:
            os.wait()
        except ChildProcessError:
            break
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    tars = [sum(map(float, line.split())) for line in lab.read("out/tar.log").splitlines()]
    stored = sum(os.stat(path).st_size for path in glob.glob(lab.path("vtapes/slot*/0*")))
    verify(lab, stored)
    return {"who": who, "wall": wall, "cpu": used.ru_utime + used.ru_stime - sum(tars), "tar": sum(tars), "tars": len(tars),
            "gb": stored / 1e9, "client_mb": memory.peak_kib.get("client", 0) / 1024, "server_mb": memory.peak_kib.get("server", 0) / 1024}


def verify(lab, stored):
    lines = lab.dumper_lines()
    expect(sorted((result, disk, level) for result, disk, _, level in lines)
           == [("SUCCESS", f"/disk{disk}", 0) for disk in range(1, DISKS + 1)], f"the run log: {lines}")
    done = re.findall(r"^DONE taper ", open(lab.newest_log(), encoding="utf-8").read(), re.M)
    expect(len(done) == DISKS, f"{len(done)} dumps were written to volumes")
    expect(stored > DISKS * lab.disk_mb * 1e6, f"only {stored} bytes are on the volumes")
    indexes = glob.glob(lab.path("state/index/*/*/*[0-9d]*_0*"))
    expect(len({os.path.dirname(path) for path in indexes if "header" not in path}) == DISKS, f"indexes: {indexes}")


def in_a_process(function, *words):
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reading)
            with os.fdopen(writing, "w") as file:
                json.dump(function(*words), file)
            status = 0
        except Failure as failure:
            print(f"FAILED: {failure}", file=sys.stderr)
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading) as file:
        text = file.read()
    _, status = os.waitpid(child, 0)
    expect(status == 0, "a night failed")
    return json.loads(text)


def spread(values, digits=2):
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def table(nights):
    rows = []
    for who in ("amanda", "headrace"):
        mine = [night for night in nights if night["who"] == who]
        if mine:
            rows.append([{"amanda": "Amanda 3.5.1", "headrace": "Headrace"}[who], spread([n["wall"] for n in mine]),
                         spread([n["cpu"] / n["gb"] for n in mine]), spread([n["tar"] / n["gb"] for n in mine]),
                         str(round(statistics.median([n["tars"] for n in mine])))])
    head = ["", "wall s", "CPU s per GB, tar excepted", "tar's CPU s per GB", "tars run"]
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows])


def write_results(nights, arguments, path):
    by = {who: [n for n in nights if n["who"] == who] for who in ("amanda", "headrace")}

    def ratio(figure):
        return statistics.median(map(figure, by["headrace"])) / statistics.median(map(figure, by["amanda"]))

    pairs = list(zip(by["amanda"], by["headrace"]))
    wall_pairs = ", ".join(f"{ours['wall'] / theirs['wall']:.2f}" for theirs, ours in pairs)
    cpu_pairs = ", ".join(f"{ours['cpu'] / theirs['cpu']:.2f}" for theirs, ours in pairs)
    text = f"""# One night, beside the real Amanda

| Headrace against Amanda 3.5.1 | ratio of medians | round by round |
|---|---|---|
| wall time of the whole run | **{ratio(lambda n: n['wall']):.2f}** | {wall_pairs} |
| CPU seconds per GB, tar excepted | **{ratio(lambda n: n['cpu'] / n['gb']):.2f}** | {cpu_pairs} |

Peak memory of Headrace: client {max(n['client_mb'] for n in by['headrace']):.0f} MB, server {max(n['server_mb'] for n in by['headrace']):.0f} MB.

{table(nights)}

Median (lowest to highest) of {len(by['headrace'])} nights each, in turn. {DISKS} disks of {arguments.disk_mb} MB, level 0; bsdtcp over loopback,
index on, no compression, maxdumps 3; trees, holding disk and vtapes on tmpfs. Debian 12, Linux {platform.release()},
{os.cpu_count()} cores. How each figure is taken stands at the top of `bench/night.py`.

Made by

    cmake --preset release && cmake --build --preset release
    bench/night.py --rounds {arguments.rounds} --disk-mb {arguments.disk_mb} --write bench/results/night.md
"""
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=("amanda", "headrace"))
    parser.add_argument("--disk-mb", type=int, default=600)
    parser.add_argument("--write", metavar="FILE")
    arguments = parser.parse_args()
    labs.inside()
    place = "/tmp/amanda-night"
    os.makedirs(place, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=90%,mode=755", "night", place], check=True)
    nights = []
    try:
        with labs.Lab(root=place + "/lab", maxdumps=DISKS, length_mb=8 * DISKS * arguments.disk_mb, part_mb=0, chunk="1 GB", slots=3) as lab:
            lab.disk_mb = arguments.disk_mb
            fill(lab.root, arguments.disk_mb)
            for disk in range(1, DISKS + 1):
                lab.add_disk(f"/disk{disk}", lab.path(f"disk{disk}"))
            lab.up()
            wrap_tar(lab)
            warm_memory(lab, arguments.disk_mb)
            for number in range(arguments.rounds):
                for who in [arguments.only] if arguments.only else ("amanda", "headrace"):
                    start_as_new(lab)
                    nights.append(in_a_process(night, lab, who))
                    print(f"round {number + 1} " + " ".join(f"{key} {value:.2f}" if isinstance(value, float) else str(value)
                                                            for key, value in nights[-1].items()), flush=True)
    except Failure as failure:
        print(f"FAILED: {failure}")
        return 1
    print(table(nights))
    if arguments.write:
        if arguments.only:
            print("no ratios from one side alone: nothing written")
            return 1
        write_results(nights, arguments, arguments.write)
    return 0


if __name__ == "__main__":
    sys.exit(main())
