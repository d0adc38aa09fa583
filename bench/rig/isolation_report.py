"""Sums up a series of isolation.py: what is asked, what was measured, and whether that is enough.

What is asked of a client is asked as a ratio to one process a dump in the same series: the real Amanda under bsdtcp,
or under local for local, which no link limits. A figure is the median of its client's runs, a ratio that of two medians.
"""
import collections
import json
import os
import statistics

import initiator
import rig as rigs
from phases import FAST, RANDOM_PAUSES, SLOW, pauses_name, sum_of

KINDS = {"relay": "Amanda, relaying as until 3.4", "amanda": "Amanda 3.5.1", "headrace": "Headrace", "headrace-inetd": "Headrace under xinetd"}
MET, MISSED = "✓", "✗"
NO_ANSWER_MS = 3000.0
FLOW_BUDGET_MB = 2.0
Criterion = collections.namedtuple("Criterion", "name asked figure good digits")


class Client:
    """All runs of one program under one auth."""

    def __init__(self, kind, auth, series):
        self.kind, self.auth = kind, auth
        self.runs, self.streams, self.verdicts = ([run for run in series if what in run] for what in ("phases", "streams", "verdicts"))

    def values(self, phase, figure):
        return [figure(run["phases"][phase]) for run in self.runs if phase in run["phases"]]

    def median(self, phase, figure):
        values = self.values(phase, figure)
        return statistics.median(values) if values else None


def total(phase):
    return sum_of(phase["rates"])


def of(*disks):
    return lambda phase: sum_of(phase["rates"], disks)


def at_once(phase):
    return sum_of(phase["at_once"], FAST)


def milliseconds(name):
    return lambda phase: NO_ANSWER_MS if phase[name] is None else phase[name]


def unfairness(phase):
    share = total(phase) / len(rigs.DISKS)
    return max(abs(rate / share - 1) for rate in phase["rates"].values()) if share else 1.0


def against(phase, figure):
    def ratio(client, reference):
        ours, theirs = client.median(phase, figure), reference.median(phase, figure)
        return ours / theirs if ours is not None and theirs else None
    return ratio


def itself(phase, figure):
    return lambda client, _: client.median(phase, figure)


def over_network(figure):
    """A figure that has no meaning for a client that the server starts itself."""
    return lambda client, reference: None if client.auth == "local" else figure(client, reference)


def jump(client, _):
    slow, paused = client.median("slow path", total), client.median("two paused", total)
    return paused / slow if slow else None


def at_least(limit):
    return f"≥ {limit:g}", lambda value: value >= limit


def at_most(limit):
    return f"≤ {limit:g}", lambda value: value <= limit


def criterion(name, bound, figure, digits=2):
    return Criterion(name, bound[0], figure, bound[1], digits)


CRITERIA = [
    criterion("1 one receiver stopped for 10 s: the other two", at_least(0.95), against("stopped", of(*FAST))),
    criterion("1 the same, from 0.5 s to 1.5 s after the stop", at_least(0.95), against("stopped", at_once)),
    criterion("1 the client's memory grows by, MB", at_most(FLOW_BUDGET_MB), itself("stopped", lambda phase: phase["memory_growth_mb"]), 1),
    criterion("1 slowest answer to a noop meanwhile, ms", at_most(100), over_network(itself("stopped", milliseconds("noop_ms"))), 0),
    criterion("1 slowest acknowledgement of a selfcheck meanwhile, ms", at_most(100), over_network(itself("stopped", milliseconds("request_ms"))), 0),
    criterion("2 one path at 5 MB/s: its dump", at_least(0.95), against("slow path", of(SLOW))),
    criterion("2 one path at 5 MB/s: the other two", at_least(0.95), against("slow path", of(*FAST))),
    criterion("2 one receiver at 10 % duty: sum", at_least(0.95), against("10% duty", total)),
    criterion("2 one receiver at 5 % duty: sum", at_least(0.95), against("5% duty", total)),
    criterion("3 jump of the sum when the slow dump and another are paused", at_most(1.05), jump),
    *(criterion(f"4 all three pause at random, {mean * 1e3:.0f} ms at a time, on {share:.0%}", at_least(0.95),
                against(pauses_name(mean, share), total)) for mean, share, _ in RANDOM_PAUSES),
    criterion("5 equal receivers: farthest from a third", at_most(0.10), itself("equal", unfairness)),
    criterion("5 equal receivers: sum", at_least(0.98), against("equal", total)),
    criterion("5 one alone", at_least(0.98), against("alone", total)),
    criterion("6 the freed dump from 1 s on, of a third", at_least(0.90), itself("stopped", lambda phase: phase["recovery"]["freed_share"])),
    criterion("6 longest dip of a neighbour below 90 % of its third, s", at_most(0.2), itself("stopped", lambda phase: phase["recovery"]["longest_dip_s"])),
]


