#!/usr/bin/env python3
"""Checks every #include of src/ against src/grants.txt, that each room says what it is for,
and that ARCHITECTURE.md shows the same table.

Usage: layers.py [TREE]   exits 1 and names each file and line that breaks the table.
"""
import pathlib
import re
import sys

FREE = {"cli", "main"}          # may include any room but main and sim
INCLUDE = re.compile(r'^\s*#include\s+"([^"]+)"')


def read_grants(tree):
    grants = {}
    for line in (tree / "src/grants.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            room, _, rest = line.partition(":")
            grants[room.strip()] = set(rest.split())
    return grants


def line_order(tree, room):
    """The grants of a room in the order in which src/grants.txt names them."""
    for line in (tree / "src/grants.txt").read_text().splitlines():
        if line.startswith(room + ":"):
            return line.partition(":")[2].split()
    return []


def room_of(path, rooms):
    for room in sorted(rooms, key=len, reverse=True):
        if path.startswith(room + "/"):
            return room
    return None


def main():
    tree = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    grants = read_grants(tree)
    faults = []
    for path in sorted((tree / "src").rglob("*")):
        if path.suffix not in (".cc", ".h"):
            continue
        inside = path.relative_to(tree / "src").as_posix()
        room = room_of(inside, grants)
        if room is None:
            faults.append(f"{path}: stands in no room of src/grants.txt")
            continue
        is_test = inside.endswith("_test.cc")
        for number, line in enumerate(path.read_text().splitlines(), 1):
            found = INCLUDE.match(line)
            if not found:
                continue
            target = room_of(found.group(1), grants)
            if target is None:
                faults.append(f"{path}:{number}: {found.group(1)} is not a path from src/ into a room")
            elif target != room and target not in grants[room] and not (is_test and target == "sim"):
                faults.append(f"{path}:{number}: {room} is not granted {target}")
        if path.suffix == ".h" and not path.read_text().startswith("// "):
            faults.append(f"{path}:1: a header opens with a paragraph that says what it is")
    shown = (tree / "ARCHITECTURE.md").read_text()
    for room in sorted(set(grants) - FREE):
        row = f"| `{room}` | {', '.join(line_order(tree, room)) or 'nothing'} |"
        if row not in shown:
            faults.append(f"ARCHITECTURE.md: its table should say {row}")
    for room in grants:
        folder = tree / "src" / room
        if not any(folder.rglob("*.cc")):
            continue
        readme = folder / "README.md"
        if not readme.exists():
            faults.append(f"{folder}: no README.md")
        elif len(readme.read_text().splitlines()) > 30:
            faults.append(f"{readme}: more than thirty lines")
    print("\n".join(faults) if faults else f"layers: {len(grants)} rooms, no fault")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
