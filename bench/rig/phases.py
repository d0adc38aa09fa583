"""What is done to three dumps while they run, and what is looked at: the phases of both benches that use the rig.

Each phase takes a Run and returns figures only; which of them are good enough is decided where results are summed up.
The first dump's receiver is the slow one. Times are monotonic seconds.
"""
import threading
import time

import initiator
from rig import DISKS, Link, go_on, pause_at_random, stop, take_turns

SLOW, *FAST = DISKS
WINDOW = 0.2
RANDOM_PAUSES = ((0.05, 0.5, 3.0), (0.2, 0.5, 4.5), (1.0, 0.5, 5.4), (0.2, 0.25, 4.5))  # seconds a pause, share, seconds measured


def sum_of(rates, disks=DISKS):
    return round(sum(rates[disk] for disk in disks), 2)


class Marks:
    """Names of phases and when they began, for the plot."""

    def __init__(self):
        self.began, self.found = time.monotonic(), []

    def add(self, name):
        self.found.append([round(time.monotonic() - self.began, 2), name])


def tars(run, *disks):
    return [run.tar[disk] for disk in disks]


def equal(run, seconds=3.0):
    """All three, nothing in their way; and what the client's CPU does meanwhile."""
    before, since = run.client_cpu(), time.monotonic()
    rates = run.growth.measure(seconds)
    after, took = run.client_cpu(), time.monotonic() - since
    used = sum(cpu - before.get(pid, cpu) for pid, cpu in after.items())
    return {"rates": rates, "cpu_s_per_gb": round(used / (sum_of(rates) * took / 1e3), 3)}


def alone(run, seconds=1.5):
    paused = tars(run, DISKS[0], DISKS[1])
    stop(*paused)
    time.sleep(1.0)
    rates = run.growth.measure(seconds)
    go_on(*paused)
    time.sleep(1.5)
    return {"rates": rates}


def slow_path(run):
    """One path of three at 5 MB/s; then the slow dump and a fast one paused, which must not free anything."""
    Link.slow_down(*Link.connection_of(run.receiver[SLOW]))
    time.sleep(2.5)
    found = {"slow path": {"rates": run.growth.measure(3.0)}}
    paused = tars(run, SLOW, FAST[0])
    stop(*paused)
    time.sleep(1.5)
    found["two paused"] = {"rates": run.growth.measure(2.0)}
    go_on(*paused)
    Link.restore()
    time.sleep(2.0)
    return found


class Asking(threading.Thread):
    """Asks the client for noop and for a selfcheck, again and again, while something else is going on."""

    def __init__(self, auth, seconds):
        super().__init__(daemon=True)
        self.auth, self.until = auth, time.monotonic() + seconds
        self.noop, self.request = [], []

    def run(self):
        while time.monotonic() < self.until:
            self.noop.append(initiator.ask(self.auth, "noop")[1])
            time.sleep(0.2)
            self.request.append(initiator.ask(self.auth, "selfcheck")[0])
            time.sleep(0.6)

    @staticmethod
    def worst(times):
        return None if None in times or not times else round(1e3 * max(times), 1)


class Memory(threading.Thread):
    """What the client's programs occupy at most."""

    def __init__(self, run):
        super().__init__(daemon=True)
        self.looked_at, self.before = run, run.client_memory()
        self.peak, self.ended = self.before, threading.Event()

    def run(self):
        while not self.ended.wait(0.25):
            self.peak = max(self.peak, self.looked_at.client_memory())


def stopped(run, hold=10.0):
    """One receiver stands still, then goes on. Meanwhile: the others, the client's memory and its manners."""
    memory = Memory(run)
    calm = Asking(run.rig.auth, 1.5) if run.rig.auth != "local" else None
    if calm:
        calm.start()
        calm.join()
    when = time.monotonic()
    stop(run.receiver[SLOW])
    memory.start()
    asking = Asking(run.rig.auth, hold - 3.5) if calm else None
    if asking:
        time.sleep(0.5)
        asking.start()
    time.sleep(max(0.0, when + hold - time.monotonic()))
    memory.ended.set()
    memory.join()
    if asking:
        asking.join()
    end = time.monotonic()
    go_on(run.receiver[SLOW])
    time.sleep(3.0)
    growth = run.growth
    return {"rates": growth.rates(when + 0.5, end), "at_once": growth.rates(when + 0.5, when + 1.5),
            "memory_growth_mb": round((memory.peak - memory.before) / 1e6, 2), "memory_mb": round(memory.peak / 1e6, 1),
            "calm_noop_ms": Asking.worst(calm.noop) if calm else None, "calm_request_ms": Asking.worst(calm.request) if calm else None,
            "noop_ms": Asking.worst(asking.noop) if asking else None, "request_ms": Asking.worst(asking.request) if asking else None,
            "recovery": recovery(growth, end)}


