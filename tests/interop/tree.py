"""A tree of files that archivers find hard, and a day's changes to it."""
import os
import random
import socket

ODD_NAMES = ["plain", "two words", " leading blank", "trailing blank ", "'single'", 'double"quote', "back\\slash",
             "back\\nslash-n", "new\nline", "tab\there", "-rf", "--owner=root", "@file", "#hash", "*?[x]", "$HOME`id`",
             "grüße", "日本語", "a" * 240, "semi;colon", "col:on", "..dots", "ctrl\x01", "per%cent"]
NOT_UTF8 = b"latin1-\xe9\xff"


def write(path, content, mode=0o644):
    with open(path, "wb") as file:
        file.write(content)
    os.chmod(path, mode)


def stamp(path, seconds, nanoseconds=0):
    when = seconds * 10**9 + nanoseconds
    os.utime(path, ns=(when, when), follow_symlinks=False)


def pattern(size, seed):
    """`size` bytes that do not compress and are the same for the same seed."""
    return random.Random(seed).randbytes(size)


def make_tree(root):
    os.makedirs(f"{root}/odd names", exist_ok=True)
    for number, name in enumerate(ODD_NAMES):
        write(f"{root}/odd names/{name}", f"content {number}\n".encode())
        stamp(f"{root}/odd names/{name}", 1_000_000_000 + number * 86_400, 123_456_789)
    write(os.fsencode(f"{root}/odd names/") + NOT_UTF8, b"not UTF-8\n")

    os.makedirs(f"{root}/links")
    write(f"{root}/links/first", b"shared\n")
    os.link(f"{root}/links/first", f"{root}/links/second")
    os.link(f"{root}/links/first", f"{root}/odd names/third")
    os.symlink("first", f"{root}/links/to first")
    os.symlink("/nowhere/at all", f"{root}/links/broken")
    os.symlink("..", f"{root}/links/up")
    stamp(f"{root}/links/broken", 1_111_111_111)

    os.makedirs(f"{root}/kinds")
    os.mkfifo(f"{root}/kinds/fifo", 0o640)
    with socket.socket(socket.AF_UNIX) as ignored:
        here = os.getcwd()
        os.chdir(f"{root}/kinds")  # a socket's name may hold 107 bytes
        ignored.bind("socket")
        os.chdir(here)
    os.mkdir(f"{root}/kinds/empty directory")
    write(f"{root}/kinds/empty file", b"")

    os.makedirs(f"{root}/modes")
    for mode in (0o000, 0o400, 0o644, 0o755, 0o4755, 0o2710, 0o1777):
        write(f"{root}/modes/{mode:04o}", oct(mode).encode(), mode)
    os.mkdir(f"{root}/modes/sticky")
    os.chmod(f"{root}/modes/sticky", 0o3770)
    for uid, gid in ((1, 1), (34, 34), (12345, 54321)):
        write(f"{root}/modes/owner {uid}", b"owned\n", 0o644)
        os.chown(f"{root}/modes/owner {uid}", uid, gid)

    os.makedirs(f"{root}/sparse")
    with open(f"{root}/sparse/holes", "wb") as file:
        file.write(b"start")
        file.seek(3 << 20)
        file.write(b"middle")
        file.truncate(8 << 20)

    deep = f"{root}/deep"
    for number in range(25):
        deep += f"/level {number:02d} of a path that is longer than the hundred bytes of a tar header"
    os.makedirs(deep)
    write(f"{deep}/bottom", b"deep\n")

    os.makedirs(f"{root}/attributes")
    write(f"{root}/attributes/tagged", b"tagged\n")
    os.setxattr(f"{root}/attributes/tagged", "user.colour", b"blue")
    os.setxattr(f"{root}/attributes/tagged", "user.bytes", bytes(range(1, 64)))

    os.makedirs(f"{root}/many")
    for number in range(800):
        write(f"{root}/many/file {number:04d}", pattern(number * 7 % 3000, number))
    os.makedirs(f"{root}/moving/inside")
    write(f"{root}/moving/inside/kept", b"kept\n")
    write(f"{root}/large", pattern(20 << 20, 1), 0o644)
    stamp(f"{root}/kinds/empty directory", 1_234_567_890, 987_654_321)


def change_tree(root):
    """A day's work: files changed, added, removed, renamed; a directory moved; a name that changes its kind."""
    with open(f"{root}/odd names/two words", "ab") as file:
        file.write(b"one more line\n")
    write(f"{root}/odd names/added\non day two", b"new\n")
    os.remove(f"{root}/odd names/double\"quote")
    os.rename(f"{root}/odd names/-rf", f"{root}/odd names/-rf renamed")
    for number in range(0, 800, 10):
        os.remove(f"{root}/many/file {number:04d}")
    write(f"{root}/many/file 9999", pattern(5000, 9999))
    os.remove(f"{root}/links/up")
    os.mkdir(f"{root}/links/up")
    write(f"{root}/links/up/was a symlink", b"now inside\n")
    os.makedirs(f"{root}/new/branch")
    write(f"{root}/new/branch/leaf", b"leaf\n", 0o640)
    os.rename(f"{root}/moving", f"{root}/moved")
    with open(f"{root}/sparse/holes", "r+b") as file:
        file.seek(6 << 20)
        file.write(b"later")
    write(f"{root}/fresh", pattern(3 << 20, 2))


def make_small_tree(root):
    """A second disk with files that its dumptype leaves out; returns the names left out."""
    os.makedirs(f"{root}/sub dir")
    write(f"{root}/kept.txt", b"kept\n")
    write(f"{root}/sub dir/kept too", pattern(100_000, 5))
    write(f"{root}/scratch.tmp", b"left out by pattern\n")
    write(f"{root}/sub dir/more.tmp", b"left out by pattern\n")
    write(f"{root}/listed", b"left out by list\n")
    write(f"{root}/.exclude", b"./listed\n")
    return ["scratch.tmp", "sub dir/more.tmp", "listed"]


def change_small_tree(root):
    write(f"{root}/sub dir/second day", b"second\n")
    os.remove(f"{root}/kept.txt")
