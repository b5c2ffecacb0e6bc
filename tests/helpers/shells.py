"""Completion as real shells do it: what they propose for a line that is typed up to its end."""

import os
import subprocess
import sys

from helpers.bundle import copy_bundle

# A folder of which every character means something to some shell.
AWKWARD = "a b'c\"d$HOME`e`\\f!g\nh\u2019[i]*;&"

BASH = r"""
source "$1"; name=$2; shift 2
for line in "$@"; do
    COMP_LINE=$line COMP_POINT=${#line} COMP_WORDS=($line)
    [[ $line == *' ' ]] && COMP_WORDS+=('')
    COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 ))
    described=$(complete -p "$name")
    described=${described#*-F }
    "${described%% *}" "$name" "${COMP_WORDS[COMP_CWORD]}" ''
    echo "${COMPREPLY[*]}"
done
"""
FISH = r"""
source $argv[1]
for line in $argv[3..-1]
    string join ' ' -- (complete -C $line | string replace -r '\t.*' '')
end
true
"""


def installed(path, name="bundle"):
    """A copy of the product in the folder *name* below *path*; the folder."""
    folder = os.path.join(str(path), name)
    os.mkdir(folder, 0o755)
    copy_bundle(folder, used_by=sys.executable)
    return folder


def script(folder, shell, *words):
    """The file with what `completion SHELL WORDS` of the copy in *folder* prints."""
    path = os.path.join(os.path.dirname(folder), "completion." + shell)
    command = [sys.executable, "-S", os.path.join(folder, "queuectl.py"), "completion", shell, *words]
    with open(path, "wb") as file:
        subprocess.run(command, stdout=file, check=True, timeout=60)
    return path


def proposed(shell, path, lines, name="queuectl"):
    """What *shell* proposes, a list for each of *lines*, when it has read the script at *path*."""
    words = {"bash": ["bash", "--norc", "-c", BASH, "bash"], "fish": ["fish", "--no-config", "-c", FISH]}[shell]
    done = subprocess.run([*words, path, name, *lines], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    assert (done.returncode, done.stderr) == (0, b""), done
    return [line.split() for line in done.stdout.decode().splitlines()]