def recovery(growth, end):
    """After the receiver went on: its rate from one second on, and the longest time a neighbour stayed below
    90 % of a third of the sum, looked at in windows of 0.2 s."""
    settled = growth.rates(end + 1.0, end + 3.0)
    share = sum_of(settled) / len(DISKS)
    samples = [sample for sample in growth.samples if end <= sample[0] <= end + 3.0]
    longest = 0.0
    for disk in FAST:
        low_since = None
        first = 0
        for when, sizes in samples:
            while samples[first][0] < when - WINDOW:
                first += 1
            earlier, size = samples[first]
            if when - earlier < 0.75 * WINDOW:
                continue
            rate = (sizes.get(disk, 0) - size.get(disk, 0)) / 1e6 / (when - earlier)
            if rate >= 0.9 * share:
                low_since = None
                continue
            low_since = low_since or when
            longest = max(longest, when - low_since)
    return {"rates": settled, "freed_share": round(settled[SLOW] / share, 3) if share else 0.0, "longest_dip_s": round(longest, 2)}


def duty(run, share, seconds=3.0):
    """One receiver runs for a share of each tenth of a second."""
    thread = threading.Thread(target=take_turns, args=([run.receiver[SLOW]], share, seconds + 1.2), daemon=True)
    thread.start()
    time.sleep(1.0)
    rates = run.growth.measure(seconds)
    thread.join()
    go_on(run.receiver[SLOW])
    time.sleep(1.0)
    return {"rates": rates}


def pauses_name(mean, share):
    return f"pauses of {mean * 1e3:.0f} ms, on {share:.0%}"


def random_pauses(run, mean, share, seconds):
    """Three equal receivers that pause at different moments, the same moments for every client."""
    receivers = [run.receiver[disk] for disk in DISKS]
    finish = pause_at_random(receivers, mean, share, seconds + 2.0)
    time.sleep(1.0)
    rates = run.growth.measure(seconds)
    finish()
    time.sleep(0.5)
    return {"rates": rates}


def everything(run):
    """The phases of the isolation bench, on a link."""
    time.sleep(1.0)
    found = {"equal": equal(run), "alone": alone(run), **slow_path(run), "stopped": stopped(run)}
    for share in (0.10, 0.05):
        found[f"{share:.0%} duty"] = duty(run, share)
    for mean, share, seconds in RANDOM_PAUSES:
        found[pauses_name(mean, share)] = random_pauses(run, mean, share, seconds)
    return found


def without_link(run):
    """The phases that make sense where no network limits the dumps: `local`, whose three dumps end within half a minute."""
    found = {"equal": equal(run, 1.5), "stopped": stopped(run, 3.0)}
    for share in (0.10, 0.05):
        found[f"{share:.0%} duty"] = duty(run, share, 1.5)
    return found


def of_2014(run):
    """What the site did, and what it could not do then, in one run of a minute: the time line of the demonstration."""
    marks, found = Marks(), {}

    def phase(name, settle, seconds):
        marks.add(name)
        time.sleep(settle)
        found[f"{len(found) + 1} {name}".replace("\n", " ")] = {"rates": run.growth.measure(seconds)}

    slow_and_one, both_fast = tars(run, SLOW, FAST[0]), tars(run, *FAST)
    phase("all three", 0.5, 2.5)
    stop(*slow_and_one)
    phase("two tars\npaused", 1.0, 3.0)
    go_on(*slow_and_one)
    phase("resumed", 1.5, 2.0)
    Link.slow_down(*Link.connection_of(run.receiver[SLOW]))
    phase("one path at\n5 MB/s", 3.0, 4.0)
    stop(*slow_and_one)
    phase("slow and one fast\ntar paused", 2.5, 2.5)
    go_on(*slow_and_one)
    phase("resumed", 2.0, 3.0)
    stop(*both_fast)
    phase("both fast\ntars paused", 1.0, 3.0)
    go_on(*both_fast)
    Link.restore()
    phase("path\nrestored", 3.0, 2.0)
    stop(run.receiver[SLOW])
    phase("one receiver\nstopped", 1.0, 4.0)
    go_on(run.receiver[SLOW])
    phase("continued", 1.5, 2.0)
    for share in (0.10, 0.05):
        turns = threading.Thread(target=take_turns, args=([run.receiver[SLOW]], share, 5.2), daemon=True)
        turns.start()
        phase(f"receiver at\n{share:.0%} duty", 1.5, 3.6)
        turns.join()
        go_on(run.receiver[SLOW])
        phase(f"after {share:.0%}", 1.5, 1.5)
    marks.add("end")
    return found, marks.found, run.growth.timeline(marks.began)
