"""The machine of the isolation benches: one link, three large dumps through one client, receivers that can be stopped.

A Rig is the interop tests' Lab (a machine of its own in namespaces) with

- a link: lo with MTU 9000 behind HTB of 1 Gbit/s; the packets of one dump's DATA can be given a class of 5 MB/s,
- trees and holding disk on one tmpfs: /data1 to /data3 are made of 20 MB files that are bind mounts of forty, and what the
  holding files have taken is punched out again behind the newest bytes, so that 24 GB pass through 1 GB of memory,
- the real amdump of Debian's 3.5.1 as the server: one dumper process a dump, so that one receiver can be stopped,
- any client program: see CLIENTS. It and its way (auth) can change while the rig stays up.

Everything that runs is seen in /proc of the rig's own process namespace, and ends with it, by whatever end.
"""
import collections
import ctypes
import glob
import os
import platform
import random
import re
import signal
import stat
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BENCH = os.path.dirname(HERE)
sys.path.insert(0, os.path.join(os.path.dirname(BENCH), "tests/interop"))
os.environ.setdefault("HEADRACE", os.path.join(os.path.dirname(BENCH), "build/release/headrace"))
import compare_trees  # noqa: E402
import lab as labs  # noqa: E402
import tree  # noqa: E402
from lab import CLIENT, CONF, expect, wait_for  # noqa: E402

PLACE = "/media"  # hidden behind the rig's tmpfs in its own mount namespace
CLIENTS = {
    "headrace": "Headrace, one process for everything",
    "headrace-inetd": "Headrace as amandad under xinetd",
    "amanda": "Amanda 3.5.1 as Debian has it",
    "relay": "Amanda 3.5.1 relaying in one event loop, as until 3.4",
}
AUTHS = ("bsd", "bsdudp", "bsdtcp", "local")
DISKS = ("data1", "data2", "data3")
LINK_MBIT, SLOW_SHARE = 1000, 25
KEPT_AT_START, KEPT_AT_END = 1 << 20, 20 << 20
HZ = os.sysconf("SC_CLK_TCK")
FILE_BYTES, BLOCKS = 20_000_000, 40
MS_BIND = 4096
FALLOC_PUNCH = 0x01 | 0x02

libc = ctypes.CDLL(None, use_errno=True)
libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_long]

Process = collections.namedtuple("Process", "name words cpu rss")
CLIENT_ENDS_TARS_S = 5


def processes():
    """{pid: Process} of the rig's namespace, this script and its process 1 left out."""
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) in (1, os.getpid(), os.getppid()):
            continue
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as file:
                line = file.read()
            with open(f"/proc/{entry}/cmdline", "rb") as file:
                words = [word.decode(errors="replace") for word in file.read().split(b"\0")]
        except OSError:
            continue
        fields = line[line.rindex(")") + 2:].split()
        if fields[0] == "Z":
            continue
        found[int(entry)] = Process(line[line.index("(") + 1:line.rindex(")")], words,
                                    (int(fields[11]) + int(fields[12])) / HZ, int(fields[21]) * os.sysconf("SC_PAGE_SIZE"))
    return found


def send(signal_number, *pids):
    for pid in pids:
        try:
            os.kill(pid, signal_number)
        except ProcessLookupError:
            pass


def stop(*pids):
    send(signal.SIGSTOP, *pids)


def go_on(*pids):
    send(signal.SIGCONT, *pids)


def bind(source, target):
    done = libc.mount(source.encode(), target.encode(), None, MS_BIND, None)
    expect(done == 0, f"mount --bind {source} {target}: {os.strerror(ctypes.get_errno())}")


def shell(script, check=True):
    result = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)
    expect(not check or result.returncode == 0, f"{script}: {result.stderr}")
    return result.stdout


def machine():
    with open("/proc/meminfo", encoding="utf-8") as file:
        gib = int(re.search(r"MemTotal:\s+(\d+)", file.read())[1]) / 1048576
    return f"Debian 12, Linux {platform.release()}, {os.cpu_count()} cores, {gib:.0f} GB of memory"


