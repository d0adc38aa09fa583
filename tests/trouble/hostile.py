#!/usr/bin/env python3
"""Peers that misbehave on purpose, beside a dump that has to come out as if they were not there.

  hostile.py NAME | --list       HEADRACE names the program; HEADRACE_KEEP=1 keeps the files

Two kinds: a hostile server towards our client, in the one process that carries another server's dump
half way; and a hostile client towards our server, in a run that dumps an honest client too. Expected of
each: memory stays within a bound, the trouble ends by itself, the other dump is good and restores equal.
"""
import os
import re
import socket
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "interop")]
import frames  # noqa: E402
import scenarios  # noqa: E402
import slow_tar  # noqa: E402
import tree  # noqa: E402
from frames import ACK, MAX_FRAME, NAK, REP, REQ, frame, packet  # noqa: E402
from lab import CLIENT_ADDRESS, PORT, SERVER, SERVER_ADDRESS, expect, wait_for  # noqa: E402
from scenarios import FAILED, tars_of  # noqa: E402

SCENARIOS = {}
PEERS = 6                # of a kind at the same time
CLIENT_MB = 96           # what the client's process may take at its worst
SERVER_MB = 160
QUICK = "ctimeout 5\netimeout 8\ndtimeout 4\nreq-tries 1"


def scenario(**settings):
    def register(function):
        SCENARIOS[function.__name__] = (function, settings)
        return function
    return register


# ---- a hostile server ------------------------------------------------------------------------------


def memory_mb(pid, field):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return int(re.search(rf"{field}:\s+(\d+)", file.read())[1]) / 1024


def beside_a_dump(night, misbehave, seconds=4.0):
    """`misbehave(number)` in threads of its own while a dump is half way; then that dump goes on."""
    night.disk("busy", 8)
    prey = night.lab.path("prey")
    os.makedirs(prey)
    for number in range(4):
        tree.write(f"{prey}/{number}", tree.pattern(16 << 20, number))
    night.up()
    slow_tar.set_mode(night.lab, "hold disks/busy")
    run = night.start_dump()
    faults = []

    def one(number):
        try:
            misbehave(number, prey)
        except Exception as fault:  # pylint: disable=broad-except  # told below, by the thread that may fail
            faults.append(f"{type(fault).__name__}: {fault}")

    threads = [threading.Thread(target=one, args=(number,), daemon=True) for number in range(PEERS)]
    for thread in threads:
        thread.start()
    began = time.monotonic()
    while time.monotonic() - began < seconds and any(thread.is_alive() for thread in threads):
        expect(night.client.poll() is None, "the client died:\n" + night.lab.read("out/client.log"))
        time.sleep(0.1)
    before = time.monotonic()
    slow_tar.let_go(night.lab)
    status = night.end_of(run)
    print(f"the dump went on and ended {time.monotonic() - before:.1f} s later; the client's peak is "
          f"{memory_mb(night.client.pid, 'VmHWM'):.0f} MB")
    expect(status == 0, f"exit status {status}\n{night.report()}")
    night.expect_restored("busy")
    night.expect_client_alive(memory_mb=CLIENT_MB)
    for thread in threads:
        thread.join(30)
    expect(not any(thread.is_alive() for thread in threads), "a misbehaving peer was not done with")
    expect(not faults, f"peers could not even misbehave: {faults[:3]}")
    wait_for(lambda: not tars_of("prey"), "the archivers of those who went away to end", 30)
    night.expect_client_alive(memory_mb=CLIENT_MB)
    # It still serves.
    night.expect_good_run("busy", level=1)


def begin(number, prey):
    wire = frames.connect(CLIENT_ADDRESS, PORT, SERVER_ADDRESS)
    return wire, frames.begin_dump(wire, f"/prey{number}", prey, f"2026112301291{number}")


@scenario()
def never_reads(night):
    """Opens the streams of a dump and never reads a byte of them."""
    def misbehave(number, prey):
        wire, _ = begin(number, prey)
        time.sleep(6)
        wire.close()
    beside_a_dump(night, misbehave)


@scenario()
def reads_a_byte_a_second(night):
    """Takes a dump byte by byte, one a second."""
    def misbehave(number, prey):
        wire, _ = begin(number, prey)
        for _ in range(6):
            wire.take(1)
            time.sleep(1)
        wire.close()
    beside_a_dump(night, misbehave)


@scenario()
def resets_in_the_middle_of_a_frame(night):
    """Reads half a frame, or sends half of one, and resets the connection; again and again."""
    def misbehave(number, prey):
        for _ in range(10):
            wire, streams = begin(number, prey)
            wire.take(5000)
            wire.send(frame(streams["MESG"], b"x" * 1000)[:7 + 100 * number])
            wire.reset()
            wait_for(lambda: not tars_of(f"/prey{number} "), "the archiver to end")
    beside_a_dump(night, misbehave, seconds=10)


