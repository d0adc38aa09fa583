#!/usr/bin/env python3
"""Two storages in one run, by one program and then the other.

  several_storages.py NAME | --list       HEADRACE names the program; HEADRACE_KEEP=1 keeps the files

Each storage has a changer, labels and a pool of its own. What one of them lacks stays on holding disk, ordered
in the command file, and whoever comes next completes it.
"""
import glob
import os
import re
import sys

import compare_trees
import lab as labs
import tree
from lab import CLIENT, CONF, Failure, expect

SLOTS = 4
DISKS = ("one", "two")
CONFIG = """storage "a" "b"
autoflush yes
define changer far {{
    tpchanger "chg-disk:{far}"
    property "num-slot" "{slots}"
    property "auto-create-slot" "no"
    changerfile "/etc/amanda/{conf}/far"
}}
define storage a {{
    tpchanger "vtapes"
    tapepool "near"
    tapetype "VTAPE"
}}
define storage b {{
    tpchanger "far"
    tapepool "far"
    tapetype "VTAPE"
    labelstr "^FAR-[0-9]+$"
    autolabel "FAR-%%%" empty volume-error
    {selection}
}}
"""


class Site:
    """A lab with two storages and two disks."""

    def __init__(self, lab, far_slots=SLOTS, selection="", lines=("", "")):
        self.lab = lab
        self.restores = 0
        lab.global_lines = CONFIG.format(far=lab.path("far"), slots=SLOTS, conf=CONF, selection=selection)
        os.makedirs(lab.path("far"))
        for name, more in zip(DISKS, lines):
            os.makedirs(lab.path("disks", name))
            tree.write(lab.path("disks", name, "file"), tree.pattern(3_000_000, len(name) + ord(name[0])))
            lab.add_disk(f"/{name}", lab.path("disks", name), more)
        lab.up()
        self.far_slots(far_slots)
        lab.start_client()

    def far_slots(self, count):
        for number in range(1, count + 1):
            os.makedirs(self.lab.path(f"far/slot{number}"), exist_ok=True)
        self.lab.give_to_backup(self.lab.path("far"))

    def ours(self, status=0):
        result = self.lab.headrace("dump", CONF, status=None)
        text = (result.stdout + result.stderr).decode(errors="replace") + self.report()
        expect(result.returncode == status, f"headrace dump: exit status {result.returncode}, not {status}:\n{text}")

    def theirs(self, *command, status=0):
        result = self.lab.run(command, user="backup", status=None)
        expect(result.returncode == status, f"{command}: exit status {result.returncode}, not {status}\n"
               + (result.stdout + result.stderr).decode(errors="replace"))
        return result.stdout.decode(errors="replace")

    def report(self):
        return self.lab.headrace("report", CONF, status=None).stdout.decode(errors="replace")

    def orders(self):
        """[(disk, storage)] of the command file."""
        return sorted(re.findall(r"^\d+ FLUSH \S+ \S+ \S+ /(\S+) \d+ \d+ (\S+) WORKING:0 TODO$",
                                 self.lab.read(f"etc-amanda/{CONF}/command_file"), re.MULTILINE))

    def held(self):
        return glob.glob(self.lab.path("holding/*/*"))

    def expect_found(self, level, *wanted):
        """The real amadmin finds a good copy of these (disk, storage) at this level, and no other."""
        text = self.theirs("amadmin", CONF, "find", "--sort", "hkdlpbfw")
        found = set()
        for line in text.splitlines():
            match = re.match(rf"\S+ \S+ \S+ +/(\S+) +{level} +(\S+) .* OK *$", line)
            if match and match[2] != "HOLDING":
                found.add((match[1], match[2]))
        expect(found == set(wanted), f"amadmin find has {sorted(found)}, not {sorted(wanted)}:\n{text}")

    def amreport(self):
        self.lab.run(["amreport", CONF, "--text=/tmp/amanda/report.txt"], user="backup", status=None)
        return self.lab.read("tmp-amanda/report.txt")

    def restore(self, name, status=0, *more):
        """Where to, and what the command said on standard error."""
        to = self.lab.path(f"restored-{name}-{self.restores}")
        self.restores += 1
        os.makedirs(to)
        result = self.lab.headrace("restore", CONF, CLIENT, f"/{name}", "--to", to, *more, status=None)
        errors = result.stderr.decode(errors="replace")
        expect(result.returncode == status, f"restore of {name}: exit status {result.returncode}, not {status}:\n"
               + result.stdout.decode(errors="replace") + errors)
        return to, errors

    def expect_restored(self, name, *more):
        to, errors = self.restore(name, 0, *more)
        found = compare_trees.differences(compare_trees.snapshot(self.lab.path("disks", name)),
                                          compare_trees.snapshot(to), ["xattrs"])
        expect(not found, f"{name} restored differs:\n" + "\n".join(found[:20]))
        return errors

    def damage(self, directory, name, level):
        """One bit in the middle of what storage has of a dump; its file's name and size stay."""
        parts = glob.glob(self.lab.path(f"{directory}/slot*/0*._{name}.{level}"))
        expect(len(parts) == 1, f"parts of {name} level {level} in {directory}: {parts}")
        with open(parts[0], "r+b") as part:
            at = 32768 + (os.path.getsize(parts[0]) - 32768) // 2
            part.seek(at)
            byte = part.read(1)[0]
            part.seek(at)
            part.write(bytes([byte ^ 0x10]))


