"""Either end of bsdtcp in a few lines, for peers that misbehave: frames, requests, replies. It does what it is told, also what is wrong."""
import socket
import struct

FEATURES = "ffffffff9efefbfffffffffffffff3fffbf71f"
REQ, REP, PREP, ACK, NAK = range(5)
MAX_FRAME = 4 << 20


def frame(handle, payload=b""):
    return struct.pack(">II", len(payload), handle) + payload


def packet(handle, kind, body=""):
    return frame(handle, bytes([kind]) + body.encode() + b"\0")


class Wire:
    """One connection, blocking, with a time limit for each step."""

    def __init__(self, connection, seconds=20):
        self.socket = connection
        self.socket.settimeout(seconds)

    def send(self, data):
        self.socket.sendall(data)

    def take(self, count):
        data = b""
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            if not piece:
                raise EOFError("the peer closed the connection")
            data += piece
        return data

    def next_frame(self):
        length, handle = struct.unpack(">II", self.take(8))
        return handle, self.take(length)

    def next_packet(self, *kinds):
        """The next packet of one of these kinds: its handle and text. Data and other packets are dropped."""
        while True:
            handle, payload = self.next_frame()
            if handle < 10000 and payload and payload[0] in kinds:
                return handle, payload[0], payload[1:].rstrip(b"\0").decode()

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self):
        self.socket.close()


def connect(address, port, source):
    """From a port below 1024, as servers come."""
    for source_port in range(1023, 600, -1):
        connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            connection.bind((source, source_port))
            connection.connect((address, port))
            return Wire(connection)
        except OSError:
            connection.close()
    raise OSError("no port below 1024 is free")


def dle(disk, device, body=""):
    return f"""<dle>
  <program>GNUTAR</program>
  <disk>{disk}</disk>
  <diskdevice>{device}</diskdevice>
  <level>0</level>
  <auth>bsdtcp</auth>
  <record>NO</record>
  <index>YES</index>
  <datapath>AMANDA</datapath>
{body}</dle>
"""


def request(service, arguments="", user="root", stamp="20261123012915"):
    return (f"SECURITY USER {user}\nSERVICE {service}\nOPTIONS features={FEATURES};maxdumps=1;hostname=client.lab;"
            f"config=lab;timestamp={stamp};\n{arguments}")


def begin_dump(wire, disk, device, stamp):
    """Asks for a dump and acknowledges the reply; {name: handle} of its streams."""
    wire.send(packet(1, REQ, request("sendbackup", dle(disk, device), stamp=stamp)))
    _, kind, text = wire.next_packet(REP, NAK)
    if kind == NAK or not text.startswith("CONNECT"):
        raise OSError(f"the client refuses: {text}")
    wire.send(packet(1, ACK) + frame(1))
    words = text.split("\n")[0].split()[1:]
    return {name: int(handle) for name, handle in zip(words[::2], words[1::2])}
