#!/usr/bin/env python3
"""Runs that meet: several of one configuration at once, ended by signals, after a clock that was put back.

  runs.py NAME | --list            HEADRACE names the program; HEADRACE_KEEP=1 keeps the files

What is expected of all: no disk is dumped twice at once, no volume is fought for, whoever is turned away
reads by whom and what to do, and the next run finds all that was whole.
"""
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import scenarios
import several_storages
import slow_tar
from scenarios import CLIENT, CONF, FAILED, VOLUME, expect, text_of, wait_for
from lab import SERVER

SCENARIOS = {}
scenario = scenarios.registering(SCENARIOS)
ERROR = 1


def journals(night):
    return sorted(glob.glob(night.lab.path("state/log/journal.*")))


def events(path, kind):
    with open(path, encoding="utf-8") as file:
        return [event for event in map(json.loads, file.read().splitlines()) if event["type"] == kind]


def written(night, name):
    """Whether the oldest run has this disk on a volume."""
    return any(event["disk"] == f"/{name}" for event in events(journals(night)[0], "image-written"))


def dump_words(night, *words, status=None, seconds=60):
    return night.lab.run([*night.command(), *words], status=status, seconds=seconds)


def labels(night):
    return [line.split()[1] for line in night.lab.read(f"etc-amanda/{CONF}/tapelist").splitlines() if line]


def snapshots_under_way(night):
    return glob.glob(night.lab.path("lib-amanda/gnutar-lists/*.new"))


# ---- what earlier runs left to know ---------------------------------------------------------------------


@scenario()
def rate_measured_is_explained_and_orders_the_next_run(night):
    """What a run measured of a disk is told when the next night is explained, and puts the slower one first."""
    night.disk("large", 12)
    night.disk("slow", 10)
    night.up()
    slow_tar.set_mode(night.lab, "disks /slow")
    expect(night.dump() == 0, night.report())
    slow_tar.set_mode(night.lab, "")
    text = text_of(night.lab.headrace("explain", CONF, CLIENT, "/slow", "--no-clients"))
    measured = re.search(r"measured +fulls ([0-9.]+) (.iB)/s, when nothing of the server held them up", text)
    expect(measured, f"what was measured:\n{text}")
    expect(measured[2] == "MiB" and 0.5 <= float(measured[1]) <= 7, f"64 KiB in 10 ms is what its tar gave: {measured[0]}")
    expect("what ends the run soonest starts first (dumporder)" in text, f"the order:\n{text}")
    expect(re.search(r"last level 0 +20\d\d-", text), f"its last full:\n{text}")
    night.lab.headrace("admin", CONF, "force", CLIENT, user="backup")
    dump_words(night, "-o", "inparallel=1", status=0)
    started = [event["disk"] for event in events(journals(night)[-1], "dump-started")]
    expect(started == ["/slow", "/large"], f"the smaller one takes longer and goes first: {started}")


# ---- two at once -------------------------------------------------------------------------------------


@scenario()
def two_runs(night):
    """A second run dumps what the first has done with, leaves it the rest, and says so; a third one waits."""
    night.disk("slow", 8)
    night.disk("quick")
    night.up()
    slow_tar.set_mode(night.lab, "hold disks/slow")
    first = night.start_dump()
    wait_for(lambda: written(night, "quick"), "the first run to have done with the quick disk")
    second = dump_words(night)
    expect(second.returncode == FAILED, f"exit status {second.returncode}:\n{text_of(second)}")
    at = os.path.basename(journals(night)[1]).split(".")[1]
    report = text_of(night.lab.headrace("report", CONF, "--at", at, status=None))
    expect(re.search(rf"/slow.*the run of \d+ \(process {first.pid} on {re.escape(SERVER)}\) has it", report),
           f"the second run's report:\n{report}")
    refused = dump_words(night, CLIENT, "/slow", status=ERROR)
    for word in (f"process {first.pid}", "headrace status", "--wait"):
        expect(word in text_of(refused), f"no \"{word}\" in:\n{text_of(refused)}")
    expect(len(journals(night)) == 2, "a run that was turned away left a journal")
    third = night.lab.start([*night.command(), "--wait"], log="out/third.log")
    wait_for(lambda: "has it" in night.lab.read("out/third.log"), "the third run to wait")
    slow_tar.let_go(night.lab)
    expect(night.end_of(first) == 0, f"the first run: {night.lab.read('out/dump.log')}")
    expect(third.wait(60) == 0, f"the third run: {night.lab.read('out/third.log')}")
    expect(len(labels(night)) == len(set(labels(night))) == 3, f"the tapelist has {labels(night)}")
    for name in ("slow", "quick"):
        night.expect_restored(name)