BOTH = [(disk, storage) for disk in DISKS for storage in ("a", "b")]
NEAR = [(disk, "a") for disk in DISKS]
FAR = [(disk, "b") for disk in DISKS]


def read_by_amanda(lab):
    """Our run writes both; the real tools find, report and check each copy, and the real server goes on."""
    site = Site(lab)
    site.ours()
    site.expect_found(0, *BOTH)
    expect(not site.held() and not site.orders(), f"left: {site.held()} {site.orders()}")
    for text, whose in ((site.amreport(), "amreport"), (site.report(), "our report")):
        for storage, label in (("a", "LAB-001"), ("b", "FAR-001")):
            expect(f"These dumps to storage '{storage}' were to tape {label}." in text, f"{whose}:\n{text}")
        expect(len(re.findall(r"^ +FLUSH ", text, re.MULTILINE)) == 2, f"{whose} has no line for each further copy:\n{text}")
    expect("successfully validated" in lab.run(["amcheckdump", CONF], user="backup", stdin=b"\n" * 20).stdout.decode(),
           "amcheckdump is not content")
    site.theirs("amdump", CONF)
    site.expect_found(1, *BOTH)
    for name in DISKS:
        site.expect_restored(name)


def completed_by_amflush(lab):
    """Storage b has no volume in our run: the real amflush writes what is missing, and that alone."""
    site = Site(lab, far_slots=0)
    site.ours(status=16)
    site.expect_found(0, *NEAR)
    expect(site.orders() == FAR and len(site.held()) == 2, f"orders {site.orders()}, held {site.held()}")
    expect("storage b: " in site.report(), site.report())
    expect("left in the holding disk" in site.amreport(), site.amreport())
    site.far_slots(SLOTS)
    site.theirs("amflush", "-b", "-f", CONF)
    site.expect_found(0, *BOTH)
    expect(not site.held() and not site.orders(), f"left: {site.held()} {site.orders()}")
    for name in DISKS:
        site.expect_restored(name)


def completed_by_amdump(lab):
    """Likewise by the autoflush of the real amdump."""
    site = Site(lab, far_slots=0)
    site.ours(status=16)
    site.far_slots(SLOTS)
    site.theirs("amdump", CONF)
    site.expect_found(0, *BOTH)
    site.expect_found(1, *BOTH)
    expect(not site.held() and not site.orders(), f"left: {site.held()} {site.orders()}")


