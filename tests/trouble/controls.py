#!/usr/bin/env python3
"""A run that is changed while it goes on: pauses, limits, experiments, and what becomes of them in trouble.

  controls.py NAME | --list        HEADRACE names the program; HEADRACE_KEEP=1 keeps the files

What is expected of all: a command's answer is true, nothing is lost, nothing times out, and no gate stays
closed behind anybody's back.
"""
import glob
import json
import os
import re
import shutil
import signal
import stat
import sys
import time

import scenarios
import slow_tar
from scenarios import expect, text_of, wait_for
from lab import CLIENT, CONF

SCENARIOS = {}
scenario = scenarios.registering(SCENARIOS)
MIB = 1 << 20
# What may still come through a closed gate, or beyond a rate: the rings on the way and one burst.
IN_RINGS = 3 * MIB


def facts(night):
    """The run as `headrace status --json` has it, its dumps by the name of their disk."""
    state = json.loads(night.lab.headrace("status", CONF, "--json", status=None).stdout)
    state["by_disk"] = {dump["disk"].strip("/"): dump for dump in state["dumps"]}
    return state


def dump_of(night, name):
    return facts(night)["by_disk"].get(name, {})


def say(night, *words, status=0):
    result = night.lab.headrace(*words, status=status)
    return text_of(result)


def events(night, kind):
    journal = max(glob.glob(night.lab.path("state/log/journal.*")))
    with open(journal, encoding="utf-8") as file:
        return [event for event in map(json.loads, file) if event["type"] == kind]


def sockets(night):
    return [path for path in glob.glob(night.lab.path("state/log/control.*")) if stat.S_ISSOCK(os.stat(path).st_mode)]


def seconds_of(night):
    """Waits so long on the clock of the run's own journal, which goes on while samples are taken."""
    def wait(seconds, what):
        start = events(night, "dump-progress")[-1]["t"]
        wait_for(lambda: events(night, "dump-progress")[-1]["t"] - start >= seconds * 1_000_000, what, seconds + 20)
    return wait


@scenario(client="amanda", global_lines="dtimeout 2\netimeout 20\nctimeout 10\ninparallel 4", maxdumps=4)
def pause_longer_than_dtimeout(night):
    """The real amandad as client: one dump is paused for longer than dtimeout, the other goes on; all is restored."""
    night.disk("big", 48)
    night.disk("other", 4)
    night.up()
    slow_tar.set_mode(night.lab, "hold disks/big")
    run = night.start_dump()
    said = say(night, "pause", CONF, CLIENT, "/big")
    expect(re.search(r"/big\s+paused, at", said), f"pause said: {said}")
    expect("paused before" in say(night, "pause", CONF, CLIENT, "/big"), "pausing twice")
    slow_tar.let_go(night.lab)
    wait_for(lambda: dump_of(night, "other").get("state") == "written", "the other dump", 60)
    seconds_of(night)(1, "the gate to have closed")
    before = dump_of(night, "big")
    seconds_of(night)(6, "thrice the dtimeout to pass")
    after = dump_of(night, "big")
    expect(after["state"] == "dumping" and after["paused"], f"the paused dump: {after}")
    expect(after["bytes"] == before["bytes"], f"bytes moved through a closed gate: {before['bytes']}, {after['bytes']}")
    status = text_of(night.lab.headrace("status", CONF, status=None))
    expect("PAUSED" in status, f"status does not show the pause:\n{status}")
    said = say(night, "pause", CONF, CLIENT, "/other", status=1)
    expect("is over" in said and "nothing is paused" in said, f"pausing a dump that has ended: {said}")
    expect("goes on, at" in say(night, "resume", CONF, CLIENT, "/big"), "resume")
    expect("was not paused" in say(night, "resume", CONF, CLIENT, "/big"), "resuming twice")
    status = night.end_of(run)
    expect(status == 0, f"exit status {status}\n{night.report()}")
    expect(len(dump_of(night, "big")["attempts"]) == 1, "the paused dump was begun again")
    for name in ("big", "other"):
        night.expect_restored(name)
    expect(not sockets(night), "the control socket outlives its run")