@scenario()
def commands_find_the_run_that_has_the_dump(night):
    """Two runs go on: status shows both, and each dump is paused, limited and resumed in the run that has it."""
    for name in ("left", "right"):
        night.disk(name, 8)
    night.up()
    slow_tar.set_mode(night.lab, "hold disks/")
    runs = {}
    for number, name in enumerate(("left", "right"), 1):
        runs[name] = night.lab.start([*night.command(), CLIENT, f"/{name}"], log=f"out/{name}.log")
        wait_for(lambda: len(journals(night)) == number and events(journals(night)[-1], "dump-started"),
                 f"the run of {name} to dump", 60)
    stamps = dict(zip(runs, (os.path.basename(path).split(".")[1] for path in journals(night))))

    def said(*words, status=0):
        return text_of(night.lab.headrace(*words, status=status))

    text = said("status", CONF)
    expect(text.count("process ") == 2 and 0 < text.find("/left") < text.find("/right"), f"status of two runs:\n{text}")
    one = json.loads(said("status", CONF, "--json"))
    expect(one["timestamp"] == stamps["right"] and one["other_runs"] == [stamps["left"]], f"status --json: {one}")
    one = json.loads(said("status", CONF, "--json", "--run", stamps["left"]))
    expect([dump["disk"] for dump in one["dumps"]] == ["/left"], f"status --run: {one}")
    text = said("pause", CONF, CLIENT, "/left")
    expect(stamps["left"] in text and stamps["right"] not in text and "paused, at" in text, f"pause of the older run's dump:\n{text}")
    expect("go on" in said("limit", CONF, "--inparallel", "2", status=1), "limit of nobody knows which run")
    text = said("limit", CONF, CLIENT, "/right", "--rate", "90 MB/s")
    expect("rate of" in text, f"limit: {text}")
    expect("have dumps of what was named" in said("limit", CONF, CLIENT, "--maxdumps", "3", status=1), "limit of both runs' host")
    expect("3" in said("limit", CONF, "--inparallel", "3", "--run", stamps["left"]), "limit --run")
    expect(said("limit", CONF).count("limits of the run of") == 2, "the limits of both")
    expect("nothing is being dumped" in said("diagnose", CONF, CLIENT, "/left", status=1), "diagnose finds the paused one")
    expect("go on" in said("diagnose", CONF, status=1), "diagnose of nobody knows which run")
    text = said("resume", CONF, "*")
    expect("goes on" in text or "starts" in text, f"resume:\n{text}")
    expect(all(stamp in text for stamp in stamps.values()), f"resume in both:\n{text}")
    slow_tar.let_go(night.lab)
    for name, run in runs.items():
        expect(run.wait(60) == 0, f"the run of {name}: {night.lab.read(f'out/{name}.log')}")
    expect("does not go on any more" in said("pause", CONF, CLIENT, "--run", stamps["left"], status=1), "pause of a run that is over")
    for name in runs:
        night.expect_restored(name)


@scenario()
def only_estimates(night):
    """Sizes and plan are shown, for people and for programs, and nothing else happens."""
    night.disk("large", 8)
    night.disk("small")
    night.up()
    shown = dump_words(night, CLIENT, "/large", "--only-estimate", status=0)
    for word in ("ESTIMATES", "/large"):
        expect(word in text_of(shown), f"no \"{word}\" in:\n{text_of(shown)}")
    expect("/small" not in text_of(shown), f"a disk that was not named:\n{text_of(shown)}")
    facts = json.loads(dump_words(night, "--only-estimate", "--json", status=0).stdout)
    sizes = {it["disk"]: it["native_kib"] for it in facts["estimates"] if it["level"] == 0}
    expect(sizes["/large"] >= 8 * 1024 > sizes["/small"] > 0, f"estimates: {sizes}")
    expect({it["disk"] for it in facts["dumps"]} == {"/large", "/small"}, f"plan: {facts['dumps']}")
    none = dump_words(night, "nobody.lab", "--only-estimate", status=ERROR)
    expect("nobody.lab" in text_of(none), f"a host that is not listed: {text_of(none)}")
    expect(not journals(night), f"it left {journals(night)}")


