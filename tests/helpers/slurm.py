"""A Slurm of two nodes on loopback, with all that it keeps in one temporary folder; and what its tests ask of it.

Debian's packages (slurmctld slurmd slurm-client munge), as root, no systemd: each daemon is a process of ours.
"""

import os
import shutil
import socket
import subprocess
import tempfile

from helpers.daemons import Daemon, free_ports
from helpers.real import found
from helpers.waiting import wait_until

PROGRAMS = ("munged", "slurmctld", "slurmd", "srun", "scancel", "squeue")
CONFIGURATION = """\
ClusterName=trial
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmctldPort={controller}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdLogFile={folder}/slurmd-%n.log
SlurmctldLogFile={folder}/slurmctld.log
ReturnToService=2
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1
SlurmdParameters=config_overrides
InactiveLimit=0
KillWait=5
WaitTime=0
JobCompType=jobcomp/none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={node1} CPUs={places} RealMemory=1000 State=UNKNOWN
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={node2} CPUs={places} RealMemory=1000 State=UNKNOWN
PartitionName=p Nodes=n[1-2] Default=YES MaxTime=INFINITE State=UP
"""


def contents_of(path):
    with open(path, "rb") as file:
        return file.read()


class Slurm:
    """The cluster, up: `with Slurm() as slurm`; *places* are the CPUs that each node says it has."""

    def __init__(self, places=4):
        self.folder = tempfile.mkdtemp(prefix="slurm-")
        os.chmod(self.folder, 0o755)  # munge looks at the way to its socket
        self.conf = os.path.join(self.folder, "slurm.conf")
        self.environment = {"SLURM_CONF": self.conf}
        self.daemons = []
        controller, *nodes = free_ports(3)
        host = socket.gethostname().partition(".")[0]
        ports = {"controller": controller, "node1": nodes[0], "node2": nodes[1]}
        with open(self.conf, "w") as file:
            file.write(CONFIGURATION.format(folder=self.folder, host=host, places=places, **ports))
        for name in ("state", "spool-n1", "spool-n2"):
            os.mkdir(os.path.join(self.folder, name))
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self):
        key = os.path.join(self.folder, "munge.key")
        with open(os.open(key, os.O_WRONLY | os.O_CREAT, 0o400), "wb") as file:
            file.write(os.urandom(1024))
        paths = {"key-file": "key", "socket": "sock", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        words = ["--%s=%s/munge.%s" % (option, self.folder, end) for option, end in paths.items()]
        self.begin("munged", "--foreground", "--force", *words)
        wait_until(lambda: os.path.exists(os.path.join(self.folder, "munge.sock")), "munged to begin")
        self.controller = self.begin("slurmctld", "-D", "-f", self.conf)
        for node in ("n1", "n2"):
            self.begin("slurmd", "-D", "-f", self.conf, "-N", node)
        self.wait_until_idle()

    def begin(self, program, *words):
        daemon = Daemon([found(program), *words], os.path.join(self.folder, program + ".out"), self.environment)
        self.daemons.append(daemon)
        return daemon

    def wait_until_idle(self, seconds=60):
        wait_until(lambda: self.ask("sinfo", "-h", "-o", "%T %D") == "idle 2", "both nodes to be idle", seconds)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.stop()

    def stop(self):
        """End what still runs, then each daemon, by its pid."""
        if len(self.daemons) == 4 and self.controller.lives():
            self.ask("scancel", "-Q", "--full", "-s", "KILL", "-u", "root")
            self.ask("scancel", "-Q", "-u", "root")
        for daemon in reversed(self.daemons):
            daemon.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    # ------------------------------------------------------------ its controller

    def stop_controller(self):
        self.controller.stop()
        self.daemons.remove(self.controller)

    def state(self):
        """What the controller has saved by now: the bytes of each file."""
        folder = os.path.join(self.folder, "state")
        return {path: contents_of(path) for path in (os.path.join(folder, name) for name in os.listdir(folder))}

    def forget_since(self, state):
        """Kill the controller, as if nothing had been saved since it had this *state*; start it again."""
        self.controller.kill()
        self.daemons.remove(self.controller)
        for path in self.state():
            os.remove(path)
        for path, data in state.items():
            with open(path, "wb") as file:
                file.write(data)
        self.start_controller()

    def start_controller(self):
        self.controller = self.begin("slurmctld", "-D", "-f", self.conf)
        wait_until(lambda: self.code("squeue", "-h") == 0, "the controller to answer", 60)

    # ------------------------------------------------------------ what it says

    def done(self, *words):
        return subprocess.run(words, env=dict(os.environ, **self.environment), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)  # fmt: skip

    def ask(self, *words):
        return self.done(*words).stdout.decode().strip()

    def code(self, *words):
        return self.done(*words).returncode

    def names(self, states="RUNNING,COMPLETING,PENDING"):
        """The names of the jobs in the queue of Slurm."""
        return self.ask("squeue", "-h", "-t", states, "-o", "%j").split()

    def launcher(self, settle="0"):
        """It as a launcher: the preset, told where this cluster is; its controller is young, and forgets nothing."""
        return {"preset": "slurm", "env": self.environment, "values": {"settle": settle}}