@scenario(global_lines="inparallel 1")
def paused_before_it_starts(night):
    """What is paused before its turn does not start, and the run waits for it."""
    night.disk("first", 8)
    night.disk("second")
    night.up()
    slow_tar.set_mode(night.lab, "hold disks/first")
    run = night.start_dump()
    socket = sockets(night)
    expect(len(socket) == 1, f"control sockets: {socket}")
    file = os.stat(socket[0])
    expect(stat.S_IMODE(file.st_mode) == 0o600 and file.st_uid == night.lab.backup.pw_uid, f"the socket's mode and owner: {file}")
    said = text_of(night.lab.headrace("pause", CONF, CLIENT, "/second", user="backup"))
    expect("will not start" in said, f"pause said: {said}")
    denied = text_of(night.lab.headrace("pause", CONF, CLIENT, user="daemon", status=1))
    expect("headrace:" in denied, f"a stranger was told: {denied}")
    slow_tar.let_go(night.lab)
    wait_for(lambda: dump_of(night, "first").get("state") == "written", "the first dump", 60)
    waiting = dump_of(night, "second")
    expect(waiting["state"] == "planned" and waiting["paused"], f"the paused one: {waiting}")
    expect(run.poll() is None, "the run ended without the paused dump")
    said = say(night, "resume", CONF, "*")
    expect(re.search(r"/first\s+its dump is over.*/second\s+starts", said, re.S), f"resume said: {said}")
    status = night.end_of(run)
    expect(status == 0, f"exit status {status}\n{night.report()}")
    for name in ("first", "second"):
        night.expect_restored(name)


@scenario()
def rate_limit_holds(night):
    """A dump that is limited takes no more than its rate, over any stretch of time."""
    night.disk("slow", 16)
    night.up()
    slow_tar.set_mode(night.lab, "hold disks/slow")
    run = night.start_dump()
    said = say(night, "limit", CONF, CLIENT, "/slow", "--rate", "3 mbps")
    expect(re.search(r"rate of .*/slow: 3.0 MiB/s, was none", said), f"limit said: {said}")
    expect(re.search(r"rate of .*/slow\s+3.0 MiB/s\s+configured: none", say(night, "limit", CONF)), "limit shows it")
    expect(facts(night)["limits"][0]["after"] == 3 * MIB, "status knows the limit")
    slow_tar.let_go(night.lab)
    status = night.end_of(run)
    expect(status == 0, f"exit status {status}\n{night.report()}")
    limited = events(night, "limit-changed")[0]["t"]
    samples = [(event["t"], event["bytes"]) for event in events(night, "dump-progress") if event["t"] > limited]
    samples.append((events(night, "dump-finished")[0]["t"], 16 * MIB))
    expect(len(samples) >= 3, f"samples of the limited dump: {samples}")
    for i, (then, had) in enumerate(samples):
        for now, has in samples[i + 1:]:
            most = 3 * MIB * (now - then) / 1e6 + IN_RINGS
            expect(has - had <= most, f"{has - had} bytes in {(now - then) / 1e6:.3f} s, at most {most:.0f} are allowed")
    night.expect_restored("slow")