def cpu_criterion(clients):
    def figure(client, _):
        theirs = clients.get(("amanda", client.auth))
        theirs = theirs.median("equal", lambda phase: phase["cpu_s_per_gb"]) if theirs else None
        return client.median("equal", lambda phase: phase["cpu_s_per_gb"]) / theirs if theirs else None
    return criterion("5 CPU of the client a byte, tar excepted, against Amanda's under the same auth", at_most(1.0), figure)


def load(path):
    """{(kind, auth): Client}, in the order of the tables."""
    series, machine = collections.defaultdict(list), ""
    with open(path, encoding="utf-8") as file:
        for line in file:
            entry = json.loads(line)
            series[entry["client"], entry["auth"]].append(entry)
            machine = entry["machine"]
    pairs = [(kind, auth) for kind in ("headrace", "headrace-inetd", "amanda", "relay") for auth in rigs.AUTHS if series[kind, auth]]
    return {pair: Client(*pair, series[pair]) for pair in pairs}, machine


def row(cells):
    return "| " + " | ".join(cells) + " |"


def table(head, rows):
    return "\n".join([row(head), row(["---"] * len(head)), *map(row, rows)])


def judged(one, client, reference):
    if not client.runs or not reference or not reference.runs:
        return ""
    value = one.figure(client, reference)
    if value is None:
        return ""
    value = round(value, one.digits)
    text = f"{value:.{one.digits}f}" if value < NO_ANSWER_MS else "no answer"
    return f"{text} {MET if one.good(value) else MISSED}"


def reference_of(clients, client):
    return clients.get(("amanda", "local" if client.auth == "local" else "bsdtcp"))


def criteria_table(clients):
    shown = [client for client in clients.values() if client.runs]
    rows = []
    for one in [*CRITERIA[:-2], cpu_criterion(clients), *CRITERIA[-2:]]:
        cells = [judged(one, client, reference_of(clients, client)) for client in shown]
        if any(cells):
            rows.append([one.name, one.asked, *cells])
    return table(["", "asked", *(f"{client.kind} {client.auth}" for client in shown)],
                 [*rows, ["runs", "5", *(str(len(client.runs)) for client in shown)]])


def spread(values, digits=1):
    if not values:
        return ""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def rates_table(clients):
    shown = [client for client in clients.values() if client.runs]
    names = []
    for client in shown:
        for run in client.runs:
            names += [name for name in run["phases"] if name not in names]
    rows = [[name, *(spread(client.values(name, total)) for client in shown)] for name in names]
    rows.append(["seconds until the first byte of a dump", *(spread([run["began_after_s"] for run in client.runs]) for client in shown)])
    rows.append(["client's memory at most, MB", *(spread(client.values("stopped", lambda phase: phase["memory_mb"])) for client in shown)])
    return table(["sum of three, MB/s", *(f"{client.kind} {client.auth}" for client in shown)], rows)


def stream_rows(client):
    """{(dumps, kind): [(DATA kept, INDEX kept, MESG kept, noop ms, memory growth MB)]}"""
    found = collections.defaultdict(list)
    for run in client.streams:
        for each in run["streams"]:
            kept = [each["during"][kind] / each["before"][kind] if each["before"][kind] else 0.0 for kind in ("DATA", "INDEX", "MESG")]
            found[each["dumps"], each["kind"]].append((*kept, each["noop_ms"], each["memory_growth_mb"], each["unread_kb"]))
    return found


def streams_table(clients):
    rows = []
    for client in clients.values():
        for (dumps, kind), values in sorted(stream_rows(client).items(), key=lambda item: (item[0][0], initiator.KINDS.index(item[0][1]))):
            data, index, mesg = (statistics.median(value[place] for value in values) for place in range(3))
            noops = [NO_ANSWER_MS if value[3] is None else value[3] for value in values]
            noop = "" if client.auth == "local" else "no answer" if statistics.median(noops) >= NO_ANSWER_MS else f"{statistics.median(noops):.0f}"
            what = kind if client.auth == "bsd" else "the connection of all four"
            rows.append([f"{client.kind} {client.auth}", str(dumps), what, f"{data:.2f} {MET if data >= 0.95 else MISSED}", f"{index:.2f}", f"{mesg:.2f}",
                         noop, f"{statistics.median(value[4] for value in values):.1f}", str(len(values))])
    return table(["client", "dumps", "left unread of one", "DATA of the others (asked ≥ 0.95)", "INDEX", "MESG", "noop, ms", "memory grows, MB", "runs"], rows)


