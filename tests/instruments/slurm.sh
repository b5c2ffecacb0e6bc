#!/bin/sh
# make slurm: the tests of launchers against real engines, each of which the tests start and stop themselves: a Slurm of
# two nodes and an sshd on loopback, each with all that it keeps in one temporary folder; containers where they answer.
# What is missing is installed where that may be (apt-get, as root or with sudo that asks nothing), and what is left out
# is said at the end, by name. SLURM_INSTALL=no installs nothing; SLURM_CHAOS=no leaves the two minutes of kills out.
set -u
cd "$(dirname "$0")/../.." || exit 3
PATH=$PATH:/usr/sbin:/usr/local/bin
export REAL_WANTED="slurmctld:slurmctld slurmd:slurmd srun:slurm-client munged:munge sshd:openssh-server ssh:openssh-client"
export REAL_FILES="tests/real/test_with_slurm.py tests/real/test_with_ssh.py tests/real/test_with_containers.py"
export REAL_INSTALL="${SLURM_INSTALL:-yes}"
sh tests/instruments/real.sh || exit 1
[ "${SLURM_CHAOS:-yes}" = yes ] || exit 0
for engine in slurm ssh; do
    case $engine in slurm) needed=slurmctld;; ssh) needed=sshd;; esac
    if command -v $needed >/dev/null 2>&1; then
        ${PYTHON:-python3} tests/instruments/far_chaos.py --engine $engine || exit 1
    else
        echo "left out: far_chaos.py --engine $engine ($needed is not here)"
    fi
done
