"""A machine of its own for one test: the real Amanda and Headrace on loopback, side by side.

`inside()` starts the script again in fresh network, mount, process, host name and IPC namespaces, so
that ports, /etc/amanda, /var/lib/amanda, /dev/shm and process ids are private, nothing of the machine's
own configuration is touched, and when the script ends, by whatever end, every process it started ends.

Facts about Debian's Amanda 3.5.1 that shape this file, each found by running it:
- It resolves with AI_ADDRCONFIG, so names need an address outside 127.* even on loopback.
- A packet to one's own address carries that address as its source: the client sees the server under the
  client's own name.
- Server programs run as "backup", whose shell is nologin: setpriv, not su.
- /etc/amanda-security.conf must be root's and not writable by others.
- `{` ends its line in amanda.conf. A holding disk needs `holdingdisk NAME {`, not `define`.
- `reserve` is 100 unless said, which forbids full dumps when no volume can be written.
- chg-disk wants its slots made beforehand.
"""
import glob
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SERVER, CLIENT = "server.lab", "client.lab"
SERVER_ADDRESS, CLIENT_ADDRESS = "10.77.0.2", "10.77.0.10"
PORT = 10080
SSH_PORT = 2222
CONF = "lab"
UDP_AUTHS = ("bsd", "bsdudp")
BACKUP_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
MARK = "HEADRACE_LAB_INSIDE"


class Failure(Exception):
    """A test's expectation that did not hold, as a sentence."""


def expect(condition, sentence):
    if not condition:
        raise Failure(sentence)


def headrace_program():
    return os.environ.get("HEADRACE") or os.path.join(TREE, "build/dev/headrace")