@scenario(global_lines="inparallel 1\nnetusage 100 gbps", maxdumps=1)
def limits_are_changed(night):
    """Raised limits start more at once; what is shown is what counts."""
    for name in ("one", "two", "three"):
        night.disk(name, 4)
    night.up()
    slow_tar.set_mode(night.lab, "hold disks/")
    run = night.start_dump()
    shown = say(night, "limit", CONF)
    expect(re.search(r"inparallel\s+1$", shown, re.M), f"limits in force:\n{shown}")
    changed = json.loads(night.lab.headrace("limit", CONF, "--inparallel", "3", "--json").stdout)
    expect([(it["limit"], it["before"], it["value"]) for it in changed["limits"]] == [("inparallel", 1, 3)], f"{changed}")
    dumping = lambda: sum(dump["state"] == "dumping" for dump in facts(night)["dumps"])  # noqa: E731
    expect(dumping() == 1, "maxdumps still holds")
    expect("maxdumps of" in say(night, "limit", CONF, CLIENT, "--maxdumps", "2"), "limit --maxdumps")
    wait_for(lambda: dumping() == 2, "a second dump to start")
    say(night, "limit", CONF, "--netusage", "1 kbps")
    say(night, "limit", CONF, "--maxdumps", "9")
    expect(dumping() == 2, "netusage does not hold")
    waits = [dump.get("waits_for", "") for dump in facts(night)["dumps"] if dump["state"] == "planned"]
    expect(len(waits) == 1 and "netusage" in waits[0], f"the third waits for {waits}")
    say(night, "limit", CONF, "--netusage", "1 gbps")
    wait_for(lambda: dumping() == 3, "a third dump to start")
    say(night, "limit", CONF, "--inparallel", "1")
    expect(dumping() == 3, "a lowered limit stopped what ran")
    slow_tar.let_go(night.lab)
    status = night.end_of(run)
    expect(status == 0, f"exit status {status}\n{night.report()}")


@scenario()
def server_killed_with_a_gate_closed(night):
    """kill -9 of the run while a dump is paused: commands say so, and the next run is not paused."""
    night.disk("half", 24)
    night.up()
    slow_tar.set_mode(night.lab, "hold disks/half")
    run = night.start_dump()
    say(night, "pause", CONF, CLIENT)
    slow_tar.let_go(night.lab)
    run.kill()
    run.wait()
    slow_tar.set_mode(night.lab, "")
    expect(len(sockets(night)) == 1, "the killed run's socket")
    for command in (("pause", CONF, CLIENT), ("resume", CONF, CLIENT), ("limit", CONF, "--inparallel", "2"), ("diagnose", CONF)):
        said = say(night, *command, status=1)
        expect("no run of lab goes on" in said, f"headrace {' '.join(command)} said: {said}")
    expect("no run goes on; limits of the next one" in say(night, "limit", CONF), "limit without a run")
    wait_for(lambda: not scenarios.tars_of("disks/half"), "the client to end its archiver")
    night.expect_good_run("half")
    expect(not sockets(night), f"sockets of runs that are over: {sockets(night)}")


@scenario(global_lines="inparallel 4", maxdumps=4)
def diagnose_tells_shared_disks_from_others(night):
    """Two dumps of one slow disk and one of another: diagnose names the pair, and opens all gates again."""
    for name in ("shared/left", "shared/right", "own/alone"):
        root = night.disk(name, 1, 1)
        for number in range(120):
            shutil.copy(f"{root}/file 0", f"{root}/copy {number}")
    night.up()
    slow_tar.set_mode(night.lab, "disks disks/shared,disks/own")
    run = night.lab.start(night.command(), log="out/dump.log")
    wait_for(lambda: run.poll() is None and sum(d.get("bytes", 0) > 0 for d in facts(night)["dumps"]) == 3 if sockets(night) else False,
             "three dumps to flow", 60)
    result = night.lab.headrace("diagnose", CONF, "--seconds", "2", "--rounds", "1", "--json")
    found = json.loads(result.stdout)
    names = [dump["disk"] for dump in found["dumps"]]
    hindered = [{names[i] for i in pair["dumps"]} for pair in found["pairs"] if pair["relation"] in ("shared", "harmful")]
    expect(hindered == [{"/shared/left", "/shared/right"}], f"pairs that hinder each other: {hindered}\n{text_of(result)}")
    expect(any("spindle" in advice for advice in found["advice"]), f"advice: {found['advice']}")
    expect(not any(dump.get("paused") for dump in facts(night)["dumps"]), "a gate is still closed")
    # Killed in the middle, it leaves no gate closed either.
    for end in (signal.SIGINT, signal.SIGKILL):
        experiment = night.lab.start([night.lab.path("bin/headrace"), "diagnose", CONF, "--rounds", "100", "--seconds", "0.2", "--settle", "0"],
                                     log="out/diagnose.log")
        wait_for(lambda: any(dump.get("paused") for dump in facts(night)["dumps"]), "a gate to close", 30)
        refused = say(night, "diagnose", CONF, "--seconds", "0.1", "--settle", "0", "--rounds", "1", status=1)
        expect("another" in refused, f"a second experiment: {refused}")
        experiment.send_signal(end)
        experiment.wait()
        wait_for(lambda: not any(dump.get("paused") for dump in facts(night)["dumps"]), "the gates to open")
    slow_tar.let_go(night.lab)
    status = night.end_of(run)
    expect(status == 0, f"exit status {status}\n{night.report()}")
    for name in ("shared/left", "own/alone"):
        night.expect_restored(name)


