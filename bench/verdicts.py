#!/usr/bin/env python3
"""Known limits injected at each joint of a dump's path in turn: does the verdict name them?

  bench/verdicts.py run [--seconds 230] [--trials 240] [--only CLASS]   plays trials that are missing, as many as fit
  bench/verdicts.py report                                              writes bench/results/verdicts.md from them

Client and server stand in network namespaces of their own, joined by a veth. What limits a dump:
  source        its tar's output passes a token bucket, steady or in bursts
  client cpu    a client filter (compress client custom) or the archiver itself computes for each byte; or gzip --best
  network       tc tbf on the client's end of the veth
  server cpu    a server filter (compress server custom) computes for each byte
  holding disk  the holding disk is an ext4, mounted sync, on a loop device that blkio throttles
  volume        likewise the vtapes: a direct dump, an image that goes from holding disk to volume
  throttled     headrace pause; headrace limit --rate
  scheduled     maxdumps 1, inparallel 1: the dump whose turn has not come
  none          source and network hold the dump up by turns, each about half of the time, in turns of a second
The whole rig runs at a higher priority than whatever else the machine does (nice -15).
All limits but the last vary at random (seeded by the trial's number) within about a factor of 20. The other parts of
the path are free, and much faster than the limit. A trial is one dump; some runs play two or three at once, in
part with different limits. The verdict that counts is the one in force `STEADY` seconds after its first sample (what `headrace status` shows at that
moment); then the run is ended. The client is Headrace or the real amandad of Amanda 3.5.1.

Trials are appended to bench/results/verdicts.jsonl, so that the bench can be stopped and taken up again.
HEADRACE names the program (default build/release/headrace). Needs root, 2.5 GB of memory, and Debian's Amanda.
"""
import argparse
import collections
import glob
import json
import os
import random
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "tests/interop"))
os.environ.setdefault("HEADRACE", os.path.join(os.path.dirname(HERE), "build/release/headrace"))
import lab as labs  # noqa: E402
from lab import CLIENT, CLIENT_ADDRESS, CONF, SERVER_ADDRESS, Failure, expect, wait_for  # noqa: E402

RESULTS = os.path.join(HERE, "results/verdicts.jsonl")
PAGE = os.path.join(HERE, "results/verdicts.md")
STEADY = 4.5
TREE_MB = 200
DISKS = (1, 2, 3)
CGROUP = "/sys/fs/cgroup/blkio/headrace-verdicts"  # and the number of the lane
CLASSES = ["source", "client cpu", "network", "server cpu", "holding disk", "volume", "throttled", "scheduled", "none"]

# Programs of the rig, run by the client or the server: one file, by its mode.
HELPER = '''#!/usr/bin/env python3
"""burn NS: copies, computing NS nanoseconds a KiB. bucket RATE ON OFF: copies at RATE bytes a second, in bursts
of ON seconds with OFF seconds between them. tarburn NS TAR ARGS…: runs TAR and burns on what it writes."""
import os, subprocess, sys, time
mode = sys.argv[1]
def put(block):
    view = memoryview(block)
    while view:
        view = view[os.write(1, view):]
def burn(fd, ns):
    while block := os.read(fd, 65536):
        until = time.thread_time_ns() + ns * len(block) // 1024
        while time.thread_time_ns() < until:
            pass
        put(block)
if mode == "burn":
    burn(0, int(sys.argv[2]))
elif mode == "tarburn":
    child = subprocess.Popen(sys.argv[3:], stdout=subprocess.PIPE)
    burn(child.stdout.fileno(), int(sys.argv[2]))
    sys.exit(child.wait())
else:
    rate, on, off = map(float, sys.argv[2:5])
    start, due = time.monotonic(), 0.0
    while block := os.read(0, 16384):
        if rate:
            due += len(block) / rate
        now = time.monotonic() - start
        if off and now % (on + off) > on:
            wait = on + off - now % (on + off)
            time.sleep(wait)
            due += wait
        elif due > now:
            time.sleep(due - now)
        elif rate:
            due = max(due, now - 0.05)
        put(block)
'''


