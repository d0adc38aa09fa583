#!/usr/bin/env python3
"""One row of the interop matrix: a full and an incremental run, and every way back.

  row.py --server amanda|headrace --client amanda|headrace [--auth bsdtcp|bsd|bsdudp|local|ssh]
         [--program GNUTAR|amgtar] [--index yes|no] [--client-style daemon|inetd]
         [--filters none|server-fast|server-best|server-custom|server-encrypt|server-both]
         [--then-server amanda|headrace] [--then-client amanda|headrace] [--restorers all|real]
         [--bad-network SEED]

HEADRACE names the program (default build/dev/headrace); HEADRACE_KEEP=1 keeps the files.
"""
import argparse
import glob
import gzip
import os
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import compare_trees  # noqa: E402
import lab as labs  # noqa: E402
import tree  # noqa: E402
from lab import CLIENT, CONF, Failure, expect, quote  # noqa: E402

# What the dumptype says, and what the first line of each header then has to say; {zip} and {crypt} are programs.
FILTERS = {
    "none": ("", " comp N program "),
    "server-fast": ("compress server fast", " comp .gz program "),
    "server-best": ("compress server best", " comp .gz program "),
    "server-custom": ('compress server custom\nserver-custom-compress "{zip}"', " comp cust program .* server_custom_compress {zip}$"),
    "server-encrypt": ('encrypt server\nserver-encrypt "{crypt}"\nserver-decrypt-option "-x"',
                       " comp N program .* crypt enc server_encrypt {crypt} server_decrypt_option -x$"),
    "server-both": ('compress server fast\nencrypt server\nserver-encrypt "{crypt}"',
                    " comp .gz program .* crypt enc server_encrypt {crypt} server_decrypt_option -d$"),
}
RECOVER_TRIES = 10
BIG = "/srv/big"
SMALL = "it's a \"small\" disk, è"


