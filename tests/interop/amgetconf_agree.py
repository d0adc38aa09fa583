"""The comparison behind amgetconf_agree.sh, which prepares /etc/amanda. Prints each difference; exits 1 if any."""
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path("/etc/amanda")
HEADRACE = os.environ["HEADRACE"]
AS_BACKUP = ["setpriv", "--reuid", "backup", "--regid", "backup", "--init-groups", "env", "-i",
             "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/var/backups"]
CONFIGS = ["minimal", "everything", "inheritance", "units", "quoting", "includefile", "deprecated", "sample",
           "storages", "holding", "order", "plugins"]
OVERRIDES = [("minimal", ["org=a \"b", "dumpcycle=2 weeks", "autolabel=\"X%%\" empty"]),
             ("everything", ["tapetype:TT:length=7g", "dumptype:base:compress=none", "storage:st1:runtapes=4"])]
# Asked of amgetconf one by one: it takes a tenth of a second each.
KEYS = [("everything", key) for key in (
    "org", "property", "device-property", "autolabel", "labelstr", "label_new_tapes", "recovery-limit", "bumpsize",
    "holdingdisk", "reserved-tcp-port", "tapetype", "TapeScan", "taperscan", "infofile", "netusage", "bumpmult",
    "holdingdisk:hd1:use", "tapetype:tt:part_size", "dumptype:base:exclude", "dumptype:kid:include",
    "dumptype:base:starttime", "dumptype:anon:starttime", "dumptype:anon:application", "dumptype:base:script",
    "dumptype:base:priority", "dumptype:base:estimate", "dumptype:base:comprate", "dumptype:no-full:strategy",
    "application-tool:amgtar:property", "script:scr:execute-on", "storage:st1:dump-selection",
    "storage:st1:vault", "storage:st1:tapetype", "storage:st2:tapetype", "policy:po:retention-days",
    "nonsense", "dumptype:nope:compress", "dumptype:base:nonsense", "rawtapedev")]
KEYS += [("minimal", key) for key in ("property", "report-format", "dumptype:no-full:tag", "vault-storage", "org")]
TYPES = ["application", "script-tool", "dumptype", "storage", "policy", "interface", "tapetype", "holdingdisk",
         "changer", "device", "taperscan", "interactivity", "nonsense"]

differences = 0


def differ(what, theirs, ours):
    global differences
    differences += 1
    print(f"{what}\n  Amanda:   {theirs!r}\n  Headrace: {ours!r}")


def amanda(*command):
    return subprocess.run([*AS_BACKUP, *command], capture_output=True, text=True, errors="replace", cwd=ROOT)


def headrace(*command):
    return subprocess.run([HEADRACE, *command], capture_output=True, text=True, errors="replace", cwd=ROOT)


def with_options(overrides):
    return [word for one in overrides for word in ("-o", one)]


def parameters(text):
    """The lines of `amadmin config`, each with its block; order and what is commented out do not matter."""
    block, lines = "", []
    for line in text.splitlines():
        line = line.lstrip("#").rstrip()
        if not line or "CONFIGURATION FROM" in line:
            continue
        begin = re.match(r"DEFINE (.+) \{$", line)
        if begin:
            block = begin.group(1)
            lines.append(f"DEFINE {block}")
        elif line == "}":
            block = ""
        else:
            name, _, value = line.strip().partition(" ")
            lines.append(f"{block} {name} {value.strip()}")
    return sorted(lines)


def compare_all(name, overrides=()):
    theirs = amanda("amadmin", name, "config", *with_options(overrides))
    ours = headrace("config", "show", str(ROOT / name), *with_options(overrides))
    if theirs.returncode or ours.returncode:
        differ(f"{name}: not read", theirs.stderr[:300], ours.stderr[:300])
        return
    a, b = parameters(theirs.stdout), parameters(ours.stdout)
    for line in sorted(set(a) ^ set(b)):
        differ(f"{name} {list(overrides)}", line if line in a else "", line if line in b else "")
    if len(a) != len(b):
        differ(f"{name}: number of lines", len(a), len(b))
    print(f"{name} {' '.join(overrides)}: {len(a)} lines")


def compare_keys():
    for name, key in KEYS:
        theirs = amanda("amgetconf", name, key)
        ours = headrace("config", "get", str(ROOT / name), key)
        a, b = sorted(theirs.stdout.splitlines()), sorted(ours.stdout.splitlines())
        if a != b or theirs.returncode != ours.returncode:
            differ(f"{name} {key}", (theirs.returncode, a), (ours.returncode, b))
    for kind in TYPES:
        theirs = amanda("amgetconf", "--list", "everything", kind)
        ours = headrace("config", "get", "--list", str(ROOT / "everything"), kind)
        if theirs.stdout != ours.stdout or theirs.returncode != ours.returncode:
            differ(f"--list {kind}", theirs.stdout, ours.stdout)
    print(f"{len(KEYS)} parameters and {len(TYPES)} lists asked one by one")


def cases(path):
    for line in path.read_text().splitlines():
        if line.startswith("#") or "\t" not in line:
            continue
        verdict, text = line.split("\t", 1)
        yield verdict, re.sub(r"\\(.)", lambda m: {"n": "\n", "t": "\t"}.get(m.group(1), m.group(1)), text) + "\n"


def compare_cases():
    """Amanda's half of the tables; ours is in the unit tests, which read the same files."""
    count = 0
    (ROOT / "p").mkdir()
    (ROOT / "p/disklist").write_text("")
    for verdict, text in cases(ROOT / "cases.txt"):
        (ROOT / "p/amanda.conf").write_text(text)
        accepted = amanda("amadmin", "p", "config").returncode == 0
        count += 1
        if accepted != (verdict in ("ok", "strict")):
            differ(f"case {text!r}", "accepts" if accepted else "refuses", verdict)
    for verdict, text in cases(ROOT / "disklist_cases.txt"):
        (ROOT / "disklists/disklist").write_text(text)
        accepted = amanda("amadmin", "disklists", "disklist").returncode == 0
        count += 1
        if accepted != (verdict in ("ok", "strict")):
            differ(f"disklist {text!r}", "accepts" if accepted else "refuses", verdict)
    print(f"{count} cases")


for config in CONFIGS:
    compare_all(config)
for config, options in OVERRIDES:
    compare_all(config, options)
compare_keys()
compare_cases()
print(f"{differences} differences")
sys.exit(1 if differences else 0)
