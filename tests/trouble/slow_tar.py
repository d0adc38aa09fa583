"""A stand-in for /bin/tar that can be told to stop half way, or to fail.

Put in place by `install(lab)`. It does what the real tar does, unless the file `mode` in its control
directory holds "MODE TEXT" and one of its arguments contains TEXT:
  hold     passes 1 MiB of the archive, writes the file `held`, and goes on when the file `go` is there
  exit2    reports a file it could not open, and exits 2
Estimates (archives written to /dev/null) are never touched.
"""
import os
import select
import shutil
import subprocess
import sys

HELD_BYTES = 1 << 20


def install(lab):
    control = lab.path("control")
    os.makedirs(control)
    os.chmod(control, 0o777)
    shutil.copy("/bin/tar", lab.path("bin/real-tar"))
    wrapper = lab.path("bin/tar-wrapper")
    with open(wrapper, "w", encoding="utf-8") as file:
        file.write(f"""#!/bin/bash
read -r mode text 2>/dev/null <{control}/mode
if [[ -z $mode || " $* " == *" /dev/null "* || "$*" != *"$text"* || "$*" != *--create* ]]; then
  exec -a "$0" {lab.path("bin/real-tar")} "$@"
fi
case $mode in
  hold) {lab.path("bin/real-tar")} "$@" | /usr/bin/python3 {os.path.abspath(__file__)} {control}
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
    """"hold PART-OF-AN-ARGUMENT", "exit2 …", or "" to be the real tar again."""
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


def write_all(block):
    while block:
        block = block[os.write(1, block):]


if __name__ == "__main__":
    try:
        pass_through(sys.argv[1])
    except BrokenPipeError:
        sys.exit(1)