@scenario()
def runs_begin_at_once(night):
    """Three runs started together, each of a disk of its own: each has its name and its volume."""
    names = ("one", "two", "three")
    for name in names:
        night.disk(name)
    night.up()
    runs = [night.lab.start([*night.command(), CLIENT, f"/{name}"], log=f"out/{name}.log") for name in names]
    for name, run in zip(names, runs):
        status = run.wait(60)
        expect(status == 0, f"{name} ended with {status}:\n" + night.lab.read(f"out/{name}.log"))
    expect(len(journals(night)) == 3, f"{journals(night)}")
    expect(len(set(labels(night))) == 3, f"the tapelist has {labels(night)}")
    for name in names:
        night.expect_restored(name)
    night.expect_good_run(*names, level=1)


@scenario()
def beside_amdump(night):
    """While the real amdump has a disk, ours leaves it that one and dumps the other."""
    night.disk("theirs", 8)
    night.disk("ours")
    night.up()
    slow_tar.set_mode(night.lab, "hold disks/theirs")
    amdump = night.lab.start(["/usr/sbin/amdump", CONF, CLIENT, "/theirs"], user="backup", log="out/amdump.log")
    wait_for(lambda: slow_tar.held(night.lab) or amdump.poll() is not None, "amdump's archiver to be half way", 30)
    expect(amdump.poll() is None, "amdump ended early: " + night.lab.read("out/amdump.log"))
    expect(dump_words(night).returncode == FAILED, night.report())
    night.expect_report(r"/theirs.*Amanda's run of \d+ \(process \d+", "who has the disk")
    expect(night.results() == {"/ours": ("SUCCESS", 0)}, f"{night.results()}")
    refused = dump_words(night, CLIENT, "/theirs", status=ERROR)
    expect("Amanda's run" in text_of(refused), text_of(refused))
    slow_tar.let_go(night.lab)
    expect(amdump.wait(60) == 0, f"amdump ended with {amdump.returncode}")
    slow_tar.set_mode(night.lab, "")
    expect(len(set(labels(night))) == 2, f"the tapelist has {labels(night)}")
    night.expect_good_run("theirs", "ours", level=1)


# ---- signals -----------------------------------------------------------------------------------------


def end_by(night, *signals):
    """A run with one dump half way and one complete, ended by these signals; its exit status."""
    night.disk("half", 8)
    night.disk("whole")
    night.up()
    slow_tar.set_mode(night.lab, "hold disks/half")
    run = night.start_dump()
    wait_for(lambda: written(night, "whole"), "the other dump to be on its volume")
    for number in signals:
        run.send_signal(number)
    status = night.end_of(run, 20)
    slow_tar.set_mode(night.lab, "")
    wait_for(lambda: not scenarios.tars_of("disks/half"), "the client to end its archiver")
    return status


def expect_ended_in_order(night, status, name):
    expect(status == ERROR | FAILED, f"exit status {status}\n{night.report()}")
    night.expect_report(rf"/half.*FAILED.*{name}", "what ended the dump")
    expect(not glob.glob(night.lab.path("holding/*")), f"on the holding disk: {glob.glob(night.lab.path('holding/*/*'))}")
    expect(len(events(journals(night)[0], "run-finished")) == 1, "the journal has no end")
    night.expect_good_run("half")
    night.expect_restored("whole")
    expect("did not finish" not in night.report(), "the next run takes it for dead")


@scenario()
def ended_by_sigterm(night):
    """SIGTERM ends a run in order: what is whole counts, the rest has failed, and nothing is left over."""
    expect_ended_in_order(night, end_by(night, signal.SIGTERM), "SIGTERM")


@scenario()
def ended_by_sighup(night):
    """So does SIGHUP, as when the terminal is gone."""
    expect_ended_in_order(night, end_by(night, signal.SIGHUP), "SIGHUP")