@scenario()
def empty_frames(night):
    """Ends of streams and conversations that exist, and of half a million that do not."""
    def misbehave(number, prey):
        wire, streams = begin(number, prey)
        flood = b"".join(frame(handle) for handle in range(0, 1_000_000, 20))
        done = threading.Event()
        reader = threading.Thread(target=swallow, args=(wire, done), daemon=True)
        reader.start()
        try:
            for _ in range(10):
                wire.send(flood + b"".join(frame(handle) for handle in streams.values()))
        except OSError:
            pass  # it may have had enough
        done.set()
        wire.close()
    beside_a_dump(night, misbehave)


@scenario()
def maximal_frames(night):
    """Frames as long as they may be, on every kind of handle, and one byte longer."""
    def misbehave(number, prey):
        wire, streams = begin(number, prey)
        done = threading.Event()
        threading.Thread(target=swallow, args=(wire, done), daemon=True).start()
        most = b"\0" * MAX_FRAME
        try:
            for handle in (*streams.values(), 7, 123456, 499000):
                wire.send(frame(handle, most))
            for handle in range(10, 60):
                wire.send(frame(handle, b"\0SECURITY USER root\nSERVICE noop\nOPTIONS ;\n" + b"x" * (MAX_FRAME - 100)))
            wire.send((MAX_FRAME + 1).to_bytes(4, "big") + b"\0\0\0\1" + most)
        except OSError:
            pass  # it may have had enough
        done.set()
        wire.close()
    beside_a_dump(night, misbehave, seconds=20)


@scenario()
def half_a_header(night):
    """Hundreds of connections that send three bytes and nothing more."""
    def misbehave(number, prey):
        del prey
        held = []
        for _ in range(60):
            connection = socket.create_connection((CLIENT_ADDRESS, PORT))
            connection.sendall(b"\0\0\1"[:1 + number % 3])
            held.append(connection)
        time.sleep(6)
        for connection in held:
            connection.close()
    beside_a_dump(night, misbehave)


@scenario()
def requests_without_end(night):
    """Requests and requests, and not one reply is read or acknowledged."""
    def misbehave(number, prey):
        wire = frames.connect(CLIENT_ADDRESS, PORT, SERVER_ADDRESS)
        wire.socket.settimeout(1)
        size = frames.request("sendsize", frames.dle(f"/prey{number}", prey))
        try:
            for handle in range(1, 9000):
                wire.send(packet(handle, REQ, size if handle % 10 == 0 else frames.request("noop")))
        except OSError:
            pass  # it reads no more
        time.sleep(3)
        wire.close()
    beside_a_dump(night, misbehave)


@scenario()
def strangers_on_a_port_of_their_own(night):
    """Whoever comes from an unreserved port is refused, however long the request."""
    def misbehave(number, prey):
        for _ in range(20):
            wire = frames.Wire(socket.create_connection((CLIENT_ADDRESS, PORT)))
            wire.send(packet(1, REQ, frames.request("sendbackup", frames.dle(f"/prey{number}", prey))))
            _, kind, text = wire.next_packet(REP, NAK)
            expect(kind == NAK and "not secure" in text, text)
            wire.close()
            wire = frames.Wire(socket.create_connection((CLIENT_ADDRESS, PORT)))
            try:
                wire.send(packet(1, REQ, "x" * 1_000_000))
                expect(not wire.socket.recv(1), "a stranger's endless request is answered")
            except OSError:
                pass  # it was cut off in the middle
            wire.close()
    beside_a_dump(night, misbehave)


def swallow(wire, done):
    try:
        while not done.is_set():
            if not wire.socket.recv(65536):
                return
    except OSError:
        pass


# ---- a hostile client ------------------------------------------------------------------------------


class HostileClient:
    """Answers as a client should until the dump is to flow; then does what the scenario says."""

    def __init__(self, size_kib, behave):
        self.size_kib, self.behave = size_kib, behave
        self.server = socket.create_server((CLIENT_ADDRESS, PORT))
        self.dumps = 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            connection, _ = self.server.accept()
            threading.Thread(target=self.serve, args=(frames.Wire(connection, 120),), daemon=True).start()

    def serve(self, wire):
        try:
            while True:
                handle, _, text = wire.next_packet(REQ)
                self.answer(wire, handle, text)
        except (EOFError, OSError):
            wire.close()

    def answer(self, wire, handle, text):
        options = f"OPTIONS features={frames.FEATURES};\n"
        wire.send(packet(handle, ACK))
        if "SERVICE sendsize" in text:
            sizes = "".join(f"{disk} 0 SIZE {self.size_kib}\n" for disk in re.findall("<disk>(.*?)</disk>", text))
            wire.send(packet(handle, REP, options + sizes))
        elif "SERVICE sendbackup" in text:
            self.dumps += 1
            wire.send(packet(handle, REP, "CONNECT DATA 499999 MESG 499998 INDEX 499997 STATE 499996\n" + options))
            wire.next_packet(ACK)
            wire.send(frame(handle))
            self.behave(wire)
        else:
            wire.send(packet(handle, REP, options))


