"""Root in the home of another user: acts as that user, so that what it makes is his and nothing of root's is hit."""

from __future__ import annotations

import os
import sys

from queuectl_lib import errors
from queuectl_lib.errors import HostError
from queuectl_lib.host import bundle, system


def become_owner(home: str, info: os.stat_result, command: str, may_become: bool) -> None:
    """Have this process, which is root's, go on as the owner of *home*, whom *info* names.

    For good: what is decided by looking at a path could be another path a moment later. Raises HostError, with the
    line to type, where that cannot be, or where it is not enough (not *may_become*: the jobs of a worker would see
    root's environment).
    """
    if sys.platform == "win32":
        return
    uid, gid = info.st_uid, info.st_gid
    import pwd

    try:
        user = pwd.getpwuid(uid)
        name, gid = user.pw_name, user.pw_gid
    except KeyError:  # in a container, say: nobody but the disk knows him
        name = "#%d" % uid
    problem, python = "root runs no workers there", sys.executable
    if may_become:
        try:
            if name[0] == "#":
                os.setgroups([])
            else:
                os.initgroups(name, gid)
            os.setgid(gid)
            os.setuid(uid)
            if os.access(os.__file__, os.R_OK):
                return
            problem, python = "that user cannot read %s" % sys.executable, "python3"
        except OSError as error:
            problem = "root cannot act as that user here (%s)" % error.strerror
    words = ["sudo", "-u", name, python, bundle.SCRIPT, *command.split()]
    if home != bundle.HERE:  # sudo hands on no QUEUECTL_HOME
        words += ["--home", home]
    line = "%s ..." % system.typed(words)
    text = "%s belongs to %s: %s: call `%s`"
    raise HostError(text % (errors.printable(home), name, errors.printable(problem), errors.printable(line)))
