"""What benches of one client share: a lab with a client under test, `receivers` drawing from it, and what both cost.

Figures are differences between two moments of the steady middle of a run: bytes as the receivers counted
them, CPU time and memory as the kernel did for the client's processes (tar and filters excepted).
"""
import fcntl
import json
import os
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TREE = os.path.dirname(HERE)
sys.path.insert(0, os.path.join(TREE, "tests/interop"))
os.environ.setdefault("HEADRACE", os.path.join(TREE, "build/release/headrace"))
import lab as labs  # noqa: E402
from lab import CLIENT, Failure, expect  # noqa: E402

RECEIVERS = os.environ.get("RECEIVERS") or os.path.join(TREE, "build/release/bench/receivers")
TICKS = os.sysconf("SC_CLK_TCK")
F_GETPIPE_SZ = 1032


def data_file(path, megabytes):
    """A file of bytes that do not compress and have no holes."""
    block = os.urandom(1_000_000)
    with open(path, "wb") as file:
        for number in range(megabytes):
            file.write(number.to_bytes(64, "big") + block[64:])


def disks_of(lab, count, file):
    """`count` directories, each with nothing but the same file: any number of disks for the price of one."""
    names = []
    for number in range(count):
        folder = lab.path(f"disks/{number:03d}")
        if not os.path.isdir(folder):
            os.makedirs(folder)
            os.link(file, folder + "/data")
        names.append(folder)
    return names


class Receivers:
    """A running load tool. Lines are read by next_line(); the tool ends with the object."""

    def __init__(self, disks, *options):
        self.child = subprocess.Popen([RECEIVERS, CLIENT, *disks, *map(str, options)], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True, bufsize=1)
        self.count = len(disks)
        self.bytes = [[0] * 4 for _ in disks]
        self.at = 0.0
        self.streaming = self.ended = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.kill()
        self.child.wait()
        self.child.stdout.close()
        self.child.stdin.close()

    def say(self, command):
        self.child.stdin.write(command + "\n")
        self.child.stdin.flush()

    def next_line(self):
        text = self.child.stdout.readline()
        expect(text, f"the receivers ended: {self.child.poll()}")
        line = json.loads(text)
        self.at = line["t"]
        if "bytes" in line:
            self.bytes = line["bytes"]
        self.streaming += line.get("event") == "streaming"
        if line.get("event") == "ended":
            self.ended += 1
            expect("fault" not in line, f"a dump went wrong: {line}")
        return line

    def until(self, condition, what, seconds=120):
        deadline = time.monotonic() + seconds
        while not condition():
            expect(time.monotonic() < deadline, f"waited {seconds} s for {what}")
            self.next_line()

    def pass_seconds(self, seconds):
        """Until a report of at least so much later."""
        end = self.at + seconds
        line = {}
        while self.at < end or "bytes" not in line:
            line = self.next_line()

    def data(self):
        return [row[0] for row in self.bytes]


def processes(names):
    """(pid, name, CPU seconds) of those that still run."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as file:
                text = file.read()
        except OSError:
            continue
        comm = text[text.index("(") + 1:text.rindex(")")]
        if comm in names:
            fields = text[text.rindex(")") + 2:].split()
            if fields[0] != "Z":  # one that nobody reaps
                found.append((int(entry), comm, (int(fields[11]) + int(fields[12])) / TICKS))
    return found


def cpu_seconds(names):
    return {pid: seconds for pid, _, seconds in processes(names)}


def cpu_between(before, after):
    """Of the processes there are now; one that began in between counts whole."""
    return sum(seconds - before.get(pid, 0) for pid, seconds in after.items())


def memory_kib(names):
    total = 0
    for pid, _, _ in processes(names):
        try:
            with open(f"/proc/{pid}/smaps_rollup", encoding="utf-8") as file:
                for line in file:
                    if line.startswith("Pss:"):
                        total += int(line.split()[1])
        except OSError:
            pass
    return total


def pipe_kib(names):
    """What the pipes of these processes may hold."""
    seen = {}
    for pid, _, _ in processes(names):
        folder = f"/proc/{pid}/fd"
        try:
            entries = os.listdir(folder)
        except OSError:
            continue
        for entry in entries:
            try:
                target = os.readlink(f"{folder}/{entry}")
                if not target.startswith("pipe:") or target in seen:
                    continue
                pipe = os.open(f"{folder}/{entry}", os.O_RDONLY | os.O_NONBLOCK)
            except OSError:
                continue
            seen[target] = fcntl.fcntl(pipe, F_GETPIPE_SZ)
            os.close(pipe)
    return sum(seen.values()) // 1024


def jain(values):
    squares = sum(value * value for value in values)
    return sum(values) ** 2 / (len(values) * squares) if squares else 0.0


def spread(values, digits=2):
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def table(head, rows):
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in [head, ["---"] * len(head), *rows])


def write_section(name, text, figures):
    folder = os.path.join(HERE, "results")
    os.makedirs(folder, exist_ok=True)
    with open(f"{folder}/{name}.md", "w", encoding="utf-8") as file:
        file.write(text)
    with open(f"{folder}/{name}.json", "w", encoding="utf-8") as file:
        json.dump(figures, file, indent=1)
        file.write("\n")


def on_tmpfs(name, size="60%"):
    """A place for a lab in memory; inside() must have been called."""
    place = f"/tmp/headrace-{name}"
    os.makedirs(place, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", name, place], check=True)
    return place


def raise_limits():
    """Hundreds of dumps are thousands of descriptors and processes; children inherit this."""
    import resource
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))