@scenario()
def ended_by_sigint(night):
    """And SIGINT."""
    expect_ended_in_order(night, end_by(night, signal.SIGINT), "operator")


@scenario()
def ended_by_two_signals(night):
    """A second signal ends it wherever it stands; the next run puts things right."""
    night.disk("half", 8)
    night.disk("whole")
    night.up()
    slow_tar.set_mode(night.lab, "hold disks/half")
    # A client that does not even end its dump.
    run = night.start_dump()
    wait_for(lambda: written(night, "whole"), "the other dump to be on its volume")
    night.client.send_signal(signal.SIGSTOP)
    run.send_signal(signal.SIGTERM)
    run.send_signal(signal.SIGINT)
    status = night.end_of(run, 10)
    night.client.send_signal(signal.SIGCONT)
    expect(status & ERROR, f"exit status {status}")
    slow_tar.set_mode(night.lab, "")
    wait_for(lambda: not scenarios.tars_of("disks/half"), "the client to end its archiver")
    night.expect_good_run("half")
    night.expect_restored("whole")
    expect(not glob.glob(night.lab.path("holding/*/*.tmp")), "unfinished files are still on the holding disk")


@scenario(part_mb=1, length_mb=300, global_lines="autoflush yes")
def ended_while_writing(night):
    """SIGTERM while an image goes to its volume: that volume stays readable, the image stays held and is written next."""
    night.disk("before", lines="priority high")
    night.disk("long", 120)
    night.up()
    run = night.lab.start(night.command(), log="out/dump.log")

    def parts():
        paths = journals(night)
        return sum(event["disk"] == "/long" for event in events(paths[0], "part-written")) if paths else 0
    wait_for(lambda: parts() >= 3 or run.poll() is not None, "some parts of the long image to be written", 60)
    run.send_signal(signal.SIGTERM)
    status = night.end_of(run)
    expect(status & ERROR, f"exit status {status}\n{night.report()}")
    expect(parts() < 120, "the image was complete before the signal came")
    night.expect_report(r"/long.*SIGTERM", "why the image is still held")
    for name in ("before", "long"):
        night.expect_restored(name)
    night.expect_good_run("long", level=1)
    expect(not glob.glob(night.lab.path("holding/*/*")), "the image was not flushed")
    night.lab.run(["amcheckdump", CONF], user="backup", stdin=b"\n" * 20)


# ---- clocks ------------------------------------------------------------------------------------------


def at_run(night, seconds):
    """Makes the last run one of `seconds` from now, as if the clock had been put back since."""
    stamp = time.strftime("%Y%m%d%H%M%S", time.localtime(time.time() + seconds))
    open(night.lab.path(f"state/log/log.{stamp}.0"), "w", encoding="utf-8").close()
    return stamp


@scenario()
def clock_put_back(night):
    """A clock that was put back an hour: the run comes after the last one all the same. By a year: it is refused."""
    night.disk("disk")
    night.up()
    night.expect_good_run("disk")
    last = at_run(night, 3600)
    expect(night.dump() == 0, night.report())
    newest = os.path.basename(journals(night)[-1]).split(".")[1]
    expect(newest == max(newest, last) != last, f"the run is called {newest}, the one before {last}")
    night.expect_report(rf"clock says.*{last}.*put back", "that the clock was put back")
    night.expect_restored("disk")
    far = at_run(night, 365 * 24 * 3600)
    refused = dump_words(night, status=ERROR)
    expect(far in text_of(refused) and "Set the clock" in text_of(refused), text_of(refused))
    expect(not glob.glob(night.lab.path("holding/*")), "the refused run left something")
    os.remove(night.lab.path(f"state/log/log.{far}.0"))
    night.expect_good_run("disk", level=1)


# ---- nothing works -----------------------------------------------------------------------------------


@scenario(client="none", global_lines=scenarios.QUICK)
def everybody_down(night):
    """No client answers: the run ends, says so for each, and touches no volume."""
    night.disk("one")
    night.disk("two", host=SERVER)
    night.up()
    status = night.dump()
    expect(status & FAILED and not status & VOLUME, f"exit status {status}")
    for name in ("one", "two"):
        night.expect_report(rf"/{name}.*FAILED.*(refused|not listening|cannot connect)", f"that the client of {name} is down")
    expect(not labels(night), f"volumes were used: {labels(night)}")
    expect(not glob.glob(night.lab.path("holding/*")), "something is on the holding disk")