class Row:
    def __init__(self, lab, arguments):
        self.lab, self.server, self.restorers = lab, arguments.server, arguments.restorers
        self.server_user = user_of(self.server, lab)
        self.header_pattern = self.install_filters(FILTERS[arguments.filters])
        self.then_server, self.then_client = arguments.then_server, arguments.then_client
        self.bad_network, self.writers = arguments.bad_network, arguments.writers
        self.patience = 120 if self.bad_network is None else 400  # a lost packet is sent again after ten seconds
        self.started = time.monotonic()
        self.left_out = []
        self.runs = []           # timestamps, level 0 first
        self.read_logs = set()

    def say(self, text):
        print(f"{time.monotonic() - self.started:6.1f} s  {text}", flush=True)

    def install_filters(self, filters):
        """Programs that compress and encrypt, so to speak, and the dumptype that asks for them."""
        lines, pattern = filters
        programs = {name: self.lab.path("bin", name) for name in ("zip", "crypt")}
        os.makedirs(self.lab.path("bin"), exist_ok=True)
        for name, script in (("zip", 'exec gzip "$@"'), ("crypt", "exec tr '\\000-\\377' '\\200-\\377\\000-\\177'")):
            with open(programs[name], "w", encoding="utf-8") as file:
                file.write(f"#!/bin/sh\n{script}\n")
            os.chmod(programs[name], 0o755)
        self.lab.dumptype_lines += lines.format(**programs)
        self.filtered = bool(lines)
        return pattern.format(**programs)

    # ---- a run ---------------------------------------------------------------------------------

    def check(self):
        if self.server == "amanda":
            self.lab.run(["amcheck", CONF], user="backup", seconds=self.patience)
        else:
            self.lab.headrace("check", CONF, user=self.server_user, seconds=self.patience)

    def dump(self, level):
        if self.server == "amanda":
            self.lab.run(["amdump", CONF], user="backup", seconds=self.patience)
        else:
            self.lab.headrace("dump", CONF, user=self.server_user, seconds=self.patience)
        lines = self.lab.dumper_lines()
        expect(sorted((disk, result, at_level) for result, disk, _, at_level in lines)
               == sorted((disk, "SUCCESS", level) for disk in (BIG, SMALL)),
               f"the run log should show both disks dumped at level {level}: {lines}")
        self.runs.append(lines[0][2])
        if self.writers:
            self.expect_several_volumes()
        self.say(f"level {level} dumped as {self.runs[-1]}")

    def expect_several_volumes(self):
        """One dump on each volume, and each volume with a number of its own."""
        with open(self.lab.newest_log(), encoding="utf-8", errors="replace") as file:
            begun = re.findall(r"^START taper .* label (\S+) tape (\d+)$", file.read(), re.MULTILINE)
        expect(len(set(label for label, _ in begun)) == 2 and sorted(number for _, number in begun) == ["1", "2"],
               f"two volumes should have been begun: {begun}")

    def change_hands(self):
        """Between the runs another server or client may take over what it finds."""
        if self.then_client and self.then_client != self.lab.client:
            self.lab.change_client(self.then_client)
            self.say(f"the client is now {self.then_client}")
        if self.then_server and self.then_server != self.server:
            self.server, self.server_user = self.then_server, user_of(self.then_server, self.lab)
            self.say(f"the server is now {self.then_server}")

    def expect_small_increment(self):
        """A level 1 that found no list of the level 0 would hold everything, and restore well."""
        full, increment = (sum(os.stat(path).st_size for path in self.lab.volume_files(BIG, self.runs[level], level)) for level in (0, 1))
        expect(increment < full / 2, f"the incremental dump has {increment} bytes, the full one {full}")

    def snapshots(self):
        big = compare_trees.snapshot(self.lab.path("disk"))
        small = {name: entry for name, entry in compare_trees.snapshot(self.lab.path("other disk")).items()
                 if name not in self.left_out}
        return {BIG: big, SMALL: small}

    # ---- ways back: each gives the bytes of one dump, or fills a directory ------------------------

    def by_amfetchdump(self, disk, level):
        return self.lab.command(["amfetchdump", "-p", "--exact-match", CONF, CLIENT, disk, self.runs[level], level], "backup")

    def by_dd(self, disk, level):
        """As the header says, but for its last command, which is tar."""
        files = self.lab.volume_files(disk, self.runs[level], level)
        with open(files[0], "rb") as file:
            header = file.read(32768).decode("utf-8", "surrogateescape")
        expect(re.search(self.header_pattern, header.split("\n")[0]), f"the header's first line should say {self.header_pattern}: {header}")
        restore = re.search(r"\n\tdd if=<tape> bs=32k skip=1 \|(.*)", header)
        expect(restore, f"the header does not say how to restore: {header}")
        undo = "".join(f" | {command}" for command in restore[1].split(" | ")[:-1])
        return ["sh", "-c", 'for part; do dd if="$part" bs=32k skip=1 status=none || exit 1; done' + undo, "sh", *files]

    def by_amrestore(self, disk, level):
        # Parts become files of their own, numbered with seven digits.
        slot = os.path.dirname(self.lab.volume_files(disk, self.runs[level], level)[0])
        scratch = self.lab.path("out", f"amrestore {level}")
        os.makedirs(scratch)
        self.lab.give_to_backup(scratch)
        self.lab.run(["amrestore", f"file:{slot}", f"^{CLIENT}$", f"={disk}", self.runs[level]], user="backup", cwd=scratch)
        parts = sorted(glob.glob(glob.escape(scratch) + "/*"))
        expect(parts, "amrestore restored nothing")
        return ["cat", *parts]

    def by_headrace(self, disk, level):
        return None

    def restore(self, way, disk, source):
        to = self.lab.path("restored", f"{way} {len(os.listdir(self.lab.path('restored')))}")
        os.makedirs(to)
        started = time.monotonic()
        if way == "headrace":
            self.lab.headrace("restore", CONF, CLIENT, disk, "--to", to, user="root")
        else:
            for level in range(len(self.runs)):
                self.extract(getattr(self, "by_" + way)(disk, level), to)
        ignore = [] if self.lab.program == "amgtar" else ["xattrs"]
        found = compare_trees.differences(source, compare_trees.snapshot(to), ignore)
        expect(not found, f"{disk} restored by {way} differs:\n" + "\n".join(found[:30]))
        self.say(f"{disk} restored by {way}: the same ({time.monotonic() - started:.1f} s)")

    def extract(self, command, to):
        with open(self.lab.path("out/restore.log"), "wb") as log:
            feeder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                                      env=self.lab.environment("root"), cwd=self.lab.path("out"))
            tar = subprocess.Popen(["tar", "--extract", "--file", "-", "--listed-incremental=/dev/null", "--numeric-owner",
                                    "--preserve-permissions", "--xattrs", "--xattrs-include=*", "-C", to],
                                   stdin=feeder.stdout, stdout=log, stderr=log)
            feeder.stdout.close()
            try:
                feeder.stdin.write(b"\n" * 20)  # "press enter when ready"
                feeder.stdin.close()
            except BrokenPipeError:
                pass
            statuses = (feeder.wait(120), tar.wait(120))
        expect(statuses == (0, 0), f"{command[-6:]} | tar: exit statuses {statuses}\n" + self.lab.read("out/restore.log")[-2000:])

    def recover(self, disk, source):
        """By the real amrecover. It leaves tar's own rules for directories aside, so times and owners of those may differ.

        Debian's amidxtaped dies when amrecover's DAR line overtakes its DATA-READY, which has nothing to do with what is
        restored: when its log says so, it is asked again."""
        for attempt in range(1, RECOVER_TRIES + 1):
            found, said = self.recover_once(disk, source)
            if not found or not self.amidxtaped_stumbled():
                break
            self.say(f"amidxtaped stumbled over an early DAR line (attempt {attempt})")
        expect(not found, f"{disk} restored by amrecover differs:\n" + "\n".join(found[:30]) + "\n" + said)
        self.say(f"{disk} restored by amrecover: the same")

    def recover_once(self, disk, source):
        """What differs, and what amrecover said."""
        to = self.lab.path("restored", f"amrecover {len(os.listdir(self.lab.path('restored')))}")
        os.makedirs(to)
        words = [f"sethost {CLIENT}", f"setdisk {quote(disk)}", f"lcd {to}", "add .", "extract", *["Y"] * 6, "exit", ""]
        result = self.lab.run(["amrecover", CONF, "-s", labs.SERVER, "-t", labs.SERVER, "-d", "vtapes"],
                              stdin="\n".join(words).encode(), cwd=to)
        return (compare_trees.differences(source, compare_trees.snapshot(to), ["xattrs"]),
                result.stdout.decode(errors="replace")[-3000:])

    def amidxtaped_stumbled(self):
        """Since the last time this was asked."""
        logs = set(glob.glob(glob.escape(self.lab.path("log-amanda/server", CONF)) + "/amidxtaped.*")) - self.read_logs
        self.read_logs |= logs
        return any('object method "new" via package "Amanda::FetchDump::Message"' in self.lab.read(log) for log in logs)

    # ---- what the real tools say about the media ---------------------------------------------------

    def ask_amadmin(self):
        text = self.lab.run(["amadmin", CONF, "find", "--sort", "hkdlpbfw"], user="backup").stdout.decode(errors="replace")
        for disk in (BIG, SMALL):
            for level, timestamp in enumerate(self.runs):
                stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.strptime(timestamp, "%Y%m%d%H%M%S"))
                rows = [line for line in text.splitlines() if line.startswith(stamp) and f" {quote(disk)} " in line + " "]
                expect(rows and all(re.search(rf" {level} +\S+ +\S+ +LAB-\d+ +\d+ +\d+/\d+ OK *$", line) for line in rows),
                       f"amadmin find does not show {disk} level {level} as OK:\n{text}")

    def ask_amreport(self):
        self.lab.run(["amreport", CONF, "--text=/tmp/amanda/report.txt"], user="backup")
        text = self.lab.read("tmp-amanda/report.txt")
        # It does not say so above when there were two, whoever made the run; but below.
        usage = re.findall(r"^  (LAB-\d+) .* 1 +\d+$", text, re.MULTILINE)
        expect(len(usage) == 2 if self.writers else "These dumps were to tape" in text, f"amreport: {text}")
        expect("DUMP SUMMARY" in text, f"amreport: {text}")
        expect(not re.search(r"FAILED|MISSING|STRANGE|NO FILE", text), f"amreport is not content: {text}")

    def ask_amcheckdump(self):
        text = self.lab.run(["amcheckdump", CONF], user="backup", stdin=b"\n" * 20).stdout.decode(errors="replace")
        expect("successfully validated" in text, f"amcheckdump: {text}")

    def check_index(self):
        """Each index lists what its dump holds, in GNU tar's own spelling."""
        for disk in (BIG, SMALL):
            for level, timestamp in enumerate(self.runs):
                folder = self.lab.path("state/index", CLIENT, re.sub(r"[/:\\]", "_", disk))
                files = glob.glob(glob.escape(folder) + f"/{timestamp}_{level}*")
                files = [file for file in files if not file.endswith((".header", ".state", ".state.gz"))]
                if not self.lab.index:
                    expect(not files, f"no index was asked for, but there is {files}")
                    continue
                expect(len(files) == 1, f"index files of {disk} level {level}: {files}")
                with (gzip.open if files[0].endswith(".gz") else open)(files[0], "rb") as file:
                    listed = file.read().splitlines()
                dump = subprocess.run(self.by_dd(disk, level), check=True, capture_output=True).stdout
                in_tar = subprocess.run(["tar", "--list", "--file", "-", "--listed-incremental=/dev/null"], input=dump, check=True,
                                        capture_output=True, env={"LC_ALL": "C", "PATH": labs.BACKUP_PATH}).stdout.splitlines()
                wanted = sorted(name[1:] for name in in_tar if name.startswith(b"./"))
                expect(sorted(listed) == wanted, f"index of {disk} level {level} differs from tar's list: "
                       f"{sorted(set(wanted) ^ set(listed))[:10]}")

    # ---- the whole -------------------------------------------------------------------------------------

    def run(self):
        lab = self.lab
        os.makedirs(lab.path("restored"))
        tree.make_tree(lab.path("disk"))
        os.makedirs(lab.path("other disk"))
        self.left_out = tree.make_small_tree(lab.path("other disk"))
        lab.add_disk(BIG, lab.path("disk"))
        lab.add_disk(SMALL, lab.path("other disk"), 'exclude "*.tmp"\nexclude list optional ".exclude"')
        lab.up()
        if self.bad_network is not None:
            lab.start_bad_network(self.bad_network, late=lab.client == "headrace")
        lab.start_client()
        self.say("up")
        self.check()
        self.say("checked")
        self.dump(0)
        self.change_hands()
        tree.change_tree(lab.path("disk"))
        tree.change_small_tree(lab.path("other disk"))
        source = self.snapshots()
        self.dump(1)

        self.expect_small_increment()
        self.ask_amadmin()
        self.ask_amreport()
        self.ask_amcheckdump()
        self.check_index()
        self.say("amadmin find, amreport, amcheckdump and the index agree")
        self.restore("dd", BIG, source[BIG])
        # It starts a decompressor for each part alone, and a part in the middle is no beginning of a stream.
        if not self.filtered:
            self.restore("amrestore", BIG, source[BIG])
        self.restore("amfetchdump", BIG, source[BIG])
        self.restore("amfetchdump", SMALL, source[SMALL])
        if lab.index:
            lab.start_recovery_services()
            self.recover(BIG, source[BIG])
        if self.restorers == "all":
            self.restore("headrace", BIG, source[BIG])
            self.restore("headrace", SMALL, source[SMALL])