class Rig(labs.Lab):
    """A lab whose client lives in a network namespace of its own, and whose disks can be slowed down."""

    in_client = False

    def command(self, command, user):
        words = super().command(command, user)
        return ["nsenter", "--net=/run/netns/client", *words] if self.in_client else words

    def start_client(self, host=CLIENT):
        self.in_client = True
        try:
            # The listener is waited for from the server's side.
            waits, self.wait_for_listener = self.wait_for_listener, lambda child, address, auth: None
            child = super().start_client(host)
            self.wait_for_listener = waits
        finally:
            self.in_client = False
        self.wait_for_listener(child, CLIENT_ADDRESS, self.auth)
        return child

    def prepare(self):
        os.makedirs(self.path("images"))
        self.write(self.path("bin/helper"), HELPER)
        os.chmod(self.path("bin/helper"), 0o755)
        for disk in DISKS:
            folder = self.path(f"tree/disk{disk}")
            os.makedirs(folder)
            for number in range(TREE_MB // 10):
                # Links, not mounts: of a directory that is mounted twice the real client names either.
                if disk > 1:
                    os.link(self.path(f"tree/disk1/file{number}"), f"{folder}/file{number}")
                    continue
                with open(f"{folder}/file{number}", "wb") as file:
                    file.write(os.urandom(10_000_000))
            self.add_disk(f"/disk{disk}", folder, f"lab{disk}")
        self.up()
        self.network()
        self.wrap_tar()
        self.devices = {name: self.slow_device(name) for name in ("holding", "vtapes")}
        os.makedirs(CGROUP, exist_ok=True)

    def network(self):
        for address in (SERVER_ADDRESS, CLIENT_ADDRESS):
            sh(f"ip address del {address}/32 dev lo")
        os.makedirs("/run/netns", exist_ok=True)
        sh("mount -t tmpfs netns /run/netns", "ip netns add client", "ip link add v0 type veth peer name v1 netns client",
           f"ip address add {SERVER_ADDRESS}/24 dev v0", "ip link set v0 up", "ip -n client link set lo up",
           f"ip -n client address add {CLIENT_ADDRESS}/24 dev v1", "ip -n client link set v1 up")

    def wrap_tar(self):
        """/bin/tar does what the file tree/mode-DISK says, a command to run it through, when it writes a dump."""
        sh(f"cp /bin/tar {self.path('bin/real-tar')}")
        wrapper = self.path("bin/tar-wrapper")
        self.write(wrapper, f"""#!/bin/bash
real={self.path("bin/real-tar")}
for disk in disk1 disk2 disk3; do
  if [[ "$*" == *--create* && "$*" != *" /dev/null "* && "$*" == *"/$disk"* ]]; then
    read -r kind words <{self.path("tree")}/mode-$disk
    case $kind in
      bucket) "$real" "$@" | {self.path("bin/helper")} bucket $words; exit "${{PIPESTATUS[0]}}" ;;
      tarburn) exec {self.path("bin/helper")} tarburn $words "$real" "$@" ;;
    esac
  fi
done
exec -a "$0" "$real" "$@"
""")
        os.chmod(wrapper, 0o755)
        sh(f"mount --bind {wrapper} {os.path.realpath('/bin/tar')}")

    def slow_device(self, name):
        image = self.path("images", name)
        with open(image, "wb") as file:
            file.truncate(700_000_000)
        sh(f"mkfs.ext4 -q -O ^has_journal {image}")
        loop = subprocess.run(["losetup", "-f", "--show", image], check=True, capture_output=True, text=True).stdout.strip()
        os.makedirs(self.path("slow", name))
        sh(f"mount -o sync {loop} {self.path('slow', name)}")
        self.give_to_backup(self.path("slow"))
        return loop

    def limit_device(self, name, rate):
        """Of what the server's process writes; 0: no limit."""
        number = os.stat(self.devices[name]).st_rdev
        with open(f"{CGROUP}/blkio.throttle.write_bps_device", "w", encoding="utf-8") as file:
            file.write(f"{os.major(number)}:{os.minor(number)} {int(rate)}\n")

    def tear_down(self):
        for name, loop in self.devices.items():
            subprocess.run(["umount", "-l", self.path("slow", name)], check=False)
            subprocess.run(["losetup", "-d", loop], check=False)
        subprocess.run(["rmdir", CGROUP], check=False)


def sh(*lines):
    for line in lines:
        subprocess.run(line.split(), check=True)


# ---- what is played ------------------------------------------------------------------------------------------------

def log_uniform(rng, low, high):
    return low * (high / low) ** rng.random()


def make_run(number, only=None):
    """One run: {class: …, client, disks: [{truth, …}]}, the same for the same number."""
    rng = random.Random(f"verdicts {number}")
    kinds = ["source", "client cpu", "network", "holding disk", "volume", "throttled", "scheduled", "none", "server cpu", "mixed"]
    if only:
        kinds = [only]
    kind = kinds[number % len(kinds)]
    run = {"number": number, "kind": kind, "client": "headrace", "disks": [], "maxdumps": 4, "inparallel": 4}
    if rng.random() < 0.3 and kind not in ("none", "client cpu", "source"):
        run["client"] = "amanda"
    if kind in ("source", "client cpu") and rng.random() < 0.15:
        run["client"] = "amanda"

    def source():
        rate = log_uniform(rng, 2e6, 30e6)
        on, off = rng.choice([(1, 0), (1, 0), (0.1, 0.2), (0.3, 0.3)])
        return {"truth": "source", "how": f"token bucket, {rate * on / (on + off) / 1e6:.1f} MB/s" + (f", bursts of {on} s" if off else ""),
                "mode": f"bucket {rate:.0f} {on} {off}"}

    def client_cpu():
        how = rng.choice(["filter", "filter", "filter", "tar", "gzip"])
        ns = int(log_uniform(rng, 36_000, 400_000))
        if how == "tar":
            return {"truth": "client cpu", "how": f"the archiver computes, {1.024e3 / ns:.3f} GB/s at most", "mode": f"tarburn {ns}"}
        if how == "gzip":
            return {"truth": "client cpu", "how": "gzip --best", "lines": "compress client best"}
        return {"truth": "client cpu", "how": f"a filter computes, {1.024e6 / ns:.1f} MB/s at most",
                "lines": "compress client custom", "burn": ns}

    if kind == "source":
        run["disks"] = [source() for _ in range(rng.choice([1, 2, 3]))]
    elif kind == "client cpu":
        run["disks"] = [client_cpu()]
    elif kind == "mixed":
        run["disks"] = [source(), client_cpu(), source()]
    elif kind == "network":
        run["net"] = log_uniform(rng, 2e6, 30e6)
        run["disks"] = [{"truth": "network", "how": f"tbf {run['net'] / 1e6:.1f} MB/s"} for _ in range(rng.choice([1, 2, 3]))]
    elif kind == "holding disk":
        run["holding"] = log_uniform(rng, 2e6, 30e6)
        run["disks"] = [{"truth": "holding disk", "how": f"blkio {run['holding'] / 1e6:.1f} MB/s"} for _ in range(rng.choice([1, 2, 3]))]
    elif kind == "volume":
        run["vtapes"] = log_uniform(rng, 2e6, 30e6)
        direct = rng.random() < 0.5
        run["disks"] = [{"truth": "volume", "how": f"blkio {run['vtapes'] / 1e6:.1f} MB/s, " + ("direct" if direct else "from holding disk"),
                         "lines": "holdingdisk never" if direct else "", "phase": "dump" if direct else "write"}]
        if not direct:
            run["client"] = "headrace"
    elif kind == "throttled":
        # A source that lets the dump last until it is throttled, and is faster than what it is throttled to.
        held = {"truth": "throttled", "mode": "bucket 40e6 1 0"}
        if rng.random() < 0.5:
            run["disks"] = [{**held, "how": "headrace pause", "control": "pause"}]
        else:
            rate = log_uniform(rng, 1e6, 20e6)
            run["disks"] = [{**held, "how": f"headrace limit --rate, {rate / 1e6:.1f} MB/s", "control": f"limit {rate / 1024:.0f}"}]
    elif kind == "scheduled":
        run.update(rng.choice([{"maxdumps": 1}, {"inparallel": 1}]))
        # Which of them begins is the server's choice; the others wait for it.
        run["disks"] = [source() for _ in DISKS]
    elif kind == "server cpu":
        ns = int(log_uniform(rng, 36_000, 400_000))
        run["disks"] = [{"truth": "server cpu", "how": f"a filter computes, {1.024e6 / ns:.1f} MB/s at most",
                         "lines": "compress server custom", "burn": ns}]
    elif kind == "none":
        run["net"] = log_uniform(rng, 15e6, 30e6)
        on = rng.uniform(0.9, 1.1)
        off = on * 0.85  # what is under way when the source stops goes on for a while
        run["disks"] = [{"truth": "none", "how": f"tbf {run['net'] / 1e6:.1f} MB/s, source on {on:.2f} s, off {off:.2f} s",
                         "mode": f"bucket 0 {on:.2f} {off:.2f}"}]
    return run


# ---- playing it ----------------------------------------------------------------------------------------------------

def configure(rig, run):
    for pattern in ("state/info/*", "state/index/*", "state/log/*", "holding/*", "vtapes/*/0*", "vtapes/*", "slow/holding/*",
                    "slow/vtapes/*", "lib-amanda/gnutar-lists/*", "etc-amanda/lab/tapelist*", "etc-amanda/lab/changer*",
                    "etc-amanda/lab/command_file*"):
        for path in glob.glob(rig.path(pattern)):
            subprocess.run(["rm", "-rf", path], check=True)
    open(rig.path("lib-amanda/amandates"), "w", encoding="utf-8").close()
    rig.maxdumps = run["maxdumps"]
    holding = rig.path("slow/holding" if "holding" in run else "holding")
    vtapes = rig.path("slow/vtapes" if "vtapes" in run else "vtapes")
    for number in range(1, rig.slots + 1):
        os.makedirs(f"{vtapes}/slot{number}", exist_ok=True)
    rig.give_to_backup(vtapes, rig.path("lib-amanda"))
    types = ""
    rig.disks = rig.disks[:0]
    for number, disk in enumerate(run["disks"], 1):
        lines = disk.get("lines", "")
        if "burn" in disk:
            filter_path = rig.path(f"bin/burn{number}")
            side = "server" if "server" in lines else "client"
            rig.write(filter_path, f'#!/bin/sh\n[ "$1" = -d ] && exec cat\nexec {rig.path("bin/helper")} burn {disk["burn"]}\n')
            os.chmod(filter_path, 0o755)
            lines += f'\n    {side}-custom-compress "{filter_path}"'
        types += f"define dumptype lab{number} {{\n    lab\n    {lines}\n}}\n"
        rig.disks.append((CLIENT, f"/disk{number}", rig.path(f"tree/disk{number}"), f"lab{number}"))
    for number in DISKS:
        mode = run["disks"][number - 1].get("mode", "") if number <= len(run["disks"]) else ""
        rig.write(rig.path(f"tree/mode-disk{number}"), mode + "\n")
    rig.write_config()
    path = rig.path("etc-amanda", CONF, "amanda.conf")
    text = rig.read(f"etc-amanda/{CONF}/amanda.conf")
    text = text.replace(rig.path("holding"), holding).replace(f"chg-disk:{rig.path('vtapes')}", f"chg-disk:{vtapes}")
    text = text.replace("inparallel 4", f"inparallel {run['inparallel']}")
    rig.write(path, text + types)
    rig.give_to_backup(rig.path("etc-amanda"))
    limit_network(run.get("net", 0))
    for name in ("holding", "vtapes"):
        rig.limit_device(name, run.get(name, 0))


def limit_network(rate):
    subprocess.run("tc -n client qdisc del dev v1 root".split(), check=False, stderr=subprocess.DEVNULL)
    if rate:
        sh(f"tc -n client qdisc add dev v1 root tbf rate {int(rate * 8 / 1e3)}kbit burst 256kb latency 100ms")


def events_of(rig):
    found = []
    for path in glob.glob(rig.path("state/log/journal.*")):
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                try:
                    found.append(json.loads(line))
                except ValueError:
                    pass
    return found


def begun(events, disk, phase):
    if phase == "write":
        return any(event["type"] == "image-write-started" and event["disk"] == disk for event in events)
    return any(event["type"] == "dump-progress" and event["disk"] == disk and event["joints"] for event in events)


def control(rig, disk, words):
    if words.startswith("limit"):
        rig.headrace("limit", CONF, CLIENT, disk, "--rate", words.split()[1])
    else:
        rig.headrace("pause", CONF, CLIENT, disk)


def play(rig, run):
    """[{truth, said, …}] of a run's dumps."""
    configure(rig, run)
    if rig.client != run["client"] or not rig.listening:
        for child in rig.listening.values():
            child.terminate()
            child.wait()
        rig.listening.clear()
        rig.client = run["client"]
        rig.start_client()
    with open(rig.path("out/dump.log"), "ab") as output:
        server = subprocess.Popen([rig.path("bin/headrace"), "dump", CONF], stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                  env=rig.environment("root"), preexec_fn=join_cgroup)
    try:
        names = [f"/disk{number}" for number in range(1, len(run["disks"]) + 1)]
        enough = any if run["kind"] == "scheduled" else all

        def flowing():
            events = events_of(rig)
            return server.poll() is not None or enough(begun(events, name, run["disks"][0].get("phase")) for name in names)

        wait_for(flowing, "the dumps to flow", 40)
        for number, disk in enumerate(run["disks"], 1):
            if "control" in disk:
                time.sleep(1)
                control(rig, f"/disk{number}", disk["control"])
        time.sleep(STEADY)
        events = events_of(rig)
        expect(server.poll() is None, "the run ended too early:\n" + rig.read("out/dump.log")[-2000:])
    finally:
        server.send_signal(signal.SIGKILL)
        server.wait()
    trials = []
    for number, disk in enumerate(run["disks"], 1):
        name = f"/disk{number}"
        if run["kind"] == "scheduled" and not begun(events, name, None):
            disk = {"truth": "scheduled", "how": "maxdumps 1" if run["maxdumps"] == 1 else "inparallel 1"}
        if run["disks"][0].get("phase") != "write" and any(event["type"] == "dump-finished" and event["disk"] == name for event in events):
            print(f"run {run['number']}, {name}: over before it was looked at ({disk['how']})", flush=True)
            continue
        said = [event for event in events if event["type"] == "verdict" and event["disk"] == name]
        last = said[-1] if said else {"verdict": "(nothing)", "confidence": 0, "evidence": "", "rate": 0}
        trials.append({"run": run["number"], "kind": run["kind"], "client": run["client"], "truth": disk["truth"], "how": disk["how"],
                       "said": last["verdict"], "confidence": round(last["confidence"], 3), "evidence": last["evidence"],
                       "rate": last["rate"]})
    end_archivers(rig)
    return trials


def end_archivers(rig):
    """Headrace's client sees its connection go; Amanda's would go on to the end of its dump. All that runs here is ours."""
    words = [rig.path("bin/helper"), rig.path("bin/real-tar"), "gzip --"] + (["amandad -auth"] if rig.client == "amanda" else [])

    def left():
        found = subprocess.run(["pgrep", "-f", "|".join(words)], capture_output=True, text=True, check=False).stdout.split()
        if rig.client == "amanda":
            for pid in found:
                try:
                    os.kill(int(pid), signal.SIGKILL)
                except ProcessLookupError:
                    pass
        return found

    wait_for(lambda: not left(), "the archivers to end", 20)


def join_cgroup():
    with open(f"{CGROUP}/cgroup.procs", "w", encoding="utf-8") as file:
        file.write(str(os.getpid()))


def load():
    try:
        with open(RESULTS, encoding="utf-8") as file:
            return [json.loads(line) for line in file]
    except OSError:
        return []


def run_all(options):
    global CGROUP
    CGROUP += f"-{options.lane}"
    done = load()
    numbers = {trial["run"] for trial in done}
    ends = time.monotonic() + options.seconds
    root = f"/var/tmp/headrace-verdicts-{options.lane}"
    os.makedirs(root, exist_ok=True)
    sh(f"mount -t tmpfs -o size=2500m,mode=755 verdicts {root}")
    os.setpriority(os.PRIO_PROCESS, 0, -15)
    played = 0
    with Rig(client="headrace", root=root, index=False, part_mb=0, length_mb=2000, chunk="1 GB") as rig:
        rig.devices = {}
        try:
            rig.prepare()
            number = 0
            while len(done) < options.trials and number < 10 * options.trials and time.monotonic() < ends:
                run = make_run(number, options.only)
                number += 1
                if run["number"] % options.lanes != options.lane:
                    continue
                if run["number"] in numbers and not options.only or (options.skip and run["kind"] in options.skip):
                    continue
                try:
                    trials = play(rig, run)
                except Failure as failure:
                    print(f"run {run['number']} ({run['kind']}): {failure}", flush=True)
                    continue
                played += len(trials)
                for trial in trials:
                    mark = "  " if trial["said"] == trial["truth"] else "##"
                    print(f"{mark} {trial['run']:4} {trial['client']:8} {trial['truth']:12} said {trial['said']:12} "
                          f"{trial['confidence']:.2f} {trial['rate'] / 1e6:7.1f} MB/s  {trial['how']}: {trial['evidence']}", flush=True)
                if not options.try_only:
                    os.makedirs(os.path.dirname(RESULTS), exist_ok=True)
                    with open(RESULTS, "a", encoding="utf-8") as file:
                        file.writelines(json.dumps(trial) + "\n" for trial in trials)
                    done += trials
                elif played >= options.trials:
                    break
        finally:
            rig.tear_down()
    print(f"{played} trials played, {len(done)} in all")


# ---- the page ------------------------------------------------------------------------------------------------------

def matrix(trials):
    counts = collections.Counter((trial["truth"], trial["said"]) for trial in trials)
    said = [name for name in CLASSES + ["(nothing)"] if any(trial["said"] == name for trial in trials)]
    head = "| injected \\ said | " + " | ".join(said) + " | right |\n|---|" + "---:|" * (len(said) + 1) + "\n"
    rows = ""
    for truth in CLASSES:
        mine = sum(trial["truth"] == truth for trial in trials)
        if mine:
            rows += f"| {truth} | " + " | ".join(str(counts[truth, name] or "") for name in said) + f" | {counts[truth, truth]} of {mine} |\n"
    return head + rows


def share(trials):
    right = sum(trial["truth"] == trial["said"] for trial in trials)
    return f"{right} of {len(trials)}, {100 * right / max(len(trials), 1):.1f} %"


def report():
    trials = load()
    expect(trials, f"no trials in {RESULTS}")
    text = f"""# Verdicts on known limits

Written by `bench/verdicts.py report`; its head says what is injected and how. Each trial with its evidence stands in `verdicts.jsonl`.

**Named right: {share(trials)}.**

## All
{matrix(trials)}
"""
    for client, name in (("headrace", "A Headrace client"), ("amanda", "The real amandad of 3.5.1 as client")):
        mine = [trial for trial in trials if trial["client"] == client]
        if mine:
            text += f"## {name}\nNamed right: {share(mine)}.\n\n{matrix(mine)}\n"
    wrong = [trial for trial in trials if trial["truth"] != trial["said"]]
    text += "## Named wrong\n"
    for trial in wrong:
        text += (f"- run {trial['run']}, client {trial['client']}, {trial['truth']} ({trial['how']}): {trial['said']}, "
                 f"confidence {trial['confidence']:.2f}: {trial['evidence']}\n")
    if not wrong:
        text += "None.\n"
    with open(PAGE, "w", encoding="utf-8") as file:
        file.write(text)
    print(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("do", choices=["run", "report"])
    parser.add_argument("--seconds", type=float, default=230, help="starts no trial after that")
    parser.add_argument("--trials", type=int, default=240, help="trials wanted in all")
    parser.add_argument("--lanes", type=int, default=1, help="how many of these are run side by side")
    parser.add_argument("--lane", type=int, default=0, help="which of them this is, from 0")
    parser.add_argument("--only", help="plays one class, keeps nothing")
    parser.add_argument("--skip", action="append", help="leaves a class out")
    options = parser.parse_args()
    options.try_only = options.only is not None
    if options.do == "report":
        return report()
    labs.inside()
    os.environ["HEADRACE_KEEP"] = ""
    run_all(options)


if __name__ == "__main__":
    main()