class Link:
    """lo, shaped. Nothing else is on it: it is the namespace's own."""

    def __init__(self, mbit):
        shell(f"""ip link set lo mtu 9000
            tc qdisc add dev lo root handle 1: htb default 10
            tc class add dev lo parent 1: classid 1:10 htb rate {mbit}mbit burst 1500k cburst 1500k
            tc class add dev lo parent 1: classid 1:20 htb rate {mbit // SLOW_SHARE}mbit burst 64k cburst 64k""")

    @staticmethod
    def connection_of(pid):
        """(client's port, receiver's port) of the connection on which a receiver has got most: its DATA."""
        text = shell("ss -tnpiH")
        best = (-1, None)
        for head, rest in re.findall(r"^(\S.*\n)(.*)$", text, re.M):
            if f"pid={pid}," in head:
                local, remote = (int(word.rsplit(":", 1)[1]) for word in head.split()[3:5])
                got = re.search(r"bytes_received:(\d+)", rest)
                best = max(best, (int(got[1]) if got else 0, (remote, local)))
        expect(best[1] is not None, f"process {pid} has no connection from the client")
        return best[1]

    @staticmethod
    def slow_down(client_port, receiver_port):
        shell("tc filter add dev lo parent 1: protocol ip prio 10 u32 match ip protocol 6 0xff "
              f"match ip sport {client_port} 0xffff match ip dport {receiver_port} 0xffff flowid 1:20")

    @staticmethod
    def restore():
        shell("tc filter del dev lo parent 1: prio 10")


class Growth(threading.Thread):
    """Sizes of the holding files, every 40 ms, and the punching behind them."""

    def __init__(self, holding):
        super().__init__(daemon=True)
        self.holding, self.samples, self.ended = holding, [], threading.Event()

    def run(self):
        while not self.ended.wait(0.04):
            self.samples.append((time.monotonic(), self.look()))

    def look(self):
        sizes = {}
        for path in glob.glob(self.holding + "/*/*"):
            disk = re.search(r"_(\w+)\.\d+(?:\.\d+)?(?:\.tmp)?$", path)
            if not disk:
                continue
            try:
                descriptor = os.open(path, os.O_RDWR)
            except FileNotFoundError:
                continue
            size = os.fstat(descriptor).st_size
            sizes[disk[1]] = sizes.get(disk[1], 0) + size
            if disk[1] in DISKS and size > KEPT_AT_START + 2 * KEPT_AT_END:
                libc.fallocate(descriptor, FALLOC_PUNCH, KEPT_AT_START, size - KEPT_AT_END - KEPT_AT_START)
            os.close(descriptor)
        return sizes

    def rates(self, since, until):
        """MB/s of each disk between two times."""
        inside = [sample for sample in self.samples if since <= sample[0] <= until]
        if len(inside) < 2:
            return {disk: 0.0 for disk in DISKS}
        (start, before), (end, after) = inside[0], inside[-1]
        return {disk: round((after.get(disk, 0) - before.get(disk, 0)) / 1e6 / (end - start), 2) for disk in DISKS}

    def measure(self, seconds):
        since = time.monotonic()
        time.sleep(seconds)
        return self.rates(since, time.monotonic())

    def timeline(self, since, bin_seconds=0.2):
        """[[second, MB/s of each disk]] for a plot."""
        line, last = [], None
        for when, sizes in list(self.samples):
            if when < since - bin_seconds or (last and when - last[0] < bin_seconds):
                continue
            if last:
                line.append([round(when - since, 2)] + [round((sizes.get(disk, 0) - last[1].get(disk, 0)) / 1e6 / (when - last[0]), 1)
                                                        for disk in DISKS])
            last = (when, sizes)
        return line