def user_of(server, lab):
    """The real server always runs as "backup". Ours runs as either; with auth local the client is its child."""
    return "backup" if server == "amanda" or (lab.auth, lab.client) == ("local", "amanda") else "root"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", choices=("amanda", "headrace"), required=True)
    parser.add_argument("--client", choices=("amanda", "headrace"), required=True)
    parser.add_argument("--auth", choices=("bsdtcp", "bsd", "bsdudp", "local", "ssh"), default="bsdtcp")
    parser.add_argument("--program", choices=("GNUTAR", "amgtar"), default="GNUTAR")
    parser.add_argument("--index", choices=("yes", "no"), default="yes")
    parser.add_argument("--client-style", choices=("daemon", "inetd"), default="daemon")
    parser.add_argument("--filters", choices=tuple(FILTERS), default="none", help="what the server does with the bytes")
    parser.add_argument("--then-server", choices=("amanda", "headrace"), help="who makes the incremental run")
    parser.add_argument("--then-client", choices=("amanda", "headrace"), help="who answers in the incremental run")
    parser.add_argument("--bad-network", type=int, metavar="SEED", help="lose, double, delay and reorder UDP packets")
    parser.add_argument("--writers", type=int, default=0, metavar="COUNT",
                        help="volumes written at a time, straight by dumps, one dump on each")
    parser.add_argument("--restorers", choices=("all", "real"), default="all", help="real: leave headrace restore out")
    arguments = parser.parse_args()
    labs.inside()
    try:
        global_lines = "" if arguments.bad_network is None else "ctimeout 60"
        dumptype_lines = ""
        if arguments.writers:
            global_lines = f"taper-parallel-write {arguments.writers}\nmax-dle-by-volume 1"
            dumptype_lines = '    property "headrace-holdingdisk" "degraded"\n'
        with labs.Lab(auth=arguments.auth, program=arguments.program, index=arguments.index == "yes",
                      client=arguments.client, client_style=arguments.client_style,
                      global_lines=global_lines, dumptype_lines=dumptype_lines) as lab:
            Row(lab, arguments).run()
    except Failure as failure:
        print(f"FAILED: {failure}")
        return 1
    print("passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