def inside():
    """Returns in the namespaces; outside of them, starts the script again and exits with its status."""
    if os.environ.get(MARK) is None:
        if os.geteuid() != 0:
            sys.exit("this test makes namespaces of its own: run it as root")
        os.environ[MARK] = "1"
        os.execvp("unshare", ["unshare", "--net", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child",
                              "--mount-proc", "--propagation", "private", sys.executable, *sys.argv])
    # Process 1 has to bury what others leave behind: Amanda asks by kill(pid, 0) whether a process lives.
    child = os.fork()
    if child == 0:
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        pid, status = os.wait()
        if pid == child:
            os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def wait_for(condition, what, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise Failure(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.02)


def can_connect(address, port):
    try:
        socket.create_connection((address, port), 1).close()
        return True
    except OSError:
        return False


def is_udp_bound(address, port):
    """By the kernel's table: a packet of ours would be a request to whoever listens."""
    wanted = "%08X:%04X" % (int.from_bytes(socket.inet_aton(address), "little"), port)
    with open("/proc/net/udp", encoding="ascii") as table:
        return any(line.split()[1] == wanted for line in table.readlines()[1:])


class Lab:
    """Directories, configuration, clients and commands. Everything lives under `root`."""

    def __init__(self, *, auth="bsdtcp", program="GNUTAR", index=True, client="amanda", client_style="daemon",
                 length_mb=400, slots=6, part_mb=8, chunk="10 MB", holding_mb=0, global_lines="", dumptype_lines="",
                 maxdumps=2, root=None):
        self.auth, self.program, self.index = auth, program, index
        self.client, self.client_style = client, client_style
        self.length_mb, self.slots, self.part_mb, self.chunk = length_mb, slots, part_mb, chunk
        self.holding_mb = holding_mb
        self.global_lines, self.dumptype_lines = global_lines, dumptype_lines
        self.client_options = []  # more words for `headrace client`
        self.maxdumps = maxdumps
        self.keep = bool(os.environ.get("HEADRACE_KEEP"))
        self.root = root or tempfile.mkdtemp(prefix="headrace-lab.", dir="/var/tmp")
        os.makedirs(self.root, exist_ok=True)
        self.disks = []          # (host, disk name, device, lines of its own)
        self.children = []
        self.listening = {}      # host: its client
        os.chmod(self.root, 0o755)
        self.backup = pwd.getpwnam("backup")

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        for child in self.children:
            if child.poll() is None:
                child.kill()
                child.wait()
        if kind is not None:
            self.print_logs()
        if self.keep:
            print("kept:", self.root)
        else:
            subprocess.run(["umount", "-q", f"{self.root}/holding"], check=False)
            shutil.rmtree(self.root, ignore_errors=True)

    # ---- setting up --------------------------------------------------------------------------------

    def path(self, *parts):
        return os.path.join(self.root, *parts)

    def give_to_backup(self, *paths):
        for path in paths:
            subprocess.run(["chown", "-hR", "backup:backup", path], check=True)

    def write(self, path, text):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def add_disk(self, name, device, lines="", host=CLIENT):
        self.disks.append((host, name, device, lines))

    def up(self):
        self.install_program()
        self.make_system_files()
        self.write_config()
        self.mount_everything()
        subprocess.run(["hostname", SERVER], check=True)
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        for address in (SERVER_ADDRESS, CLIENT_ADDRESS):
            subprocess.run(["ip", "address", "add", f"{address}/32", "dev", "lo"], check=True)

    def install_program(self):
        """A copy that the backup user can reach, and the link that makes it an amandad."""
        os.makedirs(self.path("bin"), exist_ok=True)
        if os.path.exists(headrace_program()):
            shutil.copy(headrace_program(), self.path("bin/headrace"))
        if not os.path.lexists(self.path("bin/amandad")):
            os.symlink("headrace", self.path("bin/amandad"))

    def amandad(self):
        return self.path("bin/amandad") if self.client == "headrace" else "/usr/lib/amanda/amandad"

    def client_user(self):
        """Who logs in with ssh: the client's programs run as this user."""
        return "root" if self.client == "headrace" else "backup"

    def make_ssh_files(self):
        """A host key, a key that opens both accounts of the client, and an /etc/ssh that knows the host."""
        ssh = self.path("system/ssh")
        os.makedirs(ssh, exist_ok=True)
        for name in ("key", "host_key"):
            if not os.path.exists(f"{ssh}/{name}"):
                subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", f"{ssh}/{name}"], check=True)
        shutil.copy(f"{ssh}/key.pub", f"{ssh}/authorized_keys")
        self.write(self.path("system/etc-ssh/ssh_config"), "")
        self.write(self.path("system/etc-ssh/ssh_known_hosts"), f"[{CLIENT}]:{SSH_PORT} {self.read('system/ssh/host_key.pub')}")
        self.write(f"{ssh}/sshd_config", f"""ListenAddress {CLIENT_ADDRESS}:{SSH_PORT}
HostKey {ssh}/host_key
AuthorizedKeysFile {ssh}/authorized_keys
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
PidFile none
""")
        # Debian gives "backup" no shell, and sshd starts every command with one. Root's, if it is bash, would
        # read the machine's own start-up file before each command.
        with open("/etc/passwd", encoding="utf-8") as file:
            self.write(self.path("system/passwd"), re.sub(r"(?m)^((?:backup|root):.*:)[^:]*$", r"\1/bin/sh", file.read()))
        # The tools take a user's private key only from a file of that user's; root may take anybody's.
        self.give_to_backup(f"{ssh}/key")

    def make_system_files(self):
        system = self.path("system")
        self.write(f"{system}/hosts", f"127.0.0.1 localhost\n{SERVER_ADDRESS} {SERVER}\n{CLIENT_ADDRESS} {CLIENT}\n")
        grants = "".join(f"{host} backup amdump\n{host} root amdump amindexd amidxtaped\n{host} backup amindexd amidxtaped\n"
                         for host in (SERVER, CLIENT, "localhost"))
        self.write(f"{system}/amandahosts", grants)
        os.chmod(f"{system}/amandahosts", 0o600)
        tars = "".join(f"{program}:gnutar_path={path}\n" for program in ("runtar", "amgtar") for path in ("/bin/tar", "/usr/bin/tar"))
        self.write(f"{system}/security.conf", tars + "tcp_port_range=512,1023\nudp_port_range=840,860\n")
        for folder in ("lib-amanda/gnutar-lists", "log-amanda", "tmp-amanda", "home", "shm", "vtapes", "holding",
                       "state/info", "state/log", "state/index", "out"):
            os.makedirs(self.path(folder), exist_ok=True)
        open(self.path("lib-amanda/amandates"), "a", encoding="utf-8").close()
        if not os.path.lexists(self.path("home/.amandahosts")):
            os.symlink("/etc/amandahosts", self.path("home/.amandahosts"))
        for number in range(1, self.slots + 1):
            os.makedirs(self.path(f"vtapes/slot{number}"), exist_ok=True)
        if self.auth == "ssh":
            self.make_ssh_files()
        self.give_to_backup(f"{system}/amandahosts", *map(self.path, ("lib-amanda", "log-amanda", "tmp-amanda", "home",
                                                                       "vtapes", "holding", "state", "out")))

    def xinetd_conf(self, address, program, auth):
        """One service: a stream each connection under bsdtcp, one server for the UDP socket otherwise."""
        user = "root" if program == self.path("bin/amandad") else "backup"
        udp = auth in UDP_AUTHS
        return f"""defaults
{{
    instances = UNLIMITED
    cps = 1000 1
    per_source = UNLIMITED
    log_type = FILE {self.path("log-amanda/xinetd.log")}
}}
service amanda
{{
    type = UNLISTED
    port = {PORT}
    bind = {address}
    flags = IPv4
    socket_type = {"dgram" if udp else "stream"}
    protocol = {"udp" if udp else "tcp"}
    wait = {"yes" if udp else "no"}
    user = {user}
    group = backup
    groups = yes
    server = {program}
    server_args = -auth={auth} amdump amindexd amidxtaped
    disable = no
}}
"""

    def dumptype(self):
        if self.program == "amgtar":
            program = 'program "APPLICATION"\n    application "app_amgtar"'
        else:
            program = f'program "{self.program}"'
        way = f'client-port "{PORT}"'
        if self.auth in ("local", "ssh"):
            way += f'\n    amandad-path "{self.amandad()}"'
        if self.auth == "ssh":
            way = way.replace(str(PORT), str(SSH_PORT))
            way += f'\n    client-username "{self.client_user()}"\n    ssh-keys "{self.path("system/ssh/key")}"'
        return f"""define dumptype lab {{
    {program}
    auth "{self.auth}"
    {way}
    compress none
    index {"yes" if self.index else "no"}
    record yes
    estimate client
    maxdumps {self.maxdumps}
    maxpromoteday 0
    {self.dumptype_lines}
}}
"""

    def write_config(self):
        folder = self.path("etc-amanda", CONF)
        self.write(f"{folder}/amanda.conf", f"""org "{CONF}"
mailto ""
dumpuser "backup"
inparallel 4
maxdumps {self.maxdumps}
netusage 100 gbps
dumpcycle 7 days
runspercycle 7
tapecycle {self.slots} tapes
runtapes 2
bumpsize 1 kb
bumppercent 0
bumpdays 1
bumpmult 1
etimeout 60
dtimeout 60
ctimeout 10
reserve 0
infofile "{self.path("state/info")}"
logdir "{self.path("state/log")}"
indexdir "{self.path("state/index")}"
tapelist "/etc/amanda/{CONF}/tapelist"
labelstr "^LAB-[0-9]+$"
autolabel "LAB-%%%" empty volume-error
tpchanger "vtapes"
tapetype VTAPE
{self.global_lines}
define changer vtapes {{
    tpchanger "chg-disk:{self.path("vtapes")}"
    property "num-slot" "{self.slots}"
    property "auto-create-slot" "no"
    changerfile "/etc/amanda/{CONF}/changer"
}}
define tapetype VTAPE {{
    length {self.length_mb} mbytes
    filemark 0 kbytes
    {f"part-size {self.part_mb} mbytes" if self.part_mb else ""}
}}
holdingdisk hd1 {{
    directory "{self.path("holding")}"
    use -1 MB
    chunksize {self.chunk}
}}
define application app_amgtar {{
    plugin "amgtar"
    property "XATTRS" "YES"
}}
{self.dumptype()}""")
        disklist = ""
        for host, name, device, lines in self.disks:
            body = "".join(f"    {line}\n" for line in ["lab", *filter(None, lines.split("\n"))])
            disklist += f"{host} {quote(name)} {quote(device)} {{\n{body}}}\n"
        self.write(f"{folder}/disklist", disklist)
        # For amrecover, which asks the real recovery services, however dumps are made.
        client_conf = f"""conf "{CONF}"
index_server "{SERVER}"
tape_server "{SERVER}"
auth "bsdtcp"
client-port "{PORT}"
"""
        self.write(f"{folder}/amanda-client.conf", client_conf)
        self.write(self.path("etc-amanda/amanda-client.conf"), client_conf)
        open(f"{folder}/tapelist", "a", encoding="utf-8").close()
        self.give_to_backup(self.path("etc-amanda"))

    def mount_everything(self):
        os.makedirs("/tmp/amanda", exist_ok=True)
        for source, target in (("etc-amanda", "/etc/amanda"), ("lib-amanda", "/var/lib/amanda"),
                               ("log-amanda", "/var/log/amanda"), ("tmp-amanda", "/tmp/amanda"), ("home", "/var/backups"),
                               ("system/amandahosts", "/etc/amandahosts"), ("system/security.conf", "/etc/amanda-security.conf"),
                               ("system/hosts", "/etc/hosts")):
            subprocess.run(["mount", "--bind", self.path(source), target], check=True)
        # Names in /dev/shm hold process ids, which repeat in every lab.
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=1777", "shm", "/dev/shm"], check=True)
        if self.auth == "ssh":
            subprocess.run(["mount", "--bind", self.path("system/etc-ssh"), "/etc/ssh"], check=True)
            subprocess.run(["mount", "--bind", self.path("system/passwd"), "/etc/passwd"], check=True)
            # Where sshd has its empty directory for the part of it that has no rights.
            subprocess.run(["mount", "-t", "tmpfs", "run", "/run"], check=True)
            os.mkdir("/run/sshd", 0o755)
        if self.holding_mb:
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={self.holding_mb}m,mode=700", "holding", self.path("holding")], check=True)
            self.give_to_backup(self.path("holding"))

    # ---- running things ----------------------------------------------------------------------------

    def run(self, command, user="root", status=0, stdin=None, seconds=120, **more):
        """Runs a command to its end; an exit status other than `status` (None: any) is a failure."""
        result = subprocess.run(self.command(command, user), input=stdin, capture_output=True, timeout=seconds,
                                env=self.environment(user), **more)
        if status is not None and result.returncode != status:
            raise Failure(f"{' '.join(map(str, command))}: exit status {result.returncode}, expected {status}\n"
                          + (result.stdout + result.stderr).decode(errors="replace")[-4000:])
        return result

    def command(self, command, user):
        if user == "root":
            return list(map(str, command))
        return ["setpriv", "--reuid", user, "--regid", user, "--init-groups", *map(str, command)]

    def environment(self, user):
        name = "root" if user == "root" else user
        return {"PATH": self.path("bin") + ":" + BACKUP_PATH, "HOME": "/root" if user == "root" else "/var/backups",
                "USER": name, "LOGNAME": name, "LANG": "C.UTF-8"}

    def start(self, command, user="root", log="out/started.log", **more):
        """Starts a command that goes on; it is ended with the lab."""
        with open(self.path(log), "ab") as output:
            child = subprocess.Popen(self.command(command, user), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                     env=self.environment(user), **more)
        self.children.append(child)
        return child

    def start_client(self, host=CLIENT):
        """The client of one host, or none when the server starts it itself; returns when it listens."""
        if self.auth == "local" or self.client == "none":
            return None
        address = {CLIENT: CLIENT_ADDRESS, SERVER: SERVER_ADDRESS}[host]
        if self.auth == "ssh":
            child = self.start(["/usr/sbin/sshd", "-D", "-e", "-f", self.path("system/ssh/sshd_config")], log="out/client.log")
            self.wait_for_listener(child, address, self.auth)
            return child
        if self.client == "headrace" and self.client_style == "daemon":
            child = self.start([self.path("bin/headrace"), "client", "--listen", f"{self.auth}:{address}:{PORT}",
                                "--amandahosts", "/etc/amandahosts", *self.client_options], log="out/client.log")
        else:
            child = self.start_xinetd(address, self.amandad(), self.auth)
        self.wait_for_listener(child, address, self.auth)
        self.listening[host] = child
        return child

    def start_bad_network(self, seed, late):
        """From now on UDP packets are lost, doubled, late and out of order (udp_proxy.py)."""
        log = self.path("out/network.log")
        child = self.start([sys.executable, os.path.join(TREE, "tests/interop/udp_proxy.py"), seed, log,
                            *(["--late"] if late else [])], log="out/proxy.log")
        wait_for(lambda: child.poll() is not None or self.read(log).startswith("ready"), "the bad network")
        expect(child.poll() is None, "the bad network ended: " + self.read("out/proxy.log"))

    def change_client(self, client):
        """The other program takes over on the client, with the state it finds."""
        for child in self.listening.values():
            child.terminate()
            child.wait()
        self.listening.clear()
        self.client = client
        self.write_config()
        self.start_client()

    def start_recovery_services(self):
        """The real amindexd and amidxtaped on the server, for amrecover."""
        self.wait_for_listener(self.start_xinetd(SERVER_ADDRESS, "/usr/lib/amanda/amandad", "bsdtcp"), SERVER_ADDRESS, "bsdtcp")

    def start_xinetd(self, address, program, auth):
        configuration = self.path("system", f"xinetd-{address}.conf")
        self.write(configuration, self.xinetd_conf(address, program, auth))
        return self.start(["xinetd", "-dontfork", "-f", configuration, "-pidfile", self.path(f"out/xinetd-{address}.pid"),
                           "-stayalive"], log="out/xinetd.log")

    def wait_for_listener(self, child, address, auth):
        port = SSH_PORT if auth == "ssh" else PORT
        is_there = (lambda: is_udp_bound(address, port)) if auth in UDP_AUTHS else (lambda: can_connect(address, port))
        wait_for(lambda: child.poll() is not None or is_there(), f"something to listen on {address}")
        expect(child.poll() is None, "it ended at once: " + self.read("out/client.log") + self.read("out/xinetd.log"))

    def read(self, name):
        try:
            with open(self.path(name), encoding="utf-8", errors="replace") as file:
                return file.read()
        except OSError as error:
            return str(error)

    def headrace(self, *words, user="root", status=0, **more):
        return self.run([self.path("bin/headrace"), *words], user=user, status=status, **more)

    # ---- what a run left ---------------------------------------------------------------------------

    def newest_log(self):
        logs = [log for log in glob.glob(self.path("state/log/log.*")) if re.search(r"log\.\d{14}\.\d+$", log)]
        expect(logs, "no run log was written")
        return max(logs)

    def dumper_lines(self):
        """[(result, disk, timestamp or "", level)] of the newest run log, in order."""
        found = []
        with open(self.newest_log(), encoding="utf-8", errors="replace") as file:
            for line in file:
                match = re.match(r'(SUCCESS|STRANGE|FAIL) dumper (\S+) ("(?:[^"\\]|\\.)*"|\S+) (?:(\d{14}) )?(\d+) ', line)
                if match:
                    found.append((match[1], unquote(match[3]), match[4] or "", int(match[5])))
        return found

    def volume_files(self, disk, timestamp, level):
        """Paths of the parts of one dump on the vtapes, in order, found by their headers alone."""
        found = {}
        for path in glob.glob(self.path("vtapes/slot*/[0-9]*")):
            with open(path, "rb") as file:
                line = file.read(32768).split(b"\n")[0].decode("utf-8", "surrogateescape")
            match = re.match(r'AMANDA: SPLIT_FILE (\d+) (\S+) ("(?:[^"\\]|\\.)*"|\S+) +part (\d+)/\S+ +lev (\d+) ', line)
            if match and (match[1], unquote(match[3]), int(match[5])) == (timestamp, disk, level):
                found[int(match[4])] = path
        expect(found and sorted(found) == list(range(1, len(found) + 1)),
               f"parts of {disk} {timestamp} level {level} on the volumes: {sorted(found)}")
        return [found[part] for part in sorted(found)]

    def print_logs(self):
        for pattern in ("out/*.log", "state/log/log.*", "state/log/amdump*"):
            for path in sorted(glob.glob(self.path(pattern)))[-2:]:
                if os.path.isfile(path) and not os.path.islink(path):
                    print(f"---- {path}\n" + self.read(path)[-1500:])
        debug = sorted(glob.glob(self.path("log-amanda/**/*.debug"), recursive=True), key=os.path.getmtime)
        for path in debug[-4:]:
            lines = [line for line in self.read(path).splitlines() if ": ru_" not in line]
            print(f"---- {path}\n" + "\n".join(lines[-12:]))


def quote(text):
    """As the configuration and the headers quote: only when something in it needs it."""
    if text and not re.search(r"[\x00-\x20\x7f:'\\\"]|[^\x00-\x7f]", text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t") + '"'


def unquote(text):
    if not text.startswith('"'):
        return text
    escapes = {"n": "\n", "t": "\t", "r": "\r", "f": "\f"}
    return re.sub(r"\\(.)", lambda match: escapes.get(match[1], match[1]), text[1:-1])