DATA, MESG, INDEX, STATE = 499999, 499998, 499997, 499996
DESCRIPTION = frame(MESG, b"sendbackup: start [client.lab:/hostile level 0]\nsendbackup: info BACKUP=/bin/tar\n"
                    b"sendbackup: info RECOVER_CMD=/bin/tar -xpGf - ...\nsendbackup: info end\n")


def beside_an_honest_client(night, behave, says, size_kib=1000, seconds=60):
    """A run with the hostile client's disk and an honest client's; the report must say `says` of the former."""
    night.lab.add_disk("/hostile", "/hostile")
    night.disk("honest", 8, host=SERVER)
    night.lab.up()
    slow_tar.install(night.lab)
    night.lab.start_client(SERVER)
    hostile = HostileClient(size_kib, behave)
    run = night.lab.start(night.command(), log="out/dump.log")
    began, peak = time.monotonic(), 0
    while run.poll() is None:
        expect(time.monotonic() - began < seconds, f"the run still goes on after {seconds} s:\n" + night.lab.read("out/dump.log"))
        try:
            peak = max(peak, memory_mb(run.pid, "VmHWM"))
        except (OSError, TypeError):
            pass  # it has just ended
        time.sleep(0.05)
    print(f"the run took {time.monotonic() - began:.1f} s, its peak is {peak:.0f} MB, {hostile.dumps} dumps asked for")
    expect(hostile.dumps > 0, "no dump was asked for:\n" + night.lab.read("out/dump.log"))
    expect(run.returncode & FAILED, f"exit status {run.returncode}\n{night.report()}")
    expect(peak < SERVER_MB, f"the server took {peak:.0f} MB")
    night.expect_results(honest="SUCCESS", hostile="FAIL")
    night.expect_report(says, "what was wrong with the hostile client")
    night.expect_restored("honest")
    left = [name for _, _, names in os.walk(night.lab.path("holding")) for name in names if "hostile" in name]
    expect(not left, f"on the holding disk: {left}")


def send_for_ever(wire, data):
    while True:
        wire.send(data)


@scenario(global_lines=QUICK)
def messages_without_end(night):
    """MESG lines as fast as they go, for ever."""
    lines = frame(MESG, b"? /bin/tar: ./x: nothing of interest\n" * 800)

    def behave(wire):
        wire.send(DESCRIPTION)
        send_for_ever(wire, lines)
    beside_an_honest_client(night, behave, r"/hostile.*messages without end", seconds=150)


@scenario(global_lines=QUICK)
def a_line_without_end(night):
    """One message that never comes to its newline."""
    beside_an_honest_client(night, lambda wire: send_for_ever(wire, frame(MESG, b"x" * 32768)), r"/hostile.*a line of more than")


@scenario(global_lines=QUICK)
def an_index_line_without_end(night):
    """One name in the index that never ends, while the dump itself stands still."""
    def behave(wire):
        wire.send(DESCRIPTION + frame(DATA, b"d" * 1000))
        send_for_ever(wire, frame(INDEX, b"/" + b"n" * 32000))
    beside_an_honest_client(night, behave, r"/hostile.*")


@scenario(global_lines=QUICK, holding_mb=64, length_mb=60, part_mb=8)
def data_without_end(night):
    """Says 1 MB and sends without end: holding disk and volume have an end."""
    def behave(wire):
        wire.send(DESCRIPTION)
        send_for_ever(wire, frame(DATA, b"d" * 32768))
    beside_an_honest_client(night, behave, r"/hostile.*(full|room|volume|space)")


@scenario(global_lines=QUICK)
def resets_in_its_data(night):
    """Resets the connection in the middle of a frame of DATA."""
    def behave(wire):
        wire.send(DESCRIPTION + frame(DATA, b"d" * 30000) + frame(DATA, b"d" * 30000)[:12345])
        wire.reset()
    beside_an_honest_client(night, behave, r"/hostile.*(reset|closed)")


@scenario(global_lines=QUICK)
def falls_silent_in_a_header(night):
    """Half a header of a frame, and then nothing."""
    def behave(wire):
        wire.send(DESCRIPTION + frame(DATA, b"d" * 30000)[:5])
        time.sleep(60)
    beside_an_honest_client(night, behave, r"/hostile.*(dtimeout|nothing)")


@scenario(global_lines=QUICK)
def names_programs_of_its_own(night):
    """Says that its dump is to be decoded by a program nobody configured."""
    def behave(wire):
        lines = (b"sendbackup: start [client.lab:/hostile level 0]\nsendbackup: info BACKUP=/bin/tar\n"
                 b"sendbackup: info CLIENT_ENCRYPT=/usr/bin/python3\nsendbackup: info end\n")
        wire.send(frame(MESG, lines))
        time.sleep(60)
    beside_an_honest_client(night, behave, r"/hostile.*/usr/bin/python3")


if __name__ == "__main__":
    sys.exit(scenarios.main(SCENARIOS, __doc__))
