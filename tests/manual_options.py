#!/usr/bin/env python3
"""Each command's manual page names exactly the commands and options that its --help offers.

  manual_options.py HEADRACE MANUALS-DIR
"""
import pathlib
import re
import subprocess
import sys

PAGES = {"config check": "config", "config get": "config", "config show": "config"}


EVERYWHERE = {"-h", "--help", "-o"}  # explained once, in headrace.8


def help_of(program, command):
    return subprocess.run([program, *command.split(), "--help"], check=True, capture_output=True, text=True).stdout


def section(text, name):
    match = re.search(rf"^{name}:\n(.*?)(?:\n\n|\Z)", text, re.M | re.S)
    return match[1] if match else ""


def commands(program):
    for name in re.findall(r"^  (\w+)", section(help_of(program, ""), "Subcommands"), re.M):
        below = re.findall(r"^  (\w+)", section(help_of(program, name), "Subcommands"), re.M)
        yield from [f"{name} {word}" for word in below] or [name]


def main():
    program, manuals = sys.argv[1], pathlib.Path(sys.argv[2])
    faults, offered = [], {}
    for command in commands(program):
        page = PAGES.get(command, command)
        options = set(re.findall(r"(?:^  |,)(-{1,2}[\w-]+)", section(help_of(program, command), "Options"), re.M))
        offered.setdefault(page, set()).update(options - EVERYWHERE)
        if page not in (manuals / "headrace.8").read_text():
            faults.append(f"headrace.8 does not name {command}")
    for page, options in sorted(offered.items()):
        path = manuals / f"headrace-{page}.8"
        text = path.read_text() if path.exists() else ""
        # Options are explained in lists: ".It Fl q , -quiet", ".It Fl -at Ar timestamp".
        named = {"-" + word for line in re.findall(r"^\.It Fl (.*)", text, re.M)
                 for word in line.split(" Ar ")[0].replace(" Fl ", " ").split() if word != ","}
        faults += [f"{path.name} does not explain {option}" for option in sorted(options - named)]
        faults += [f"{path.name} explains {option}, which headrace {page} does not take" for option in sorted(named - options)]
    print("\n".join(faults) if faults else f"{len(offered)} pages name what --help offers")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