def verdicts_table(clients):
    """The slow dump is to be called network; its neighbours network too, whose link is full, or none."""
    rows = []
    for client in clients.values():
        looks, right = collections.Counter(), collections.Counter()
        for run in client.verdicts:
            for disk, seen in run["verdicts"]["slow path"].items():
                who = "slow" if disk == run["slow"] else "others"
                for verdict, count in seen.items():
                    looks[who, verdict] += count
                    right[who] += count * (verdict in (("network",) if who == "slow" else ("network", "none")))
        cells = []
        for who in ("slow", "others"):
            all_of_them = sum(count for (each, _), count in looks.items() if each == who)
            said = ", ".join(f"{verdict} {count}" for (each, verdict), count in looks.most_common() if each == who)
            cells.append(f"{said} {MET if right[who] >= 0.95 * all_of_them else MISSED}")
        if client.verdicts:
            rows.append([f"{client.kind} {client.auth}", *cells, str(len(client.verdicts))])
    return table(["7 one path at 5 MB/s, looked at each second", "its dump (asked: network)", "the others (asked: network or none)", "runs"], rows)


def picture(clients, path):
    import plot
    rows, series = [], {}
    for kind, auth, face in (("relay", "bsd", True), ("relay", "bsdudp", False), ("amanda", "bsd", True), ("amanda", "bsdudp", False),
                             ("headrace", "bsd", True), ("headrace", "bsdudp", False), ("headrace-inetd", "bsd", True), ("headrace-inetd", "bsdudp", False)):
        if (kind, auth) in clients and clients[kind, auth].runs:
            series[kind, auth] = (kind, f"{KINDS[kind]}, {auth}", face)
    reference = clients.get(("amanda", "bsdtcp"))
    for label, phase, figure in [("one path at 5 MB/s", "slow path", total), ("one receiver stopped", "stopped", total),
                                 ("one receiver at 10 % duty", "10% duty", total), ("one receiver at 5 % duty", "5% duty", total),
                                 *((f"all pause at random,\n{mean * 1e3:.0f} ms, on {share:.0%}", pauses_name(mean, share), total)
                                   for mean, share, _ in RANDOM_PAUSES)]:
        values = {pair: against(phase, figure)(clients[pair], reference) for pair in series} if reference else {}
        rows.append((label, {pair: value for pair, value in values.items() if value is not None}))
    plot.dots(path, rows, series, "Three dumps through one client process, one receiver in trouble",
              "sum of the three, against one process a dump (Amanda 3.5.1, bsdtcp) in the same series", 0.95)


def verdict(clients):
    asked = missed = 0
    misses = []
    for client in clients.values():
        if not client.kind.startswith("headrace") or not client.runs:
            continue
        for one in [*CRITERIA, cpu_criterion(clients)]:
            cell = judged(one, client, reference_of(clients, client))
            asked += bool(cell)
            if MISSED in cell:
                missed += 1
                misses.append(f"- {client.kind} {client.auth}: {one.name}: {cell.split()[0]}, asked {one.asked}")
    return f"Headrace meets **{asked - missed} of {asked}** of what is asked in the first table.\n" + "\n".join(misses)


def write(series):
    clients, machine = load(series)
    results = os.path.join(rigs.BENCH, "results")
    picture(clients, os.path.join(results, "isolation.png"))
    proofs = sum(len(client.runs) + len(client.streams) + len(client.verdicts) for client in clients.values())
    text = f"""# No stream waits for another

{verdict(clients)}

{criteria_table(clients)}

![sums against one process a dump](isolation.png)

Ratios are to one process a dump in the same series: Amanda 3.5.1 under bsdtcp, for local under local. Medians; no figure
is kept from a run whose client did not then make one more dump that was restored bit for bit ({proofs} restores).
`headrace` is one daemon for all dumps, `headrace-inetd` the same program as amandad under xinetd, `relay` the real
amandad 3.5.1 without its shared memory ring, which is how all releases until 3.4 moved data.

## Rates
{rates_table(clients)}

Median (lowest–highest). The link is {rigs.LINK_MBIT} Mbit/s; `local` has none and runs as fast as two cores let it, for as long as
24 GB last. "slow path" has 5 MB/s beside the link's. The real amandad under bsd and bsdudp ends between planner and
dumper, and xinetd throws the next request away: most sessions wait 10 s for the server to send it again.

## 3, 10 and 50 dumps, and every kind of stream
{streams_table(clients)}

Against the same dumps in the second before. Where four streams share a connection a receiver can only leave all of them
unread. STATE is closed at once for GNU tar: there is nothing in it that could stand still. The trees have 200 long names and 100
sockets beside each block of data, so that INDEX and MESG fill within a second.

## What Headrace's server says
{verdicts_table(clients)}

Here server and client are Headrace. Every limit that can be injected, and how often it is named right: [verdicts](verdicts.md).

## How
{machine}. Every process in namespaces of its own; source trees and holding disk on tmpfs; lo with MTU 9000 behind HTB.
`bench/rig/phases.py` says what is done and how each figure is taken. Made by

    bench/isolation.py run CLIENT:AUTH ...       # again and again: each run adds a line to results/isolation.jsonl
    bench/isolation.py streams CLIENT:AUTH ...
    bench/isolation.py verdicts headrace:AUTH ...
    bench/isolation.py report
"""
    with open(os.path.join(results, "isolation.md"), "w", encoding="utf-8") as file:
        file.write(text)
    print(text)
