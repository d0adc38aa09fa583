#!/usr/bin/env python3
"""Whole programs in trouble: each scenario does something bad and says what has to come of it.

  scenarios.py NAME | --list       HEADRACE names the program; HEADRACE_KEEP=1 keeps the files

What is expected of all: the trouble ends the smallest thing it can, the report says it in a sentence,
and volumes, catalog and the client's state stay true, so that the next run works.
"""
import glob
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "interop")]
import compare_trees  # noqa: E402
import lab as labs  # noqa: E402
import slow_tar  # noqa: E402
import tree  # noqa: E402
from lab import CLIENT, CLIENT_ADDRESS, CONF, PORT, SERVER, SERVER_ADDRESS, Failure, expect, wait_for  # noqa: E402

FAILED, MISSING, VOLUME = 4, 8, 16     # bits of a run's exit status
QUICK = "ctimeout 3\netimeout 3\ndtimeout 3\nreq-tries 1"
SCENARIOS = {}


def registering(scenarios):
    """The decorator that adds a scenario to such a table, with the settings of its lab."""
    def scenario(**settings):
        def register(function):
            scenarios[function.__name__] = (function, settings)
            return function
        return register
    return scenario


scenario = registering(SCENARIOS)


class Night:
    """A lab with Headrace at both ends, and the questions that scenarios ask."""

    def __init__(self, lab):
        self.lab = lab
        self.client = None
        self.hosts = {}

    def disk(self, name, megabytes=2, files=3, host=CLIENT, lines=""):
        """A disk `name` with its tree at disks/NAME, bytes that do not compress."""
        root = self.lab.path("disks", name)
        os.makedirs(root)
        for number in range(files):
            tree.write(f"{root}/file {number}", tree.pattern(megabytes * 1024 * 1024 // files, number + hash_of(name)))
        self.lab.add_disk(f"/{name}", root, lines, host=host)
        self.hosts[name] = host
        return root

    def up(self):
        self.lab.up()
        slow_tar.install(self.lab)
        self.client = self.lab.start_client()

    def command(self):
        return [self.lab.path("bin/headrace"), "dump", CONF]

    def dump(self, seconds=90):
        """A whole run; its exit status."""
        result = self.lab.run(self.command(), status=None, seconds=seconds)
        expect(0 <= result.returncode < 64, f"headrace dump ended with {result.returncode}:\n{text_of(result)}")
        return result.returncode

    def start_dump(self):
        child = self.lab.start(self.command(), log="out/dump.log")
        wait_for(lambda: slow_tar.held(self.lab) or child.poll() is not None, "the archiver to be half way", 30)
        expect(child.poll() is None, "the run ended early:\n" + self.lab.read("out/dump.log"))
        return child

    def end_of(self, child, seconds=60):
        try:
            return child.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f"the run still goes on after {seconds} s:\n" + self.lab.read("out/dump.log")) from None

    def report(self):
        return text_of(self.lab.headrace("report", CONF, status=None))

    def expect_report(self, pattern, what):
        report = self.report()
        expect(re.search(pattern, report, re.I | re.S), f"the report does not say {what}:\n{report}")

    def results(self):
        """{disk: (result, level)} of the newest run; the last word on each disk."""
        return {disk: (result, level) for result, disk, _, level in self.lab.dumper_lines()}

    def expect_results(self, **wanted):
        got = {disk.strip("/"): result for disk, (result, _) in self.results().items()}
        expect(all(got.get(disk) == result for disk, result in wanted.items()), f"wanted {wanted}, the run log has {got}")

    def expect_restored(self, name):
        to = self.lab.path(f"restored-{name}-{time.monotonic_ns()}")
        os.makedirs(to)
        self.lab.headrace("restore", CONF, self.hosts[name], f"/{name}", "--to", to)
        found = compare_trees.differences(compare_trees.snapshot(self.lab.path("disks", name)), compare_trees.snapshot(to), ["xattrs"])
        expect(not found, f"{name} restored differs:\n" + "\n".join(found[:20]))

    def expect_good_run(self, *names, level=0):
        status = self.dump()
        expect(status == 0, f"the next run should be good, its exit status is {status}\n{self.report()}")
        for name in names:
            expect(self.results().get(f"/{name}") == ("SUCCESS", level), f"{name}: {self.results()}")
            self.expect_restored(name)

    def snapshots_kept(self):
        """Level files of the client's listed-incremental state, without those under way."""
        return sorted(os.path.basename(path) for path in glob.glob(self.lab.path("lib-amanda/gnutar-lists/*")) if not path.endswith(".new"))

    def expect_client_alive(self, memory_mb=64):
        expect(self.client.poll() is None, f"the client died ({self.client.returncode}):\n" + self.lab.read("out/client.log"))
        with open(f"/proc/{self.client.pid}/status", encoding="utf-8") as file:
            peak_mb = int(re.search(r"VmHWM:\s+(\d+)", file.read())[1]) / 1024
        expect(peak_mb < memory_mb, f"the client took {peak_mb:.0f} MB")

    def volume_of(self, name):
        files = [path for path in glob.glob(self.lab.path("vtapes/slot*/0*")) if f"._{name}." in path]
        expect(files, f"no file of {name} on the volumes")
        return sorted(files)


def hash_of(name):
    return sum(name.encode())


def text_of(result):
    return (result.stdout + result.stderr).decode(errors="replace")


# ---- clients ---------------------------------------------------------------------------------------


@scenario(global_lines=QUICK)
def client_down(night):
    """One client does not answer; the other one's dump is made."""
    night.disk("there")
    night.disk("away", host=SERVER)
    night.up()
    status = night.dump()
    expect(status & FAILED, f"exit status {status}")
    night.expect_results(there="SUCCESS")
    night.expect_report(rf"{re.escape(SERVER)}.*(refused|not listening|cannot connect|down)", "that the client cannot be reached")
    night.expect_restored("there")
    night.lab.start_client(SERVER)
    night.expect_good_run("away")


@scenario(client="none", global_lines=QUICK)
def client_silent(night):
    """A client that takes connections and never says a word: the deadline ends it."""
    night.disk("quiet")
    night.up()
    taken = []
    server = socket.create_server((CLIENT_ADDRESS, PORT))
    threading.Thread(target=lambda: [taken.append(server.accept()) for _ in range(1000)], daemon=True).start()
    started = time.monotonic()
    status = night.dump(seconds=120)
    expect(taken, "nobody connected")
    expect(status & FAILED, f"exit status {status}")
    expect(time.monotonic() - started < 90, "the deadline came too late")
    night.expect_report(r"/quiet.*(no answer|timed? ?out|did not answer|silent|deadline)", "that the client did not answer")


@scenario(global_lines=QUICK)
def client_goes_silent(night):
    """A client that stops in the middle of a dump: dtimeout ends that dump, the other one is made."""
    night.disk("stuck", 8)
    night.disk("other", host=SERVER)
    night.up()
    night.lab.start_client(SERVER)
    slow_tar.set_mode(night.lab, "hold disks/stuck")
    run = night.start_dump()
    night.client.send_signal(signal.SIGSTOP)
    status = night.end_of(run)
    night.client.send_signal(signal.SIGCONT)
    expect(status & FAILED, f"exit status {status}")
    night.expect_results(other="SUCCESS", stuck="FAIL")
    night.expect_report(r"/stuck.*(dtimeout|no data|timed? ?out|silent|seconds)", "that the dump fell silent")
    expect(night.snapshots_kept() == [name for name in night.snapshots_kept() if "stuck" not in name], "the failed dump counted")
    slow_tar.set_mode(night.lab, "")
    night.expect_good_run("stuck")


@scenario(global_lines=QUICK)
def client_killed(night):
    """kill -9 of the client in the middle: its dump fails, nothing of it counts, the next run works."""
    night.disk("cut", 8)
    night.disk("other", host=SERVER)
    night.up()
    night.lab.start_client(SERVER)
    slow_tar.set_mode(night.lab, "hold disks/cut")
    run = night.start_dump()
    night.client.kill()
    night.client.wait()
    slow_tar.set_mode(night.lab, "")
    status = night.end_of(run)
    expect(status & FAILED, f"exit status {status}")
    night.expect_results(other="SUCCESS", cut="FAIL")
    night.expect_report(r"/cut.*(closed|reset|gone|refused|lost)", "that the connection was lost")
    expect(not any("cut" in name for name in night.snapshots_kept()), f"the cut dump counted: {night.snapshots_kept()}")
    night.client = night.lab.start_client()
    night.expect_good_run("cut")


@scenario(auth="ssh", global_lines=QUICK)
def ssh_refuses(night):
    """ssh does not let us in: the operator reads what ssh said, and the next run works once it does."""
    night.disk("locked")
    night.up()
    keys = night.lab.path("system/ssh/authorized_keys")
    os.rename(keys, keys + ".away")
    check = night.lab.headrace("check", CONF, status=1)
    expect("Permission denied (publickey)" in text_of(check), f"headrace check: {text_of(check)}")
    expect(night.dump() & FAILED, "a client that lets nobody in was dumped")
    night.expect_report(r"/locked.*Permission denied \(publickey\).*authorized_keys", "what ssh said and what to do")
    os.rename(keys + ".away", keys)
    known = night.lab.path("system/etc-ssh/ssh_known_hosts")
    os.rename(known, known + ".away")
    expect(night.dump() & FAILED, "a host nobody knows was dumped")
    night.expect_report(r"/locked.*Host key verification failed.*known_hosts", "what ssh said and what to do")
    os.rename(known + ".away", known)
    night.expect_good_run("locked")


@scenario(auth="ssh")
def ssh_breaks(night):
    """The ssh session ends in the middle of a dump: the archiver ends with it, and the dump is made again."""
    night.disk("cut", 8)
    night.disk("other")
    night.up()
    slow_tar.set_mode(night.lab, "hold disks/cut")
    run = night.start_dump()
    slow_tar.set_mode(night.lab, "")
    sessions = [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if "sshd: root" in title_of(pid)]
    expect(sessions, "there is no ssh session")
    for pid in sessions:
        os.kill(pid, signal.SIGKILL)
    status = night.end_of(run)
    expect(status == 0, f"exit status {status}\n{night.report()}")
    night.expect_results(cut="SUCCESS", other="SUCCESS")
    for name in ("cut", "other"):
        night.expect_restored(name)


def title_of(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


@scenario(global_lines="dtimeout 20")
def hostile_bytes(night):
    """Garbage on the client's port while a dump goes on: the dump does not notice."""
    night.disk("busy", 8)
    night.up()
    slow_tar.set_mode(night.lab, "hold disks/busy")
    run = night.start_dump()
    for bytes_sent in hostile_inputs():
        for source_port in (None, 900):
            send_to_client(bytes_sent, source_port)
    idle = [socket.create_connection((CLIENT_ADDRESS, PORT)) for _ in range(200)]
    night.expect_client_alive()
    slow_tar.let_go(night.lab)
    status = night.end_of(run)
    for connection in idle:
        connection.close()
    expect(status == 0, f"exit status {status}\n{night.report()}")
    night.expect_client_alive()
    night.expect_restored("busy")


def hostile_inputs():
    def frame(handle, payload):
        return len(payload).to_bytes(4, "big") + handle.to_bytes(4, "big") + payload
    good_start = b"\0SECURITY USER backup\nSERVICE noop\nOPTIONS features=ffffffff9efefbfffffffffffffff3fffbf71f;\n\0"
    yield b"GET / HTTP/1.1\r\nHost: client\r\n\r\n"
    yield b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(600)
    yield bytes(range(256)) * 300
    yield b"\xff" * 4096
    yield (0x7FFFFFFF).to_bytes(4, "big") + (1).to_bytes(4, "big") + b"x" * 100_000
    yield (64 << 20).to_bytes(4, "big") + (1).to_bytes(4, "big") + b"x" * 1_000_000
    yield frame(1, b"\0" + b"A" * 3_000_000 + b"\0")
    yield frame(1, good_start[:-40])
    yield b"".join(frame(number, good_start) for number in range(1, 3000))
    yield frame(1, b"\0SECURITY USER backup\nSERVICE sendbackup\nOPTIONS features=zz;\n<dle><disk>" + b"<dle>" * 5000 + b"\0")
    yield frame(1, b"\0SECURITY USER backup\nSERVICE ../../bin/sh\nOPTIONS ;\n\0")
    yield frame(499_999, b"data of a stream that nobody opened")
    yield frame(1, b"\x09what type is this\0") + frame(1, b"") + frame(2, b"\0")
    yield b"\0\0\0\1"


def send_to_client(content, source_port):
    source = (CLIENT_ADDRESS, source_port) if source_port else None
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if source:
        # RST at close, so that the port is free for the next one.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.bind(source)
    connection.settimeout(2)
    try:
        connection.connect((CLIENT_ADDRESS, PORT))
        connection.sendall(content)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass
    except OSError:
        pass  # refused, reset, or no answer to nonsense: all are fine
    finally:
        connection.close()


# ---- disks -------------------------------------------------------------------------------------------


@scenario()
def tar_exits_2(night):
    """The archiver fails: the dump fails, is tried once more, and the client's state does not advance."""
    night.disk("locked")
    night.disk("open")
    night.up()
    slow_tar.set_mode(night.lab, "exit2 disks/locked")
    status = night.dump()
    expect(status & FAILED, f"exit status {status}")
    night.expect_results(locked="FAIL", open="SUCCESS")
    tries = [line for line in night.lab.dumper_lines() if line[1] == "/locked"]
    expect(len(tries) == 2, f"a failed dump is tried once more: {tries}")
    night.expect_report(r"/locked.*(exit|status|tar).*Cannot open: Permission denied", "why tar failed")
    expect(not any("locked" in name for name in night.snapshots_kept()), f"the failed dump counted: {night.snapshots_kept()}")
    expect(not [path for path in glob.glob(night.lab.path("vtapes/slot*/0*")) if "_locked" in path], "a failed dump is on a volume")
    slow_tar.set_mode(night.lab, "")
    night.expect_good_run("locked")


@scenario()
def disk_does_not_exist(night):
    """A disk that is not there: check and dump both say so; the others are dumped."""
    night.disk("there")
    night.lab.add_disk("/nowhere", "/no/such/directory")
    night.up()
    check = night.lab.headrace("check", CONF, status=1)
    expect("/no/such/directory" in text_of(check), f"headrace check: {text_of(check)}")
    status = night.dump()
    expect(status & FAILED, f"exit status {status}")
    night.expect_results(there="SUCCESS")
    night.expect_report(r"/nowhere.*(no such|exist|cannot)", "that the disk is not there")


@scenario()
def disk_vanishes(night):
    """A disk that is removed while it is read."""
    root = night.disk("melting", 12, 6)
    night.disk("solid")
    night.up()
    slow_tar.set_mode(night.lab, "hold disks/melting")
    run = night.start_dump()
    os.rename(root, root + ".gone")
    for name in os.listdir(root + ".gone"):
        os.remove(f"{root}.gone/{name}")
    slow_tar.let_go(night.lab)
    status = night.end_of(run)
    expect(status != 0, "a dump of a vanishing disk cannot be without remark")
    night.expect_results(solid="SUCCESS")
    night.expect_report(r"/melting", "what happened to the disk")
    night.expect_restored("solid")


# ---- holding disk and volumes ------------------------------------------------------------------------


@scenario(holding_mb=24, chunk="4 MB", length_mb=200)
def holding_disk_full(night):
    """More than the holding disk has room for: everything gets to the volume all the same."""
    for name in ("one", "two", "three"):
        night.disk(name, 14)
    night.disk("larger", 40)
    night.up()
    status = night.dump()
    expect(status == 0, f"exit status {status}\n{night.report()}")
    for name in ("one", "two", "three", "larger"):
        night.expect_restored(name)


@scenario(length_mb=20, part_mb=4, slots=6, global_lines="runtapes 5")
def volume_full_goes_on_with_the_next(night):
    """A dump that is larger than a volume goes on with the next one."""
    night.disk("long", 50)
    night.up()
    status = night.dump()
    expect(status == 0, f"exit status {status}\n{night.report()}")
    labels = {os.path.dirname(path) for path in night.volume_of("long")}
    expect(len(labels) >= 3, f"volumes used: {labels}")
    night.expect_restored("long")
    night.lab.run(["amcheckdump", CONF], user="backup", stdin=b"\n" * 20)


@scenario(length_mb=20, part_mb=4, slots=6, maxdumps=1, global_lines="runtapes 1\nautoflush yes")
def volumes_used_up(night):
    """No further volume tonight: the dump waits on the holding disk, restorable, and is written by the next run."""
    night.disk("short", 4, lines="priority high")
    night.disk("long", 18)  # fits a volume, but not beside the other
    night.up()
    status = night.dump()
    expect(status & VOLUME, f"exit status {status}\n{night.report()}")
    night.expect_results(short="SUCCESS", long="SUCCESS")
    night.expect_report(r"/long|holding", "what is left on the holding disk")
    night.expect_restored("long")
    held = glob.glob(night.lab.path("holding/*/*long*"))
    expect(held and not any(path.endswith(".tmp") for path in held), f"on the holding disk: {held}")


@scenario(slots=3)
def volume_of_another(night):
    """A volume with somebody else's label is not written; the next blank one is."""
    night.disk("mine")
    night.lab.make_system_files()
    foreign_volume(night.lab, 1, "OTHER-001")
    night.up()
    status = night.dump()
    expect(status == 0, f"exit status {status}\n{night.report()}")
    expect(os.listdir(night.lab.path("vtapes/slot1")) == ["00000.OTHER-001"], "the other's volume was touched")
    night.expect_restored("mine")


@scenario(slots=2)
def no_volume_of_ours(night):
    """Nothing but other people's volumes: nothing is overwritten, dumps stay on the holding disk."""
    night.disk("mine")
    night.lab.make_system_files()
    for slot in (1, 2):
        foreign_volume(night.lab, slot, f"OTHER-00{slot}")
    night.up()
    status = night.dump()
    expect(status & VOLUME, f"exit status {status}\n{night.report()}")
    for slot in (1, 2):
        expect(os.listdir(night.lab.path(f"vtapes/slot{slot}")) == [f"00000.OTHER-00{slot}"], "another's volume was touched")
    night.expect_report(r"volume|tape", "that there was no volume")
    night.expect_restored("mine")
    for path in glob.glob(night.lab.path("vtapes/slot1/*")):
        os.remove(path)
    night.expect_good_run("mine", level=1)


def foreign_volume(lab, slot, label):
    path = lab.path(f"vtapes/slot{slot}/00000.{label}")
    with open(path, "wb") as file:
        file.write(f"AMANDA: TAPESTART DATE 20200101000000 TAPE {label}\n\f\n".encode().ljust(32768, b"\0"))
    lab.give_to_backup(path)


# ---- media that went bad ---------------------------------------------------------------------------


@scenario(part_mb=4)
def bad_media(night):
    """A flipped bit, a cut file, a broken header, a changed label: restore says so and calls nothing good."""
    for name in ("flipped", "cut", "headless", "fine"):
        night.disk(name, 9)
    night.up()
    expect(night.dump() == 0, night.report())
    with open(night.volume_of("flipped")[1], "r+b") as file:
        file.seek(1_000_000)
        byte = file.read(1)[0]
        file.seek(1_000_000)
        file.write(bytes([byte ^ 0x10]))
    os.truncate(night.volume_of("cut")[2], 20_000)
    with open(night.volume_of("headless")[0], "r+b") as file:
        file.write(b"\xff" * 512)
    for name in ("flipped", "cut", "headless"):
        to = night.lab.path(f"damaged-{name}")
        os.makedirs(to)
        result = night.lab.headrace("restore", CONF, CLIENT, f"/{name}", "--to", to, status=None)
        expect(result.returncode == 2, f"{name}: restore ended with {result.returncode}:\n{text_of(result)}")
        expect(f"/{name}" in text_of(result), f"{name}: restore does not say what is damaged:\n{text_of(result)}")
    night.expect_restored("fine")
    slot = os.path.dirname(night.volume_of("fine")[0])
    label = glob.glob(f"{slot}/00000.*")[0]
    os.remove(label)
    foreign_volume(night.lab, int(slot[-1]), "LAB-999")
    to = night.lab.path("relabelled")
    os.makedirs(to)
    result = night.lab.headrace("restore", CONF, CLIENT, "/fine", "--to", to, status=None)
    expect(result.returncode == 2 and "LAB-" in text_of(result), f"a volume with another label: {text_of(result)}")


# ---- datagrams ---------------------------------------------------------------------------------------


STRANGERS = "10.78.0.0/16"  # this machine answers for all of them, and none has a name


def amanda_packet(number, kind="REQ", body="SECURITY USER backup\nSERVICE noop\nOPTIONS features=ff;\n"):
    return f"Amanda 3.5 {kind} HANDLE 000-{number:08x} SEQ {number}\n{body}".encode()


def udp_from(address, port):
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sender.bind((address, port))
    return sender


def flood():
    """Twenty thousand packets of no use, of each kind there is."""
    target = (CLIENT_ADDRESS, PORT)
    whole = amanda_packet(1)
    rubbish = [b"", b"\0" * 1400, b"GET / HTTP/1.1\r\n\r\n", whole[:20], whole[:45], b"Amanda " * 8000, os.urandom(1400)]
    with udp_from(SERVER_ADDRESS, 40000) as unreserved, udp_from(SERVER_ADDRESS, 800) as reserved:
        for number in range(4000):
            unreserved.sendto(rubbish[number % len(rubbish)], target)
            unreserved.sendto(amanda_packet(number), target)                 # from a port that counts for nothing
            reserved.sendto(amanda_packet(number, "REP", "x" * 8000), target)  # of no conversation
    for number in range(4000):
        with udp_from(f"10.78.{number >> 8}.{number & 255}", 700) as stranger:
            stranger.sendto(amanda_packet(number), target)
            stranger.sendto(amanda_packet(number, body="SECURITY USER backup\nSERVICE sendbackup\n" + "x" * 30000), target)


@scenario(auth="bsd", global_lines="ctimeout 20")
def udp_flood(night):
    """Strangers' packets by the thousand, half headers, forged replies: a dump under way is unharmed, others are served."""
    night.disk("calm", 8)
    night.up()
    subprocess.run(["ip", "route", "add", "local", STRANGERS, "dev", "lo"], check=True)
    slow_tar.set_mode(night.lab, "hold disks/calm")
    run = night.start_dump()
    attack = threading.Thread(target=flood)
    attack.start()
    while attack.is_alive():
        # Whoever is known is served all the while.
        night.lab.headrace("check", CONF, "--no-server", seconds=60)
    attack.join()
    slow_tar.let_go(night.lab)
    expect(night.end_of(run) == 0, night.report())
    night.expect_restored("calm")
    night.expect_client_alive()
    said = night.lab.read("out/client.log").count("\n")
    expect(said < 500, f"the client said {said} lines about it")
    with udp_from(SERVER_ADDRESS, 801) as asker:
        asker.settimeout(20)
        asker.sendto(amanda_packet(7), (CLIENT_ADDRESS, PORT))
        expect(b" ACK " in asker.recv(65536), "the client no longer answers")


# ---- kill -9 -----------------------------------------------------------------------------------------


@scenario()
def server_killed(night):
    """kill -9 of the server in the middle: the next run works, says what was incomplete, and loses nothing whole."""
    night.disk("half", 8)
    night.disk("whole")
    night.up()
    slow_tar.set_mode(night.lab, "hold disks/half")
    run = night.start_dump()
    wait_for(lambda: any("whole" in path and not path.endswith(".tmp")
                         for path in glob.glob(night.lab.path("holding/*/*")) + glob.glob(night.lab.path("vtapes/slot*/0*"))),
             "the other dump to be complete")
    run.kill()
    run.wait()
    slow_tar.set_mode(night.lab, "")
    wait_for(lambda: not tars_of("disks/half"), "the client to end its archiver")
    expect(not any("half" in name for name in night.snapshots_kept()), f"the cut dump counted: {night.snapshots_kept()}")
    status = night.dump()
    expect(status == 0, f"exit status {status}\n{night.report()}")
    night.expect_report(r"incomplete|unfinished|left|interrupted|did not finish", "what the killed run left")
    expect(night.results().get("/half") == ("SUCCESS", 0), f"{night.results()}")
    for name in ("half", "whole"):
        night.expect_restored(name)
    expect(not glob.glob(night.lab.path("holding/*/*.tmp")), "unfinished files are still on the holding disk")


def tars_of(text):
    found = []
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            with open(path, "rb") as file:
                words = file.read()
        except OSError:
            continue
        if b"--create" in words and text.encode() in words:
            found.append(path)
    return found


@scenario()
def both_killed(night):
    """Server and client killed together, several times at different moments; then all is well again."""
    night.disk("often", 8)
    night.up()
    for _ in range(3):
        slow_tar.set_mode(night.lab, "hold disks/often")
        run = night.start_dump()
        run.kill()
        night.client.kill()
        run.wait()
        night.client.wait()
        wait_for(lambda: not tars_of("disks/often"), "the archiver to notice")
        night.client = night.lab.start_client()
    slow_tar.set_mode(night.lab, "")
    night.expect_good_run("often")


def main(known, usage):
    if len(sys.argv) != 2 or sys.argv[1] not in {"--list", *known}:
        print(usage)
        return 1
    if sys.argv[1] == "--list":
        print("\n".join(known))
        return 0
    labs.inside()
    function, settings = known[sys.argv[1]]
    try:
        with labs.Lab(**{"client": "headrace", **settings}) as lab:
            function(Night(lab))
    except Failure as failure:
        print(f"FAILED: {failure}")
        return 1
    print("passed")
    return 0


if __name__ == "__main__":
    sys.exit(main(SCENARIOS, __doc__))
