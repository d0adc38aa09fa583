"""A stand-in for /bin/tar that can be told to stop half way, or to fail.

Put in place by `install(lab)`. It does what the real tar does, unless the file `mode` in its control
directory holds "MODE TEXT" and one of its arguments contains TEXT:
  hold     passes 1 MiB of the archive, writes the file `held`, and goes on when the file `go` is there
  exit2    reports a file it could not open, and exits 2
  disks    passes the archive at the pace of a slow disk: at most 64 KiB in PIECE_SECONDS for all whose
           argument contains the same word of TEXT (words separated by commas); at full speed from `go` on
Estimates (archives written to /dev/null) are never touched.
"""
import fcntl
import os
import select
import shutil
import subprocess
import sys
import time

HELD_BYTES = 1 << 20
PIECE_SECONDS = 0.01


def install(lab):
    control = lab.path("control")
    os.makedirs(control)
    os.chmod(control, 0o777)
    shutil.copy("/bin/tar", lab.path("bin/real-tar"))
    wrapper = lab.path("bin/tar-wrapper")
    with open(wrapper, "w", encoding="utf-8") as file:
        file.write(f"""#!/bin/bash
read -r mode text 2>/dev/null <{control}/mode
disk=
if [[ $mode == disks ]]; then
  for word in ${{text//,/ }}; do [[ "$*" == *"$word"* ]] && disk=$word && text=$word; done
fi
if [[ -z $mode || " $* " == *" /dev/null "* || "$*" != *"$text"* || "$*" != *--create* ]]; then
  exec -a "$0" {lab.path("bin/real-tar")} "$@"
fi
case $mode in
  hold) {lab.path("bin/real-tar")} "$@" | /usr/bin/python3 {os.path.abspath(__file__)} {control}
        exit "${{PIPESTATUS[0]}}" ;;
  disks) {lab.path("bin/real-tar")} "$@" | /usr/bin/python3 {os.path.abspath(__file__)} {control} "$disk"
        exit "${{PIPESTATUS[0]}}" ;;
  exit2) {lab.path("bin/real-tar")} "$@"
        echo "/bin/tar: ./secret: Cannot open: Permission denied" >&2
        echo "/bin/tar: Exiting with failure status due to previous errors" >&2
        exit 2 ;;
esac
""")
    os.chmod(wrapper, 0o755)
    subprocess.run(["mount", "--bind", wrapper, os.path.realpath("/bin/tar")], check=True)


def set_mode(lab, text):
    """"hold PART-OF-AN-ARGUMENT", "exit2 …", "disks WORD,WORD…", or "" to be the real tar again."""
    for name in ("held", "go"):
        if os.path.exists(lab.path("control", name)):
            os.remove(lab.path("control", name))
    with open(lab.path("control/mode"), "w", encoding="utf-8") as file:
        file.write(text + "\n")


def held(lab):
    return os.path.exists(lab.path("control/held"))


def let_go(lab):
    open(lab.path("control/go"), "w", encoding="utf-8").close()


def pass_through(control):
    passed = 0
    while passed < HELD_BYTES and (block := os.read(0, min(65536, HELD_BYTES - passed))):
        passed += len(block)
        write_all(block)
    open(f"{control}/held", "w", encoding="utf-8").close()
    reader = select.poll()
    reader.register(1, 0)
    while not os.path.exists(f"{control}/go"):
        if reader.poll(10):  # nobody reads any more
            return
    while block := os.read(0, 65536):
        write_all(block)


def pass_as_a_disk(control, disk):
    """One head for all who read this disk: each piece takes its time, and nobody else has it meanwhile."""
    with open(f"{control}/disk-{disk.replace('/', '-')}", "w", encoding="utf-8") as head:
        while block := os.read(0, 65536):
            if not os.path.exists(f"{control}/go"):
                fcntl.flock(head, fcntl.LOCK_EX)
                time.sleep(PIECE_SECONDS * len(block) / 65536)
                fcntl.flock(head, fcntl.LOCK_UN)
            write_all(block)


def write_all(block):
    while block:
        block = block[os.write(1, block):]


if __name__ == "__main__":
    try:
        if len(sys.argv) > 2:
            pass_as_a_disk(sys.argv[1], sys.argv[2])
        else:
            pass_through(sys.argv[1])
    except BrokenPipeError:
        sys.exit(1)
