"""Whose disk a path is on, and whose hands can reach it."""

from __future__ import annotations

import os
import re
import stat
import sys

from queuectl_lib import errors
from queuectl_lib.errors import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable, Optional, Tuple


def refuse_untrusted(folder: str, paths: Iterable[str]) -> None:
    """Raise HostError for a path that another user owns or can write: he could run commands as us.

    The *folder* of the database may be root's, but who can write there could put a log beside it.
    A group may write where it is the user's own private one (umask 002 on many systems).
    Nothing is checked on Windows, whose permissions Python does not show.
    """
    if sys.platform == "win32":
        return
    for path, owners in [(folder, (os.geteuid(), 0))] + [(path, (os.geteuid(),)) for path in paths]:
        refuse_untrusted_path(path, owners, "choose a db_path elsewhere")


def refuse_untrusted_program(paths: Iterable[str]) -> None:
    """The same for the files of the program, which may be root's as well."""
    if sys.platform == "win32":
        return
    for path in paths:
        refuse_untrusted_path(path, (os.geteuid(), 0), "copy queuectl to a folder of your own")


def refuse_untrusted_path(path: str, owners: Tuple[int, ...], elsewhere: str) -> None:
    """Raise HostError for what somebody else than *owners* owns or can write; what is not there is no danger."""
    try:
        info = os.stat(path)
    except OSError:
        return
    if info.st_uid not in owners:
        raise HostError("%s belongs to another user: no worker starts on it" % errors.printable(path))
    if info.st_mode & stat.S_IWOTH or (info.st_mode & stat.S_IWGRP and not is_private_group(info.st_gid)):
        advice = elsewhere if info.st_mode & stat.S_ISVTX else "chmod go-w it first"
        raise HostError("%s can be written by other users: %s" % (errors.printable(path), advice))


def is_private_group(gid: int) -> bool:
    """True for the group that is this user's alone: same name, no further members."""
    if sys.platform == "win32":
        return False
    import grp  # needed only for a group-writable home
    import pwd

    try:
        user, group = pwd.getpwuid(os.geteuid()), grp.getgrgid(gid)
    except KeyError:
        return False
    return user.pw_gid == gid and group.gr_name == user.pw_name and not set(group.gr_mem) - {user.pw_name}


NETWORK_FILE_SYSTEMS = (
    *("nfs", "cifs", "smb", "9p", "afs", "ceph", "gluster", "lustre", "ncpfs", "beegfs", "gpfs", "ocfs2", "gfs2"),
    *("ssh", "s3fs", "rclone", "davfs", "vboxsf", "vmhgfs", "prl_fs", "drvfs"),
)


def network_file_system(path: str, mountinfo: str = "/proc/self/mountinfo") -> Optional[str]:
    """The kind of network file system that holds *path*, None for a local or unknown one."""
    if sys.platform == "win32":
        return "a network share" if path.startswith("\\\\") else None
    kind = file_system(path, mountinfo)
    bare = kind[5:] if kind.startswith("fuse.") else kind
    return kind if bare.startswith(NETWORK_FILE_SYSTEMS) else None


def mounted_alone(paths: Iterable[str], mountinfo: str = "/proc/self/mountinfo") -> Optional[str]:
    """The first of the files *paths* that is a mount point by itself: the same file has another name elsewhere.

    None where there is none, or where the system does not tell (not Linux).
    """
    try:
        with open(mountinfo, "rb") as file:
            text = file.read()
    except OSError:
        return None
    for path in paths:  # proc(5): four blank characters and the backslash stand there in octal digits
        place = re.sub(rb"[ \t\n\\]", lambda match: b"\\%03o" % ord(match.group()), os.fsencode(path))
        if b" %s " % place in text and re.search(rb"(?m)^(?:\S+ ){4}%s " % re.escape(place), text):
            return path
    return None


def file_system(path: str, mountinfo: str = "/proc/self/mountinfo") -> str:
    """The kind of file system that holds *path*, "" where the system does not tell (not Linux)."""
    try:
        with open(mountinfo, encoding="utf-8", errors="surrogateescape") as file:
            mounts = [line.split() for line in file]
    except OSError:
        return ""
    best, kind = "", ""
    for words in mounts:  # proc(5): the fifth word is the place, the kind follows the lone -
        place = words[4]
        if "\\" in place:  # a space, say, in three octal digits
            place = re.sub(r"\\(\d{3})", lambda match: chr(int(match.group(1), 8)), place)
        inside = path == place or path.startswith(place.rstrip("/") + "/")
        if inside and len(place) >= len(best):
            best, kind = place, words[words.index("-") + 1]
    return kind