def measured_alone(night, until, *disks, status=0):
    result = night.lab.headrace("diagnose", CONF, CLIENT, *disks, "--until", until, "--seconds", "1", "--rounds", "1", "--json",
                                status=status)
    return text_of(result) if status else json.loads(result.stdout)


@scenario(maxdumps=4)
def diagnose_at_noon(night):
    """Without a run: dumps are made, measured at a joint and thrown away, and leave no trace anywhere."""
    for name in ("shared/left", "shared/right", "own/alone"):
        root = night.disk(name, 1, 1)
        for number in range(120):
            shutil.copy(f"{root}/file 0", f"{root}/copy {number}")
    night.up()
    expect("name hosts or disks" in say(night, "diagnose", CONF, status=1), "diagnose of nothing")
    slow_tar.set_mode(night.lab, "disks disks/shared,disks/own")
    for until in ("source", "client", "network"):
        found = measured_alone(night, until)
        names = [dump["disk"] for dump in found["dumps"]]
        hindered = [{names[i] for i in pair["dumps"]} for pair in found["pairs"] if pair["relation"] in ("shared", "harmful")]
        expect(hindered == [{"/shared/left", "/shared/right"}], f"until {until}: pairs that hinder each other: {hindered}\n{found}")
        if until == "source":
            expect({dump["bottleneck_alone"] for dump in found["dumps"]} == {"source"}, f"what holds them up: {found['dumps']}")
        wait_for(lambda: not scenarios.tars_of("disks/"), "the client to end its archivers")
    found = measured_alone(night, "holding", "/own/alone")
    expect(found["dumps"][0]["bytes_per_second_alone"] > 0, f"until holding: {found}")
    expect(not glob.glob(night.lab.path("holding/*")), f"left on the holding disk: {glob.glob(night.lab.path('holding/*/*'))}")
    expect(not night.snapshots_kept(), f"the client's state: {night.snapshots_kept()}")
    expect(not glob.glob(night.lab.path("state/*/*")), f"the server's state: {glob.glob(night.lab.path('state/*/*'))}")
    slow_tar.set_mode(night.lab, "")
    night.expect_good_run("own/alone")


@scenario(client="amanda")
def diagnose_at_noon_with_a_foreign_client(night):
    """The real amandad cannot throw data away: that is said, and up to the network it is measured."""
    root = night.disk("disk", 1, 1)
    for number in range(60):
        shutil.copy(f"{root}/file 0", f"{root}/copy {number}")
    night.up()
    slow_tar.set_mode(night.lab, "disks disks/disk")
    said = measured_alone(night, "source", status=1)
    expect("no Headrace client" in said, f"diagnose --until source said: {said}")
    found = measured_alone(night, "network")
    expect(found["dumps"][0]["bytes_per_second_alone"] > 0, f"until network: {found}")
    wait_for(lambda: not scenarios.tars_of("disks/"), "amandad to end its archiver")
    slow_tar.set_mode(night.lab, "")
    night.expect_good_run("disk")


if __name__ == "__main__":
    sys.exit(scenarios.main(SCENARIOS, __doc__))
