#!/usr/bin/python3
"""Writes bench/RESULTS.md: the head of each page in bench/results, and where the rest is.

  bench/index.py

A page is written by its bench. It begins with "# title"; what comes before its first "## " is its head. Pages are
shown in the order below, and those that are not there are said to be missing.
"""
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
PAGES = (
    ("the-2014-experiment", "bench/the-2014-experiment"),
    ("isolation", "bench/isolation.py"),
    ("streams", "bench/streams.py"),
    ("cost", "bench/cost.py"),
    ("verdicts", "bench/verdicts.py"),
    ("night", "bench/night.py"),
    ("planning", "bench/planning.py"),
)


def head_of(name, maker):
    path = os.path.join(HERE, f"results/{name}.md")
    if not os.path.exists(path):
        return f"## {name}\nNot measured yet: `{maker}`.\n"
    with open(path, encoding="utf-8") as file:
        text = file.read()
    head = re.split(r"^## ", text, maxsplit=1, flags=re.M)[0]
    head = re.sub(r"^# ", "## ", head, count=1)
    head = re.sub(r"\]\((?![a-z]+:|/)([^)]+)\)", r"](results/\1)", head)
    return f"{head.rstrip()}\n\n[The whole page](results/{name}.md), made by `{maker}`.\n"


def main():
    text = """# Figures
Headrace beside the real Amanda 3.5.1 of Debian, on one machine, in one series. Each section is the head of a page that says how
it was made, with ranges and the number of runs. What misses its mark is shown as missing it.

"""
    with open(os.path.join(HERE, "RESULTS.md"), "w", encoding="utf-8") as file:
        file.write(text + "\n".join(head_of(name, maker) for name, maker in PAGES))
    return 0


if __name__ == "__main__":
    sys.exit(main())
