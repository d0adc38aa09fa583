#!/usr/bin/env python3
"""Says whether two directory trees are the same to a user who lost one and got back the other.

  compare_trees.py SOURCE RESTORED [--ignore xattrs,sparse] [--mtime seconds|ns]
  compare_trees.py --snapshot TREE > FILE     a later SOURCE may be such a FILE

Compared: names, type, mode, owner, mtime, content (SHA-256), symlink targets, device numbers,
hard links (which names share a file), extended attributes, and whether a file with holes came
back with holes. Sockets are left out on both sides: no archiver keeps them.
Exit status 0: the same; 1: different, each difference on a line; 2: usage.
"""
import argparse
import hashlib
import json
import os
import stat
import sys

ASPECTS = ("type", "mode", "owner", "mtime", "content", "target", "device", "links", "xattrs", "sparse")
HOLE_SLACK_BYTES = 64 << 10


def show(name):
    """A name as text that a terminal and JSON can hold, whatever its bytes."""
    return os.fsdecode(name).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def digest(path):
    sha = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            sha.update(block)
    return sha.hexdigest()


def read_xattrs(path):
    try:
        names = os.listxattr(path, follow_symlinks=False)
        return {name: os.getxattr(path, name, follow_symlinks=False).hex() for name in sorted(names)}
    except OSError:
        return {}


def entry_of(path):
    info = os.lstat(path)
    kind = stat.S_IFMT(info.st_mode)
    entry = {"type": {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "symlink",
                      stat.S_IFIFO: "fifo", stat.S_IFCHR: "char", stat.S_IFBLK: "block",
                      stat.S_IFSOCK: "socket"}[kind],
             "owner": f"{info.st_uid}:{info.st_gid}",
             "mtime": info.st_mtime_ns}
    if kind == stat.S_IFLNK:
        entry["target"] = show(os.readlink(os.fsencode(path)))
    else:
        entry["mode"] = oct(stat.S_IMODE(info.st_mode))
        entry["xattrs"] = read_xattrs(path)
    if kind in (stat.S_IFCHR, stat.S_IFBLK):
        entry["device"] = f"{os.major(info.st_rdev)}:{os.minor(info.st_rdev)}"
    if kind == stat.S_IFREG:
        entry["content"] = f"{info.st_size} bytes {digest(path)}"
        hole_bytes = info.st_size - info.st_blocks * 512
        entry["hole_bytes"] = max(0, hole_bytes)
    return entry, (info.st_dev, info.st_ino), info.st_nlink


def snapshot(root):
    """{relative name: entry} of the tree, the root itself as "."."""
    root = os.fsencode(root)
    tree, sharing = {}, {}
    names = [b"."]
    for folder, folders, files in os.walk(root):
        names += [os.path.relpath(os.path.join(folder, name), root) for name in folders + files]
    for name in names:
        entry, inode, links = entry_of(os.path.join(root, name) if name != b"." else root)
        if entry["type"] == "socket":
            continue
        key = show(name)
        tree[key] = entry
        if links > 1 and entry["type"] != "directory":
            sharing.setdefault(inode, []).append(key)
    for group in sharing.values():
        for key in group:
            tree[key]["links"] = sorted(group)
    return tree


def read_tree(path):
    if os.path.isdir(path):
        return snapshot(path)
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def differences(source, restored, ignore=(), mtime="seconds"):
    """A list of sentences, empty when the trees are the same."""
    found = [f"missing: {name}" for name in sorted(set(source) - set(restored))]
    found += [f"not in the source: {name}" for name in sorted(set(restored) - set(source))]
    for name in sorted(set(source) & set(restored)):
        a, b = source[name], restored[name]
        for aspect in ASPECTS:
            if aspect in ignore:
                continue
            if aspect == "sparse":
                if a.get("hole_bytes", 0) > HOLE_SLACK_BYTES and b.get("hole_bytes", 0) < a["hole_bytes"] // 2:
                    found.append(f"holes were filled: {name}: {a['hole_bytes']} bytes of holes, now {b.get('hole_bytes', 0)}")
                continue
            was, now = a.get(aspect), b.get(aspect)
            if aspect == "mtime" and mtime == "seconds":
                was, now = was // 10**9, now // 10**9
            if was != now:
                found.append(f"{aspect} differs: {name}: {was!r}, now {now!r}")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--snapshot", metavar="TREE")
    parser.add_argument("--ignore", default="", help="aspects to leave out, by commas: " + " ".join(ASPECTS))
    parser.add_argument("--mtime", choices=("seconds", "ns"), default="seconds",
                        help="how exact times are (GNU tar's own format keeps whole seconds)")
    parser.add_argument("trees", nargs="*")
    arguments = parser.parse_args()
    if arguments.snapshot:
        json.dump(snapshot(arguments.snapshot), sys.stdout)
        return 0
    if len(arguments.trees) != 2:
        parser.print_usage(sys.stderr)
        return 2
    ignore = [word for word in arguments.ignore.split(",") if word]
    source, restored = (read_tree(tree) for tree in arguments.trees)
    found = differences(source, restored, ignore, arguments.mtime)
    print("\n".join(found) if found else f"the same: {len(source)} entries")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
