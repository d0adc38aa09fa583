#!/usr/bin/env python3
"""Turns a pcap of one Amanda session on loopback into a transcript (see README.md here).

usage: make_transcript.py NAME.pcap "what was recorded" > transcripts/NAME.txt
       make_transcript.py --decoded NAME.txt "…"    from text that shows packets as this script's show() does
"""
import re
import struct
import sys

PORT = 10080
HIGH = 10000  # handles from here on are streams, below are control conversations


def packets_of_pcap(name):
    """Yields (kind, initiator port, handle or None, from_initiator, payload), TCP reassembled in order."""
    data = open(name, "rb").read()
    end = "<" if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    link = struct.unpack(end + "I", data[20:24])[0]
    skip = {1: 14, 0: 4, 113: 16}[link]
    at, flows, fragments = 24, {}, {}
    while at + 16 <= len(data):
        length = struct.unpack(end + "I", data[at + 8:at + 12])[0]
        ip = data[at + 16 + skip:at + 16 + length]
        at += 16 + length
        if not ip or ip[0] >> 4 != 4:
            continue
        head, total = (ip[0] & 15) * 4, struct.unpack(">H", ip[2:4])[0]
        place = struct.unpack(">H", ip[6:8])[0]
        body = ip[head:total]
        if ip[9] == 17:
            if place & 0x3FFF:
                key = (ip[12:20], ip[4:6])
                fragments.setdefault(key, {})[(place & 0x1FFF) * 8] = body
                if place & 0x2000:
                    continue
                body = b"".join(part for _, part in sorted(fragments.pop(key).items()))
            source, target = struct.unpack(">HH", body[:4])
            if PORT in (source, target):
                yield "datagram", source if target == PORT else target, None, target == PORT, body[8:]
        elif ip[9] == 6:
            source, target, sequence = struct.unpack(">HHI", body[:8])
            flow = (ip[12:16], source, ip[16:20], target)
            if body[13] & 2:
                flows[flow] = [sequence + 1, b""]
                continue
            payload = body[(body[12] >> 4) * 4:]
            if flow not in flows or not payload or (sequence - flows[flow][0]) & 0xFFFFFFFF:
                continue
            flows[flow][0] = (flows[flow][0] + len(payload)) & 0xFFFFFFFF
            if PORT not in (source, target):
                yield "bytes", target, None, False, payload
                continue
            flows[flow][1] += payload
            while len(flows[flow][1]) >= 8:
                size, handle = struct.unpack(">II", flows[flow][1][:8])
                if len(flows[flow][1]) < 8 + size:
                    break
                frame, flows[flow][1] = flows[flow][1][8:8 + size], flows[flow][1][8 + size:]
                yield "frame", source if target == PORT else target, handle, target == PORT, frame


HEADS = [
    (re.compile(r"\[ *[\d.]+\] UDP \S+:(\d+) -> \S+:(\d+)  (\d+) bytes"), "datagram"),
    (re.compile(r"\[ *[\d.]+\] TCP (\d+) -> (\d+)  token handle=(\d+) length=(\d+)"), "frame"),
    (re.compile(r"\[ *[\d.]+\] TCP (\d+) -> (\d+)  raw (\d+) bytes"), "bytes"),
]


def packets_of_text(name):
    lines = open(name).read().split("\n")
    at = 0
    while at < len(lines):
        found = [(r.match(lines[at]), k) for r, k in HEADS if r.match(lines[at])]
        at += 1
        begin = at
        while at < len(lines) and not lines[at].startswith("["):
            at += 1
        if not found:
            continue
        match, kind = found[0]
        numbers = list(map(int, match.groups()))
        text = "\n".join(line[4:] for line in lines[begin:at] if line.startswith("    ") or not line)
        raw = re.sub(rb"\\x([0-9a-f]{2})", lambda m: bytes([int(m[1], 16)]), text.encode())
        raw = raw[:numbers[-1]]
        cut = len(raw) != numbers[-1] or b"...(" in raw
        raw = raw if not cut else None
        to_client = numbers[1] == PORT
        port = numbers[0] if to_client else numbers[1]
        yield kind, port, numbers[2] if kind == "frame" else None, to_client, (
            raw if raw is not None else b"\0" * numbers[-1])


def show(payload):
    text = "".join(chr(c) if 32 <= c < 127 and c != 92 or c == 10 else "\\\\" if c == 92 else "\\x%02x" % c
                   for c in payload)
    whole = text.endswith("\n")
    lines = (text[:-1] if whole else text).split("\n")
    if not whole:
        lines[-1] += "\\c"
    return "".join("  %s\n" % line for line in lines)


def is_text(payload):
    return all(32 <= c < 127 or c == 10 for c in payload)


def main():
    decoded = sys.argv[1] == "--decoded"
    name, about = sys.argv[2 if decoded else 1:]
    print("# " + about)
    for kind, port, handle, asks, payload in (packets_of_text if decoded else packets_of_pcap)(name):
        arrow = "-->" if asks else "<--"
        if kind == "datagram":
            print("%s datagram %d" % (arrow, port))
            print(show(payload), end="")
        elif kind == "frame":
            print("%s frame %d %d %d" % (arrow, port, handle, len(payload)))
            if payload and (handle < HIGH or is_text(payload)):
                print(show(payload), end="")
        elif is_text(payload) and re.match(rb"sendbackup: |[|?] ", payload):
            print("<-- mesg")
            print(show(payload), end="")


main()