@scenario(slots=2, global_lines="tapecycle 5\nautoflush yes")
def every_volume_needed(night):
    """All volumes hold dumps that must be kept: the next dump stays held, the report names what would change that."""
    night.disk("disk")
    night.up()
    night.expect_good_run("disk")
    night.expect_good_run("disk", level=1)
    status = night.dump()
    expect(status == VOLUME, f"exit status {status}\n{night.report()}")
    night.expect_report(r"2 .*retention.*tapecycle.*headrace label", "why there is no volume and what to do")
    night.expect_restored("disk")
    expect(len(labels(night)) == 2, f"{labels(night)}")
    for path in ("vtapes/slot3",):
        os.makedirs(night.lab.path(path))
    night.lab.give_to_backup(night.lab.path("vtapes"))
    expect(night.dump() == 0, night.report())
    expect(not glob.glob(night.lab.path("holding/*/*")), "what was held was not written")


@scenario()
def one_storage_without_volume(night):
    """Of two storages one has no volume: the other gets all, the images stay for the one, also when the run after
    that is killed, and the next run completes them."""
    night.disk("disk")
    night.lab.global_lines = several_storages.CONFIG.format(far=night.lab.path("far"), slots=4, conf=CONF, selection="")
    os.makedirs(night.lab.path("far"))
    night.up()

    def held():
        # What the killed run began is kept as a partial image.
        return [path for path in glob.glob(night.lab.path("holding/*/*")) if path.endswith(".0")]

    def orders():
        return re.findall(r" FLUSH .* (\S+) WORKING:0 TODO$", night.lab.read(f"etc-amanda/{CONF}/command_file"), re.MULTILINE)
    status = night.dump()
    expect(status == VOLUME, f"exit status {status}\n{night.report()}")
    night.expect_report(r"TAPE ERROR OCCURRED of storage b", "which storage has no volume")
    night.expect_restored("disk")
    expect(len(held()) == 1 and orders() == ["b"], f"held {held()}, ordered for {orders()}")
    slow_tar.set_mode(night.lab, "hold disks/disk")
    run = night.start_dump()
    run.kill()
    run.wait()
    slow_tar.set_mode(night.lab, "")
    wait_for(lambda: not scenarios.tars_of("disks/disk"), "the archiver to notice")
    expect(len(held()) >= 1, "a killed run lost what was held")
    for number in range(1, 5):
        os.makedirs(night.lab.path(f"far/slot{number}"))
    night.lab.give_to_backup(night.lab.path("far"))
    expect(night.dump() == 0, night.report())
    expect(not held() and not orders(), f"held {held()}, ordered for {orders()}")
    found = text_of(night.lab.headrace("find", CONF, CLIENT, "/disk"))
    expect(len(re.findall(r" b +", found)) >= 2, f"storage b should have both dumps:\n{found}")


@scenario(holding_mb=60)
def holding_disk_vanishes(night):
    """The holding disk is unmounted under a dump: that goes straight to a volume at its second try, and the report says why."""
    night.disk("half", 8)
    night.disk("whole", lines="priority high")
    night.up()
    slow_tar.set_mode(night.lab, "hold disks/half")
    run = night.start_dump()
    wait_for(lambda: written(night, "whole"), "the other dump to be on its volume")
    subprocess.run(["umount", "-l", night.lab.path("holding")], check=True)
    shutil.rmtree(night.lab.path("holding"))
    slow_tar.let_go(night.lab)
    status = night.end_of(run)
    slow_tar.set_mode(night.lab, "")
    expect(status == 0, f"exit status {status}\n{night.report()}")
    night.expect_report(r"holding disk is not used any more.*No such file", "that the holding disk is gone")
    night.expect_restored("half")
    night.expect_restored("whole")
    os.makedirs(night.lab.path("holding"))
    night.lab.give_to_backup(night.lab.path("holding"))
    night.expect_good_run("half", level=1)


if __name__ == "__main__":
    sys.exit(scenarios.main(SCENARIOS, __doc__))
