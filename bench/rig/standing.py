"""Dumps of which one stream is left unread: 3, 10 and 50 through one client, and every kind of stream in turn.

The server is the bench's own (initiator.py). Looked at: what the other dumps' DATA, INDEX and MESG do meanwhile,
how soon the client answers a noop, and how much its memory grows.
"""
import threading
import time

import initiator
import rig as rigs
from lab import wait_for
from phases import Asking

# How many dumps, and the folders and the bytes in each of their tree: large enough to last, and with so many names
# beside the data that an unread INDEX is full in a second at the rate that a dump has among so many.
CASES = {3: (600, 2_000_000), 10: (350, 600_000), 50: (400, 100_000)}
BEFORE_SECONDS, STANDING_SECONDS = 1.5, 2.5


def tree_for(count):
    return f"names for {count}"


def fill(rig):
    for count, (folders, block) in CASES.items():
        rig.fill_with_names(tree_for(count), folders, block)


def memory(rig):
    return sum(process.rss for process in rig.client_processes().values())


def measure(receivers, seconds):
    before, since = receivers.look(), time.monotonic()
    time.sleep(seconds)
    return initiator.rates(before, receivers.look(), time.monotonic() - since)


def of_others(rates, standing, kind):
    return round(sum(rate[kind] for number, rate in enumerate(rates) if number != standing) / 1e6, 3)


def stand(rig, receivers, number, kind, auth):
    """[figures of the other dumps while one stream of one dump is left unread], or [] when it has ended."""
    before = measure(receivers, BEFORE_SECONDS)
    had = memory(rig)
    standing = receivers.stand_still(number, kind)
    if standing is None:
        return []
    time.sleep(1.0)
    answers = []
    asking = threading.Thread(target=lambda: answers.append(initiator.ask(auth, "noop", seconds=STANDING_SECONDS)[1]))
    if auth != "local":
        asking.start()
    during = measure(receivers, STANDING_SECONDS)
    if auth != "local":
        asking.join()
    grown, unread = memory(rig) - had, receivers.unread(standing)
    receivers.go_on(standing)
    time.sleep(0.7)
    return [{"dumps": len(before), "kind": kind, "noop_ms": Asking.worst(answers) if answers else None,
             "memory_growth_mb": round(grown / 1e6, 2), "unread_kb": round(unread / 1e3),
             "before": {each: of_others(before, number, each) for each in initiator.KINDS},
             "during": {each: of_others(during, number, each) for each in initiator.KINDS},
             "slowest": round(min(rate["DATA"] for other, rate in enumerate(during) if other != number) / 1e6, 3),
             "own": {each: round(during[number][each] / 1e6, 3) for each in initiator.KINDS}}]


def with_dumps(rig, count, auth):
    receivers = initiator.Receivers(auth, rig.amandad())
    try:
        for number in range(count):
            receivers.start(f"/names{number}", rig.path(tree_for(count)))
        wait_for(lambda: all(counts["DATA"] > 1e6 for counts in receivers.look()), f"{count} dumps in flow", 60)
        time.sleep(1.0)
        processes = len(rig.client_processes())
        # On one connection no stream can be left unread alone: one case stands for all kinds.
        kinds = initiator.KINDS if auth == "bsd" else initiator.KINDS[:1]
        return [{"client_processes": processes, **row} for number, kind in enumerate(kinds)
                for row in stand(rig, receivers, number % count, kind, auth)]
    finally:
        receivers.end()


def one_run(rig, kind, auth):
    rows = []
    for count in CASES:
        rig.change_to(kind, auth)
        rows += with_dumps(rig, count, auth)
    words = ", ".join(f"{row['dumps']} {row['kind']} {row['before']['DATA']:.0f} > {row['during']['DATA']:.0f}" for row in rows)
    return {"short": words, "client": kind, "auth": auth, "streams": rows, "proof": rig.prove(), "machine": rigs.machine()}
