"""A small backup server of the bench: asks a client under any auth, and takes in dumps whose streams it may leave unread.

`ask` makes one request and says how long its acknowledgement and its reply took. `Receivers` starts any number of
dumps and throws away what comes; `stand_still` leaves a stream of one dump unread from then on. Under bsd every stream
has a connection of its own; under bsdudp, bsdtcp and local the four streams of a dump share one, so that a receiver
can only leave all of them unread.

The protocol is Amanda's, as the real programs speak it: a UDP packet is a line "Amanda 3.5 TYPE HANDLE h SEQ n" and
a body; a frame is length and handle of four bytes each in network order, and a control frame's payload begins with a
byte for its type.
"""
import fcntl
import os
import re
import selectors
import socket
import struct
import subprocess
import termios
import threading
import time

FEATURES = "ffffffff9efefbfffffffffffffff3fffbf71f"
TYPES = ("REQ", "REP", "PREP", "ACK", "NAK")
CLIENT, SERVER, PORT = "10.77.0.10", "10.77.0.2", 10080
KINDS = ("DATA", "INDEX", "MESG", "STATE")
FIRST_PORT, LAST_PORT = 530, 1023
RESEND_SECONDS = 3
RECEIVE_BUFFER = 128 << 10  # what the real dumper asks for
MAX_FRAME = 4 << 20


class NoAnswer(Exception):
    """The client did not answer, or not what was asked for."""


def reserved_socket(kind):
    for port in range(FIRST_PORT, LAST_PORT + 1):
        made = socket.socket(socket.AF_INET, kind)
        try:
            made.bind((SERVER, port))
            return made
        except OSError:
            made.close()
    raise NoAnswer("no reserved port is free")


def body_of(service, rest, secured):
    security = "SECURITY USER backup\n" if secured else ""
    return f"{security}SERVICE {service}\nOPTIONS features={FEATURES};maxdumps=16;hostname=client.lab;config=lab;\n{rest}"


class Datagrams:
    """The control of bsd and bsdudp: one socket, one request."""

    handles = 0

    def __init__(self, auth):
        self.auth = auth
        self.socket = reserved_socket(socket.SOCK_DGRAM)
        Datagrams.handles += 1
        self.tail = f"HANDLE 000-{Datagrams.handles:08X} SEQ {1000 + Datagrams.handles}\n"

    def send(self, kind, body=""):
        self.socket.sendto(f"Amanda 3.5 {kind} {self.tail}{body}".encode(), (CLIENT, PORT))

    def request(self, service, rest):
        self.wanted = body_of(service, rest, secured=True)
        self.send("REQ", self.wanted)

    def receive(self, deadline):
        """(type, body), the request being sent again meanwhile."""
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise NoAnswer("nothing came")
            self.socket.settimeout(min(left, RESEND_SECONDS))
            try:
                packet = self.socket.recv(65536).decode(errors="replace")
            except socket.timeout:
                self.send("REQ", self.wanted)
                continue
            head, _, body = packet.partition("\n")
            if self.tail.strip() in head:
                return head.split()[2], body

    def streams(self, numbers):
        """{kind: socket} under bsd; under bsdudp a socket for all, and {handle: kind}."""
        made = {}
        for kind, number in numbers.items() if self.auth == "bsd" else list(numbers.items())[:1]:
            made[kind] = socket.socket()
            made[kind].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            made[kind].bind((SERVER, 0))
            made[kind].connect((CLIENT, number))
        return made if self.auth == "bsd" else next(iter(made.values()))

    def close(self):
        self.socket.close()


class Framed:
    """The control of bsdtcp and local: frames on the connection that will carry the streams too."""

    def __init__(self, auth, amandad=None):
        self.auth, self.child = auth, None
        if auth == "local":
            self.socket, theirs = socket.socketpair()
            self.child = subprocess.Popen([amandad, "-auth=local", "amdump"], stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL,
                                          user="backup", group="backup", extra_groups=["backup"], env={"PATH": "/usr/bin:/bin"})
            theirs.close()
        else:
            self.socket = reserved_socket(socket.SOCK_STREAM)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            self.socket.settimeout(5)
            self.socket.connect((CLIENT, PORT))

    def send(self, kind, body=""):
        payload = bytes([TYPES.index(kind)]) + body.encode() + b"\0"
        self.socket.sendall(struct.pack(">II", len(payload), 1) + payload)

    def request(self, service, rest):
        self.send("REQ", body_of(service, rest, secured=self.auth != "local"))

    def take(self, count, deadline):
        taken = b""
        while len(taken) < count:
            self.socket.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                piece = self.socket.recv(count - len(taken))
            except socket.timeout as late:
                raise NoAnswer("nothing came") from late
            if not piece:
                raise NoAnswer("the client closed the connection")
            taken += piece
        return taken

    def receive(self, deadline):
        while True:
            length, handle = struct.unpack(">II", self.take(8, deadline))
            payload = self.take(length, deadline)
            if handle == 1 and payload:
                return TYPES[payload[0]], payload[1:].rstrip(b"\0").decode(errors="replace")

    def streams(self, numbers):
        return self.socket

    def close(self):
        self.socket.close()
        if self.child:
            self.child.wait(20)


def control(auth, amandad):
    return Datagrams(auth) if auth in ("bsd", "bsdudp") else Framed(auth, amandad)