class Rig(labs.Lab):
    """One machine; `play` starts a run with a client, `Run.end` ends it and proves by a restore that dumps are good."""

    def __init__(self, disk_gb=8, link_mbit=LINK_MBIT):
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64g,mode=755", "rig", PLACE], check=True)
        super().__init__(root=PLACE + "/lab", maxdumps=len(DISKS), chunk="100 GB", slots=1, length_mb=100_000, part_mb=0)
        self.kind = "headrace"
        self.disk_gb, self.link_mbit = disk_gb, link_mbit

    def up(self):
        self.fill()
        tree.make_tree(self.path("proof"))
        for disk in (*DISKS, "proof"):
            self.add_disk("/" + disk, self.path(disk))
        super().up()
        self.make_relay()
        self.proof = compare_trees.snapshot(self.path("proof"))
        self.link = Link(self.link_mbit)

    def fill(self):
        """Three trees of `disk_gb` that do not compress. Their files are bind mounts of a few: to tar each is a file of its own,
        with one name and bytes to be read, which hard links in one tree are not."""
        block = os.urandom(FILE_BYTES)
        sources = [self.path("blocks", f"{number:02d}") for number in range(BLOCKS)]
        for number, source in enumerate(sources if self.disk_gb else []):
            os.makedirs(self.path("blocks"), exist_ok=True)
            with open(source, "wb") as file:
                file.write(number.to_bytes(64) + block[64:])
        for disk in DISKS:
            for number in range(self.disk_gb * 1_000_000_000 // FILE_BYTES):
                name = self.path(disk, f"folder {number // 20:02d}", f"file {number:03d}")
                os.makedirs(os.path.dirname(name), exist_ok=True)
                open(name, "wb").close()
                bind(sources[number % BLOCKS], name)

    def fill_with_names(self, name, folders, block):
        """A tree whose dump has much INDEX and MESG beside its DATA: long names, and sockets, of which tar says a line each."""
        source = self.path("blocks", f"for {name}")
        os.makedirs(os.path.dirname(source), exist_ok=True)
        with open(source, "wb") as file:
            file.write(os.urandom(block))
        for number in range(folders):
            folder = self.path(name, f"folder {number:03d}")
            os.makedirs(folder)
            open(f"{folder}/block", "wb").close()
            bind(source, f"{folder}/block")
            for each in range(200):
                os.close(os.open(f"{folder}/{each:03d} {'n' * 180}", os.O_CREAT | os.O_WRONLY, 0o644))
            for each in range(100):
                os.mknod(f"{folder}/{each:03d} {'s' * 180}", 0o600 | stat.S_IFSOCK)

    def make_relay(self):
        library = self.path("bin/noshm.so")
        subprocess.run(["clang-19", "-O", "-shared", "-fPIC", "-o", library, os.path.join(HERE, "noshm.c")], check=True)
        self.write(self.path("bin/amandad-relay"), f'#!/bin/sh\nLD_PRELOAD={library} exec /usr/lib/amanda/amandad "$@"\n')
        os.chmod(self.path("bin/amandad-relay"), 0o755)

    # ---- the client ----------------------------------------------------------------------------------

    def amandad(self):
        return {"relay": self.path("bin/amandad-relay"), "amanda": "/usr/lib/amanda/amandad"}.get(self.kind, self.path("bin/amandad"))

    def client_processes(self):
        """{pid: Process} of the client's own programs; the tars it reads with are left out."""
        names = ("amandad", "headrace", "sendbackup", "xinetd")
        return {pid: process for pid, process in processes().items() if process.name in names and "dump" not in process.words[1:2]}

    # ---- runs ----------------------------------------------------------------------------------------

    def change_to(self, kind, auth):
        """Starts as new, with this client."""
        self.clear()
        self.kind, self.auth = kind, auth
        self.client = "headrace" if kind.startswith("headrace") else "amanda"
        self.client_style = "daemon" if kind == "headrace" else "inetd"
        self.write_config()
        return self.start_client()

    def play(self, kind, auth):
        """As `change_to`; returns when all three dumps are under way."""
        self.change_to(kind, auth)
        return Run(self)

    def clear(self):
        everybody = list(processes())
        go_on(*everybody)
        send(signal.SIGKILL, *everybody)
        for child in self.children:
            child.wait()
        self.children.clear()
        self.listening.clear()
        wait_for(lambda: not processes(), "the last run's processes to end")
        for pattern in ("state/info/*", "state/index/*", "state/log/*", "holding/*", "lib-amanda/gnutar-lists/*", "log-amanda/*",
                        "etc-amanda/lab/command_file*", "restored"):
            for path in glob.glob(self.path(pattern)):
                subprocess.run(["rm", "-rf", path], check=True)
        self.write(self.path("lib-amanda/amandates"), "")
        self.give_to_backup(self.path("lib-amanda"))

    def clear_holding(self):
        subprocess.run(["rm", "-rf", *glob.glob(self.path("holding/*"))], check=True)

    def amdump(self, *disks):
        return self.start(["amdump", CONF, "--no-taper", CLIENT, *(f"^/{disk}$" for disk in disks)], user="backup", log="out/amdump.log")

    def prove(self):
        """One more dump through the same client, to its end, restored and compared; returns what was found."""
        started = time.monotonic()
        run = self.amdump("proof")
        run.wait(120)
        held = [path for path in glob.glob(self.path("holding/*/*")) if re.search(r"_proof\.0$", path)]
        expect(len(held) == 1, f"the last dump is not whole on the holding disk (amdump: exit status {run.returncode}): {held}")
        took = time.monotonic() - started
        os.makedirs(self.path("restored"))
        result = shell(f"dd if={held[0]} bs=32k skip=1 status=none | tar --extract --file - --listed-incremental=/dev/null "
                       f"--numeric-owner --preserve-permissions -C {self.path('restored')} 2>&1", check=False)
        found = compare_trees.differences(self.proof, compare_trees.snapshot(self.path("restored")), ["xattrs"])
        expect(not found, "the restored tree differs:\n" + "\n".join(found[:20]) + result)
        return {"entries": len(self.proof), "amdump_s": round(took, 1)}


class Run:
    """One amdump of the three disks, in full flow."""

    def __init__(self, rig):
        self.rig = rig
        self.growth = Growth(rig.path("holding"))
        started = time.monotonic()
        self.server = rig.amdump(*DISKS)
        self.growth.start()
        wait_for(self.flowing, "three dumps in flow: " + rig.read("out/amdump.log")[-500:], 90)
        self.began_after = round(next(when for when, sizes in self.growth.samples if any(sizes.values())) - started, 1)
        self.receiver, self.tar = {}, {}
        self.find_processes()

    def flowing(self):
        expect(self.server.poll() is None, "amdump ended before its dumps were under way: " + self.rig.read("out/amdump.log")[-500:])
        sizes = self.growth.samples[-1][1] if self.growth.samples else {}
        return all(sizes.get(disk, 0) > 30e6 for disk in DISKS)

    def find_processes(self):
        for pid, process in processes().items():
            if process.name == "dumper":
                for path in glob.glob(f"/proc/{pid}/fd/*"):
                    try:
                        disk = re.search(r"_(data\d)\.\d+\.\d+\.errout", os.readlink(path))
                    except OSError:
                        continue
                    if disk:
                        self.receiver[disk[1]] = pid
            if process.name in ("tar", "real-tar") and "--create" in process.words:
                disk = [word for word in process.words if re.search(r"/data\d$", word)]
                if disk:
                    self.tar[os.path.basename(disk[0])] = pid
        expect(sorted(self.receiver) == sorted(self.tar) == list(DISKS), f"dumpers {self.receiver}, tars {self.tar}")

    def client_cpu(self):
        return {pid: process.cpu for pid, process in self.rig.client_processes().items()}

    def client_memory(self):
        return sum(process.rss for process in self.rig.client_processes().values())

    def end(self):
        """Ends the three dumps as a dying server would; the client stays, and makes one more dump that is restored."""
        self.growth.ended.set()
        self.growth.join()
        mine = set(self.rig.client_processes()) | set(self.tar.values())
        others = [pid for pid in processes() if pid not in mine]
        go_on(*others, *self.tar.values())
        send(signal.SIGKILL, *others)
        self.server.wait()
        ended = self.wait_for_tars(CLIENT_ENDS_TARS_S)
        expect(ended is not None or self.rig.client == "amanda",
               f"the client's tars still run {CLIENT_ENDS_TARS_S} s after the server died")
        if ended is None:
            # Seen of 3.5.1 under bsdtcp: it reads on to the end of the disk and throws the bytes away.
            programs = [pid for pid, process in self.rig.client_processes().items() if process.name != "xinetd"]
            send(signal.SIGKILL, *self.tar.values(), *programs)
        self.rig.clear_holding()
        return {"tars_ended_s": ended, **self.rig.prove()}

    def wait_for_tars(self, seconds):
        """How long it took the client to end its tars, or None."""
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            if not any(os.path.exists(f"/proc/{pid}") for pid in self.tar.values()):
                return round(time.monotonic() - began, 1)
            time.sleep(0.05)
        return None


def take_turns(pids, share, seconds, period=0.1):
    """Lets processes run only for a share of each period: receivers that are slow, not dead."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        stop(*pids)
        time.sleep(period * (1 - share))
        go_on(*pids)
        time.sleep(period * share)


def pause_at_random(pids, mean, share, seconds):
    """Lets each process run and stand still in turn, by exponentially distributed times, the same in every run:
    standing for `mean` seconds at a time, running for `share` of the time. All run again when `finish`, which is
    returned, has been called."""
    over = threading.Event()
    until = time.monotonic() + seconds

    def one(pid, seed):
        chance = random.Random(seed)
        while time.monotonic() < until and not over.wait(chance.expovariate(1 / (mean * share / (1 - share)))):
            stop(pid)
            over.wait(min(chance.expovariate(1 / mean), 3 * mean))
            go_on(pid)

    threads = [threading.Thread(target=one, args=(pid, 7 + number), daemon=True) for number, pid in enumerate(pids)]
    for thread in threads:
        thread.start()

    def finish():
        over.set()
        for thread in threads:
            thread.join()

    return finish
