#!/usr/bin/env python3
"""The probe points of the program are those that doc/tracing.md tells of, and the scripts use no others.

  probes.py PROGRAM DOCUMENT SCRIPT…
"""
import re
import subprocess
import sys


def main():
    program, document, *scripts = sys.argv[1:]
    notes = subprocess.run(["readelf", "-n", "--wide", program], capture_output=True, text=True, check=True).stdout
    there = set(re.findall(r"Provider: headrace\s+Name: (\w+)", notes))
    with open(document, encoding="utf-8") as file:
        told = set(re.findall(r"^\| `(\w+)` \|", file.read(), re.M))
    faults = []
    if there != told:
        faults.append(f"only in the program: {sorted(there - told)}, only in the document: {sorted(told - there)}")
    for script in scripts:
        with open(script, encoding="utf-8") as file:
            used = set(re.findall(r"usdt:\*:headrace:(\w+)", file.read()))
        if not used or used - there:
            faults.append(f"{script} attaches to {sorted(used - there) or 'nothing'}")
    for fault in faults:
        print(fault)
    print(f"{len(there)} probes in the program")
    return 1 if faults or not there else 0


if __name__ == "__main__":
    sys.exit(main())
