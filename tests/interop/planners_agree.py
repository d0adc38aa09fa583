#!/usr/bin/env python3
"""The real planner and `headrace plan` on the same configurations, histories and estimates, disk by disk.

  tests/interop/planners_agree.py [--nights 12] [--seed 1] [--night N]

Each night is made up from its seed: disks with every strategy, dumpcycles, bump rules, priorities, wishes of the
operator, histories of a few weeks, volumes large and small. The client is the real amandad, whose tar is replaced by
one that only says how large an archive would be. Compared: which disks are dumped, skipped or failed; the level, its
expected native and stored size and the priority; the incremental to make when there is no volume.

Differences that are meant are named in chosen() below, each with a reason (doc/planning.md); any other fails the test.
"""
import argparse
import datetime
import json
import os
import random
import re
import subprocess
import sys
import time

import lab as labs
from lab import CLIENT, CONF, Failure, expect

DAY = 24 * 3600
PLANNER = "/usr/lib/amanda/planner"
# Nights from this number on are of a wider kind (Disk.widen); those below stay what they were.
WIDER_FROM = 200

# Stands in for tar: estimates by a table, refuses anything else.
FAKE_TAR = r'''#!/usr/bin/env python3
import re, sys
table = dict(line.split() for line in open("{table}"))
words = " ".join(sys.argv)
if "--version" in words:
    print("tar (GNU tar) 1.34"); sys.exit(0)
found = re.search(r"_(disk\d+)_(\d+)\.new", words)
kib = table.get(found[1] + ":" + found[2]) if found and "/dev/null" in words else None
if kib is None:
    print("no size for this", file=sys.stderr); sys.exit(2)
open(re.search(r"--listed-incremental[= ](\S+)", words)[1], "a").close()
print("Total bytes written: %d (1KiB, 1KiB/s)" % (int(kib) * 1024), file=sys.stderr)
'''


def lognormal(rng, low, high):
    return int(low * (high / low) ** rng.random())