def completed_by_us(lab):
    """The real amdump had no volume for b: our run writes what is missing, and that alone."""
    site = Site(lab, far_slots=0)
    site.theirs("amdump", CONF, status=16)
    expect(site.orders() == FAR and len(site.held()) == 2, f"orders {site.orders()}, held {site.held()}")
    site.far_slots(SLOTS)
    site.ours()
    site.expect_found(0, *BOTH)
    site.expect_found(1, *BOTH)
    expect(not site.held() and not site.orders(), f"left: {site.held()} {site.orders()}")
    parts = [path for path in glob.glob(lab.path("vtapes/slot*/0*")) if path.endswith(".0")]
    expect(len(parts) == 2, f"fulls on storage a: {parts}")
    for name in DISKS:
        site.expect_restored(name)


def selected_alike(lab):
    """dump-selection: both programs send the same dumps to the same storages."""
    site = Site(lab, selection='dump-selection "far" ALL', lines=('tag "far"', 'tag "near"'))
    site.ours()
    site.expect_found(0, ("one", "a"), ("one", "b"), ("two", "a"))
    site.theirs("amdump", CONF)
    site.expect_found(1, ("one", "a"), ("one", "b"), ("two", "a"))


def dump_limits(lab):
    """A disk that only its own host may dump: both leave it out; named, both refuse it."""
    site = Site(lab, lines=("dump-limit same-host", ""))
    site.ours()
    site.expect_found(0, ("two", "a"), ("two", "b"))
    expect(re.search(r"/one is left out: its dump-limit \(same-host\)", site.report()), site.report())
    site.theirs("amdump", CONF)
    site.expect_found(1, ("two", "a"), ("two", "b"))
    refused = lab.headrace("dump", CONF, CLIENT, "/one", status=1)
    expect("/one is not dumped: its dump-limit (same-host)" in refused.stderr.decode(), refused.stderr.decode())
    site.theirs("amdump", CONF, CLIENT, "/one", status=1)


def restored_from_the_other(lab):
    """A volume that is away, then damaged copies: what is restored is whole or an error, and each bad copy is named."""
    site = Site(lab)
    site.ours()
    site.theirs("amdump", CONF)
    expect(not site.expect_restored("one"), "nothing is wrong, yet something is said")
    shelf = lab.path("shelf")
    for slot in glob.glob(lab.path("vtapes/slot*")):
        if glob.glob(os.path.join(slot, "0*.0")):
            os.rename(slot, shelf)
            os.makedirs(slot)
            break
    errors = site.expect_restored("one")
    expect(re.search(r"the copy in storage a of \S+:/one of \d+ level 0 cannot be used: volume LAB-\d+ is in no slot", errors)
           and "the one in storage b is taken instead\n" in errors, errors)
    os.rmdir(slot)
    os.rename(shelf, slot)
    site.damage("vtapes", "one", 0)
    errors = site.expect_restored("one")
    expect("the copy in storage a of" in errors and "DAMAGED" in errors and "what was unpacked is unpacked again" in errors,
           errors)
    site.damage("vtapes", "one", 1)
    errors = site.expect_restored("one")
    expect(errors.count("DAMAGED") == 2 and "all dumps are unpacked again, from the first on" in errors, errors)
    expect(not site.expect_restored("one", "--storage", "b"), "the good copies were asked for, yet something is said")
    site.damage("far", "one", 0)
    _, errors = site.restore("one", 2)
    expect(re.search(r"none of the 2 copies of \S+:/one of \d+ level 0 can be used: "
                     r"the one in storage a: DAMAGED.*; the one in storage b: DAMAGED", errors)
           and "do not trust what is in" in errors, errors)
    site.expect_restored("two")


SCENARIOS = {it.__name__: it for it in (read_by_amanda, completed_by_amflush, completed_by_amdump, completed_by_us,
                                        selected_alike, dump_limits, restored_from_the_other)}


def main():
    if len(sys.argv) != 2 or sys.argv[1] not in {"--list", *SCENARIOS}:
        print(__doc__)
        return 1
    if sys.argv[1] == "--list":
        print("\n".join(SCENARIOS))
        return 0
    labs.inside()
    try:
        with labs.Lab(client="headrace", auth="bsdtcp") as lab:
            SCENARIOS[sys.argv[1]](lab)
    except Failure as failure:
        print(f"FAILED: {failure}")
        return 1
    print("passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
