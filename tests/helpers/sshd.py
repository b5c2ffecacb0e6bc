"""An sshd on loopback, with keys, port and configuration of its own in a temporary folder: nobody's ~/.ssh is touched.

A queuectl is there, with a home of its own: `far` is that home, for a test to look into.
"""

import getpass
import os
import shutil
import subprocess
import tempfile

from helpers.daemons import Daemon, free_ports, is_root
from helpers.home import SCRIPT, Home
from helpers.processes import PYTHON, end_process
from helpers.real import found
from helpers.waiting import wait_until

PROGRAMS = ("sshd", "ssh", "ssh-keygen")
SEPARATION = "/run/sshd"  # without which sshd as root does not begin
SERVER = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
PidFile {folder}/sshd.pid
AuthorizedKeysFile {folder}/key.pub
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin yes
MaxStartups 200:30:300
MaxSessions 100
"""
CLIENT = """\
Host node1
  HostName 127.0.0.1
  Port {port}
  User {user}
  IdentityFile {folder}/key
  IdentitiesOnly yes
  UserKnownHostsFile {folder}/known
  StrictHostKeyChecking yes
  ConnectTimeout 5
  LogLevel ERROR
"""


class Sshd:
    """The server, up, as the host `node1` of the ssh in `bin`: `with Sshd() as sshd`."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="sshd-")
        self.bin = os.path.join(self.folder, "bin")
        os.mkdir(self.bin)
        self.made_separation = is_root() and not os.path.isdir(SEPARATION)
        if self.made_separation:
            os.mkdir(SEPARATION, 0o755)
        self.port = free_ports(1)[0]
        for name in ("host", "key"):
            words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.path(name)]
            subprocess.run(words, stdin=subprocess.DEVNULL, check=True)
        with open(self.path("host.pub")) as file:
            self.write("known", "[127.0.0.1]:%d %s" % (self.port, file.read()))
        facts = {"port": self.port, "folder": self.folder, "user": getpass.getuser()}
        self.write("server", SERVER.format(**facts))
        self.write("client", CLIENT.format(**facts))
        self.program("ssh", 'exec %s -F %s "$@"' % (found("ssh"), self.path("client")))
        os.mkdir(self.path("home"), 0o700)
        self.far = Home(self.path("home"))
        words = (" ".join(PYTHON), SCRIPT, self.far.path)
        self.queuectl = self.program("queuectl", 'exec %s %s --home %s "$@"' % words)
        try:
            self.start()
        except BaseException:
            self.stop()
            raise

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(os.open(self.path(name), os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            file.write(text)

    def program(self, name, text):
        path = os.path.join(self.bin, name)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o755), "w") as file:
            file.write("#!/bin/sh\n%s\n" % text)
        return path

    def start(self):
        self.daemon = Daemon([found("sshd"), "-D", "-f", self.path("server")], self.path("log"), {})
        wait_until(lambda: self.ssh("true") == 0, "sshd to answer")

    def heal(self):
        """Begin again, where it was stopped."""
        if not self.daemon.lives():
            self.start()

    def fall(self):
        """Nothing answers any more, and each line that there is dies."""
        lines = self.lines()  # before: later they are nobody's
        self.daemon.stop()
        for pid in lines:
            end_process(pid)

    def ssh(self, *words):
        words = [os.path.join(self.bin, "ssh"), "-oBatchMode=yes", "--", "node1", *words]
        return subprocess.run(words, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=30).returncode

    def lines(self):
        """The pids of the processes that serve one connection each."""
        asked = subprocess.run(["ps", "-e", "-o", "pid=,ppid=,args="], stdout=subprocess.PIPE)
        rows = [row.split(None, 2) for row in asked.stdout.decode().splitlines()]
        return [int(pid) for pid, parent, words in rows if int(parent) == self.daemon.process.pid and "sshd" in words]

    def launcher(self, **changes):
        return dict({"preset": "ssh", "values": {"host": "node1", "queuectl": self.queuectl}}, **changes)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.stop()

    def stop(self):
        self.far.clean_up()
        self.daemon.stop()
        if self.made_separation:
            os.rmdir(SEPARATION)
        shutil.rmtree(self.folder, ignore_errors=True)