class Disk:
    """A made-up disk: its dumptype, its past and its sizes tonight."""

    def __init__(self, number, rng, now, cycle, number_of_night):
        self.name = f"disk{number}"
        self.full = lognormal(rng, 2_000, 4_000_000)
        self.strategy = rng.choice(["standard"] * 12 + ["noinc", "nofull", "incronly", "skip"])
        self.cycle = rng.choice([cycle] * 8 + [0, 3, 14])
        lines = [f"strategy {self.strategy}", f"dumpcycle {self.cycle} days", f"priority {rng.choice(['low', 'medium', 'medium', 'high'])}"]
        lines.append(f"maxpromoteday {rng.choice([0, 1, 3, 10000, 10000, 10000])}")
        lines.append(rng.choice(["bumpsize 10 mb", f"bumpsize {lognormal(rng, 1, 100)} mb"]))
        lines.append(f"bumppercent {rng.choice([0, 0, 5, 20])}")
        lines.append(f"bumpdays {rng.choice([1, 2, 2, 4])}")
        lines.append(f"bumpmult {rng.choice([1, 1.5, 2])}")
        self.compress = rng.random() < 0.3
        lines.append("compress client fast" if self.compress else "compress none")
        if self.compress:
            lines.append("comprate 0.40, 0.30")
        for word in ("skip-incr", "skip-full"):
            if rng.random() < 0.05:
                lines.append(f"{word} yes")
        if rng.random() < 0.15:
            lines.append("allow-split no")
        self.by_server = rng.random() < 0.2
        lines.append("estimate " + ("server" if self.by_server else "client"))
        self.lines = "\n".join(lines)
        self.make_history(rng, now)
        self.sizes = self.tonight(rng)
        self.command = rng.choice([0] * 12 + [1, 2, 4, 8])
        if number_of_night >= WIDER_FROM:
            self.widen(random.Random(f"night {number_of_night} {self.name}"))

    def widen(self, rng):
        """What nights of lower numbers lack: levels without an estimate, several methods, a time to wait for."""
        if rng.random() < 0.15:
            for level in rng.choice([[0], [1], [1, 2], [0, 1], list(range(10))]):
                self.sizes.pop(level, None)
        if not self.by_server and rng.random() < 0.15:
            self.lines = self.lines.replace("estimate client", "estimate client server")
        if rng.random() < 0.2:
            self.lines += f"\nstarttime {rng.choice([130, 300, 2330])}"
        if self.strategy == "nofull" and rng.random() < 0.3:
            self.command = 2

    def make_history(self, rng, now):
        """Nights up to yesterday: a full now and then, levels that go up."""
        self.past = []  # oldest first: (level, native, stored, unixtime, seconds)
        days = rng.choice([0, 1, 2, 5, 9, 20, 30]) if self.strategy != "skip" else 0
        level, since_full = 0, 0
        every = max(self.cycle or 1, 1) + rng.choice([0, 0, 0, 2])
        for ago in range(days, 0, -1):
            if self.strategy == "noinc" or not self.past or since_full >= every:
                level, since_full = 0, 0
            elif level == 0:
                level = 1
            elif rng.random() < 0.15:
                level = min(level + 1, 5)
            if self.strategy in ("nofull", "incronly") and level == 0:
                level = 1 if self.strategy == "nofull" else level
            native = self.full if level == 0 else self.incremental(rng, level)
            native = max(int(native * rng.uniform(0.8, 1.2)), 1)
            stored = max(int(native * rng.uniform(0.3, 0.7)), 1) if self.compress else native
            self.past.append((level, native, stored, int(now - ago * DAY), max(stored // rng.randint(500, 20000), 1)))
            since_full += 1

    def incremental(self, rng, level):
        return max(int(self.full * rng.uniform(0.001, 0.4) / level), 1)

    def tonight(self, rng):
        sizes = {0: max(int(self.full * rng.uniform(0.8, 1.3)), 1)}
        for level in range(1, 10):
            sizes[level] = self.incremental(rng, level)
        return sizes

    def info(self):
        """The record as Amanda keeps it, or nothing for a disk without a past."""
        if not self.past and not self.command:
            return ""
        stats = {}
        for level, native, stored, when, seconds in self.past:
            stats = {at: it for at, it in stats.items() if at < level}
            stats[level] = (native, stored, seconds, when)
        kinds = {"full": [], "incr": []}
        for level, native, stored, when, seconds in reversed(self.past):
            kinds["full" if level == 0 else "incr"].append((stored / seconds, stored / native))
        out = f"version: 0\ncommand: {self.command}\n"
        for kind, values in kinds.items():
            rates = " ".join(f"{rate:.6f}" for rate, _ in values[:3])
            ratios = " ".join(f"{ratio:.6f}" for _, ratio in values[:3]) if self.compress else ""
            out += f"{kind}-rate: {rates}\n".replace(" \n", "\n") + f"{kind}-comp: {ratios}\n".replace(" \n", "\n")
        for level, (native, stored, seconds, when) in sorted(stats.items()):
            out += f"stats: {level} {native} {stored} {seconds} {when} 1 LAB-{when}\n"
        if self.past:
            last = self.past[-1][0]
            runs = 0
            for level, *_ in reversed(self.past):
                if level != last:
                    break
                runs += 1
            out += f"last_level: {last} {runs}\n"
        for level, native, stored, when, seconds in reversed(self.past):
            out += f"history: {level} {native} {stored} {when} {seconds}\n"
        return out + "//\n"


class Night:
    def __init__(self, number, now):
        rng = random.Random(f"night {number}")
        self.number = number
        self.cycle = rng.choice([3, 5, 7, 10])
        self.disks = [Disk(i, rng, now, self.cycle, number) for i in range(rng.choice([1, 3, 6, 10, 16]))]
        total = sum(disk.full for disk in self.disks)
        length_mb = max(int(total / 1024 * rng.choice([0.05, 0.15, 0.4, 1, 3])), 10)
        self.runtapes = rng.choice([1, 1, 2, 3])
        self.lines = f"""dumpcycle {self.cycle} days
runspercycle {rng.choice([0, 0, self.cycle, max(self.cycle - 2, 1)])}
tapecycle 900 tapes
runtapes {self.runtapes}
"""
        self.length_mb = length_mb
        if number >= WIDER_FROM:
            more = random.Random(f"night {number} as a whole")
            if more.random() < 0.2:
                self.lines += f"maxdumpsize {max(int(total * more.choice([0.1, 0.5, 2])), 10_000)} kb\n"
            if more.random() < 0.2:
                self.lines = re.sub("runspercycle .*", "runspercycle -1", self.lines)

    def put(self, lab):
        lab.length_mb = self.length_mb
        lab.global_lines = self.lines
        lab.disks = []
        subprocess.run(["rm", "-rf", lab.path("state/info"), lab.path("lib-amanda/gnutar-lists"), lab.path("state/log")], check=True)
        for folder in ("state/info", "state/log", "lib-amanda/gnutar-lists"):
            os.makedirs(lab.path(folder))
        table, tapelist = "", {}
        for disk in self.disks:
            folder = lab.path("tree", disk.name)
            os.makedirs(folder, exist_ok=True)
            lab.add_disk(f"/{disk.name}", folder, disk.lines)
            info = disk.info()
            if info:
                lab.write(lab.path(f"state/info/{CLIENT}/_{disk.name}/info"), info)
            for level, kib in disk.sizes.items():
                table += f"{disk.name}:{level} {kib}\n"
            for _, _, _, when, _ in disk.past:
                tapelist[f"LAB-{when}"] = when
        lab.write(lab.path("sizes"), table)
        lab.write_config()
        # lab's own values would come after ours.
        path = lab.path("etc-amanda", CONF, "amanda.conf")
        text = lab.read(f"etc-amanda/{CONF}/amanda.conf")
        for line in ("dumpcycle 7 days", "runspercycle 7", f"tapecycle {lab.slots} tapes", "runtapes 2", "bumpsize 1 kb", "bumpdays 1", "bumpmult 1"):
            text = text.replace(f"\n{line}\n", "\n", 1)
        lab.write(path, text)
        stamp = lambda when: datetime.datetime.fromtimestamp(when).strftime("%Y%m%d%H%M%S")
        newest_first = sorted(tapelist.items(), key=lambda it: -it[1])
        lab.write(lab.path("etc-amanda", CONF, "tapelist"), "".join(f"{stamp(when)} {label} reuse\n" for label, when in newest_first))
        lab.give_to_backup(lab.path("state"), lab.path("lib-amanda"), lab.path("etc-amanda"))


# ---- the two planners --------------------------------------------------------------------------------------------

def real_plan(lab, stamp):
    """{disk: ("dump", level, native, stored, priority, degraded) | ("skip",) | ("fail", text)}, and what it said."""
    done = lab.run([PLANNER, CONF, "--starttime", stamp, "--log-filename", lab.path("state/log/log." + stamp + ".0")], user="backup",
                   status=None, seconds=120)
    out, err = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    if "errors processing config" in err:
        raise Failure(err + lab.run(["amadmin", CONF, "disklist"], user="backup", status=None).stderr.decode())
    plans = {}
    for line in out.splitlines():
        words = re.findall(r'"[^"]*"|\S+', line)
        if not words or words[0] != "DUMP":
            continue
        # DUMP host features disk timestamp priority level dumpdate nsize csize secs kps [degraded…|"reason"]
        disk = words[3].strip('"').strip("/")
        degraded = None
        if len(words) >= 18:
            degraded = (int(words[12]), int(words[14]), int(words[15]))
        plans[disk] = ("dump", int(words[6]), int(words[8]), int(words[9]), int(words[5]), degraded)
    log = lab.read(f"state/log/log.{stamp}.0")
    for line in log.splitlines():
        if found := re.match(r"FAIL planner \S+ \"?/(\w+)\"? \S+ \d+ (.*)", line):
            plans.setdefault(found[1], ("fail", found[2]))
        elif found := re.match(r"SUCCESS planner \S+ \"?/(\w+)\"? \S+ \d+ (.*)", line):
            plans.setdefault(found[1], ("skip",))
    return plans, out + "\n" + err + "\n" + log


def our_plan(lab, stamp):
    done = lab.run([lab.path("bin/headrace"), "plan", CONF, "--json", "--at", stamp], status=None)
    text = done.stdout.decode()
    expect(text.startswith("{"), "headrace plan: " + text + done.stderr.decode())
    said = json.loads(text)
    plans = {}
    for dump in said["dumps"]:
        less = dump.get("without_volume")
        plans[dump["disk"].strip("/")] = ("dump", dump["level"], dump["native_kib"], dump["stored_kib"], dump["priority"],
                                          (less["level"], less["native_kib"], less["stored_kib"]) if less else None)
    for skipped in said["skipped"]:
        plans[skipped["disk"].strip("/")] = ("skip",)
    for failed in said["failed"]:
        plans[failed["disk"].strip("/")] = ("fail", failed["reason"])
    return plans, text


def chosen(night, disk, theirs, ours):
    """Why this difference is meant (doc/planning.md); None: it is not."""
    past = {level for level, *_ in disk.past}
    skip_full, skip_incr = "skip-full" in disk.lines, "skip-incr" in disk.lines
    if theirs == ("nothing",) and disk.command == 8 and skip_incr and ours[0] in ("dump", "fail"):
        return "a forced level 1 of a disk with skip-incr is made, or said to find no room; Amanda loses the disk"
    if theirs == ("nothing",) and disk.command == 4 and (ours == ("skip",) if skip_full else disk.strategy == "incronly" and ours[0] in ("dump", "fail")):
        return "the same level again after a full that must not be made: level 1, or skipped; Amanda loses the disk"
    no_room = ours[0] == "fail" and ("full dump cannot be made" in ours[1] or "dumps too big" in ours[1])
    if disk.command == 8 and 0 not in past and theirs[:2] == ("dump", 1) and (ours[:2] == ("dump", 0) or no_room):
        return "a forced level 1 of a disk without a full is a full first; Amanda makes a level 1 of nothing"
    if disk.command == 2 and disk.strategy == "nofull" and not past and theirs[:2] == ("dump", 2) and ours[:2] == ("dump", 1):
        return "a forced bump of a nofull disk that was never dumped is level 1; Amanda makes a level 2 of nothing"
    if disk.strategy == "nofull" and 1 not in disk.sizes and theirs[:2] == ("dump", 2) and (ours[0] == "fail" or ours[1] == 1):
        return "a nofull disk whose level 1 has no size is dumped at level 1 by history, or fails; Amanda makes a level 2"
    if disk.strategy == "incronly" and not past and theirs[:2] == ("dump", 1) and ours[0] == "fail":
        return "an incronly disk of which nobody knows a full fails; Amanda, by skip-full or level 1 forced, makes a level 1 of nothing"
    if disk.command == 1 and disk.strategy == "incronly" and ours[:2] == ("dump", 1):
        return "a forced full of an incronly disk tells that a full exists elsewhere; Amanda ignores it"
    if theirs[0] == "dump" and theirs[5] and theirs[5][0] == 0 and theirs[:5] == ours[:5] and ours[5] is None:
        return "a full has no incremental to be made instead; with Amanda, for lack of another size, it is its own"
    if theirs[0] == "fail" and "incremental dump also larger than tape" in theirs[1] and ours[0] == "dump" and ours[1] > 0 and ours[3] > night.length_mb * 1024:
        return "an incremental in place of a full too large may span the volumes of a run; Amanda drops the disk"
    if disk.by_server and ours[0] == "dump" and ours[1] > 0:
        recorded = {size for level, *sizes, _, _ in disk.past if level == ours[1] for size in sizes}
        if theirs[0] == "dump":
            guessed = theirs[1] == ours[1] and theirs[4] == ours[4] and theirs[2] not in recorded
        else:
            without_room = re.search(r"dumps way too big, (\d+) KB|dump estimate \( (\d+) KB \)", str(theirs[1:]))
            guessed = without_room is not None and int(without_room[1] or without_room[2]) not in recorded
        if ours[2] in recorded and guessed:
            return "a recorded size of that level is believed, however small or whatever the last level was; Amanda guesses"
    return None


def uncounted(disk):
    """A full for lack of any other size: Amanda leaves it out of tonight's fulls, and when it finds no room subtracts it."""
    last = max(disk.past[-1][0] if disk.past else 0, 1)
    return " server" not in disk.lines and 0 in disk.sizes and last not in disk.sizes and last + 1 not in disk.sizes


def compare(night, theirs, ours):
    """[(disk, why)] of what differs as meant, [(disk, theirs, ours)] of what differs otherwise."""
    meant, found = [], []
    for disk in night.disks:
        a, b = theirs.get(disk.name, ("nothing",)), ours.get(disk.name, ("nothing",))
        if a == b or a[0] == b[0] == "fail":
            continue
        if why := chosen(night, disk, a, b):
            meant.append((disk, why))
        else:
            found.append((disk, a, b))
    if found:
        meant += [(disk, "a full because no incremental has a size is one of tonight's fulls; Amanda does not count it")
                  for disk in night.disks if uncounted(disk) and disk not in [it for it, *_ in found]]
    return meant, found


def play(lab, night):
    """What differs, as compare() says, and what both said."""
    # The real planner goes by the machine's clock, to the nearest day.
    now = int(time.time())
    night.put(lab)
    stamp = datetime.datetime.fromtimestamp(now).strftime("%Y%m%d%H%M%S")
    # Ours first: it only reads, whereas the real one dates the full of a disk that skip-full leaves out.
    ours, text = our_plan(lab, stamp)
    theirs, said = real_plan(lab, stamp)
    return *compare(night, theirs, ours), said + "\n----\n" + text


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nights", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1, help="number of the first night")
    parser.add_argument("--night", type=int, help="only this one, with everything both said")
    arguments = parser.parse_args()
    labs.inside()
    numbers = [arguments.night] if arguments.night is not None else range(arguments.seed, arguments.seed + arguments.nights)
    disks = as_meant = bad = 0
    try:
        with labs.Lab(client="amanda") as lab:
            lab.up()
            lab.write(lab.path("bin/fake-tar"), FAKE_TAR.replace("{table}", lab.path("sizes")))
            os.chmod(lab.path("bin/fake-tar"), 0o755)
            subprocess.run(["mount", "--bind", lab.path("bin/fake-tar"), os.path.realpath("/bin/tar")], check=True)
            lab.start_client()
            for number in numbers:
                night = Night(number, int(time.time()))
                disks += len(night.disks)
                while True:
                    meant, differences, said = play(lab, night)
                    for disk, why in meant:
                        print(f"night {number} {disk.name}: {why}", flush=True)
                    if arguments.night is not None:
                        print(said)
                    as_meant += len(meant)
                    if not meant or not differences:
                        break
                    # What one disk takes of the night's room and share decides on its neighbours: once more, without.
                    print(f"night {number}: {len(differences)} more differ; played again without these", flush=True)
                    night.disks = [disk for disk in night.disks if disk not in [it for it, _ in meant]]
                bad += len(differences)
                for disk, a, b in differences:
                    print(f"night {number} {disk.name} ({'; '.join(disk.lines.splitlines())}; command {disk.command}; "
                          f"past {[it[0] for it in disk.past]})\n  Amanda:   {a}\n  Headrace: {b}", flush=True)
            expect(bad == 0, f"{bad} of {disks} disks are planned otherwise")
            print(f"{disks} disks of {len(list(numbers))} nights are planned alike, but {as_meant} as meant")
    except Failure as failure:
        print(f"FAILED: {failure}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