def converse(talk, service, rest, seconds):
    """(seconds to the acknowledgement, seconds to the reply, the reply)"""
    began = time.monotonic()
    talk.request(service, rest)
    acknowledged = None
    while True:
        kind, body = talk.receive(began + seconds)
        took = time.monotonic() - began
        if kind == "NAK":
            raise NoAnswer(body)
        if acknowledged is None:
            acknowledged = took
        if kind == "REP":
            talk.send("ACK")
            return acknowledged, took, body


def ask(auth, service, rest="", seconds=3, amandad=None):
    """Seconds from having nothing to the acknowledgement, and to the reply; None for what did not come."""
    began = time.monotonic()
    try:
        talk = control(auth, amandad)
    except OSError:
        return None, None
    connected = time.monotonic() - began
    try:
        acknowledged, replied, _ = converse(talk, service, rest, seconds)
        return connected + acknowledged, connected + replied
    except (NoAnswer, OSError):
        return None, None
    finally:
        talk.close()


class Frames:
    """Takes frames apart as they come, whatever pieces they come in, and counts payload by handle."""

    def __init__(self, kinds, counts):
        self.kinds, self.counts = kinds, counts
        self.head, self.left, self.kind = b"", 0, None

    def feed(self, data):
        at = 0
        while at < len(data):
            if self.left:
                piece = min(self.left, len(data) - at)
                if self.kind:
                    self.counts[self.kind] += piece
                self.left -= piece
                at += piece
                continue
            piece = 8 - len(self.head)
            self.head += bytes(data[at:at + piece])
            at += piece
            if len(self.head) == 8:
                self.left, handle = struct.unpack(">II", self.head)
                if self.left > MAX_FRAME:
                    raise NoAnswer("the frames are out of step")
                self.kind, self.head = self.kinds.get(handle), b""


class Receivers:
    """Dumps of one client, their bytes thrown away by one thread."""

    def __init__(self, auth, amandad=None):
        self.auth, self.amandad = auth, amandad
        self.dumps, self.talks = [], []          # of a dump: {kind: socket, or one and the same}
        self.counts = []
        self.selector = selectors.DefaultSelector()
        self.ended = threading.Event()
        self.lock = threading.Lock()
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def start(self, name, device, seconds=30):
        dle = f"""<dle>
  <program>GNUTAR</program>
  <disk>{name}</disk>
  <diskdevice>{device}</diskdevice>
  <level>0</level>
  <auth>{self.auth}</auth>
  <record>NO</record>
  <index>YES</index>
  <datapath>AMANDA</datapath>
</dle>
"""
        talk = control(self.auth, self.amandad)
        _, _, reply = converse(talk, "sendbackup", dle, seconds)
        said = re.match(r"CONNECT (.*)", reply)
        if not said:
            raise NoAnswer(reply)
        words = said[1].split()
        numbers = {kind: int(number) for kind, number in zip(words[::2], words[1::2]) if int(number) >= 0}
        made = talk.streams(numbers)
        counts = dict.fromkeys(KINDS, 0)
        streams = made if isinstance(made, dict) else dict.fromkeys(numbers, made)
        with self.lock:
            self.counts.append(counts)
            self.talks.append(talk)
            self.dumps.append(streams)
            if isinstance(made, dict):
                for kind, one in made.items():
                    self.watch(one, (counts, kind, None))
            else:
                self.watch(made, (counts, None, Frames({number: kind for kind, number in numbers.items()}, counts)))

    def watch(self, one, data):
        one.setblocking(False)
        self.selector.register(one, selectors.EVENT_READ, data)

    def read(self):
        buffer = memoryview(bytearray(256 << 10))
        while not self.ended.is_set():
            with self.lock:
                for key, _ in self.selector.select(0.01):
                    self.take(key, buffer)
            time.sleep(0)  # whoever waits for the lock gets it

    def take(self, key, buffer):
        counts, kind, frames = key.data
        try:
            got = key.fileobj.recv_into(buffer)
        except BlockingIOError:
            return
        except OSError:
            got = 0
        if got == 0:
            self.selector.unregister(key.fileobj)
        elif frames:
            frames.feed(buffer[:got])
        else:
            counts[kind] += got

    def stand_still(self, dump, kind):
        """Leaves it unread; returns what go_on needs, or None when the client has closed the stream, as it does with
        the STATE of an archiver that has none."""
        one = self.dumps[dump][kind]
        with self.lock:
            return (one, self.selector.unregister(one).data) if one in self.selector.get_map() else None

    @staticmethod
    def unread(standing):
        """Bytes that wait in the receiver's buffer."""
        return struct.unpack("i", fcntl.ioctl(standing[0], termios.FIONREAD, b"\0" * 4))[0]

    def go_on(self, standing):
        with self.lock:
            self.watch(*standing)

    def look(self):
        return [dict(counts) for counts in self.counts]

    def end(self):
        self.ended.set()
        self.thread.join()
        for streams in self.dumps:
            for one in set(streams.values()):
                one.close()
        for talk in self.talks:
            talk.close()


def rates(before, after, seconds):
    """Bytes per second of each dump and kind."""
    return [{kind: (new[kind] - old[kind]) / seconds for kind in KINDS} for old, new in zip(before, after)]


if __name__ == "__main__":
    raise SystemExit(f"{os.path.basename(__file__)} is used by the benches: see bench/README.md")
