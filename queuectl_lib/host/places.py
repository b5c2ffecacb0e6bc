"""Whose disk a path is on: this host's own, or a network's, or another system's; what bounds files there."""

from __future__ import annotations

import errno
import os
import re
import sys

from queuectl_lib.host import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Iterable, Optional, Sequence

NETWORK_FILE_SYSTEMS = (
    *("nfs", "cifs", "smb", "9p", "afs", "ceph", "gluster", "lustre", "ncpfs", "beegfs", "gpfs", "ocfs2", "gfs2"),
    *("ssh", "s3fs", "rclone", "davfs", "vboxsf", "vmhgfs", "prl_fs", "drvfs"),
    # Of another system on the same host, as Docker Desktop and virtual machines mount them; and stores of a cloud.
    *("virtiofs", "grpcfuse", "osxfs", "gcsfuse", "juicefs", "blobfuse", "goofys", "mount-s3", "mountpoint-s3"),
)


def network_file_system(path: str, mountinfo: str = "/proc/self/mountinfo") -> Optional[str]:
    """The kind of the file system that holds *path* where others change it, too; None for a local or unknown one."""
    if sys.platform == "win32":
        return "a network share" if path.startswith("\\\\") else None
    kind = file_system(path, mountinfo)
    bare = kind[5:] if kind.startswith("fuse.") else kind
    return kind if bare.lower().startswith(NETWORK_FILE_SYSTEMS) else None


LAST_READ: Dict[str, bytes] = {}  # of that file, between two questions that are asked together


def contents(mountinfo: str) -> bytes:
    """What the file says, b"" where there is none (not Linux)."""
    try:
        fd = os.open(mountinfo, os.O_RDONLY)
    except OSError:
        return b""
    with open(fd, "rb", buffering=0) as file:
        return file.read()


def mounted_alone(paths: Iterable[str], mountinfo: str = "/proc/self/mountinfo") -> Optional[str]:
    """The first of the files *paths* that is a mount point by itself: the same file has another name elsewhere.

    None where there is none, or where the system does not tell (not Linux).
    """
    text = LAST_READ[mountinfo] = contents(mountinfo)
    for path in paths:
        place = os.fsencode(path)
        for blank in b"\\ \t\n":  # proc(5): they stand there in octal digits
            place = place.replace(b"%c" % blank, b"\\%03o" % blank)
        if b" %s " % place in text and re.search(rb"(?m)^(?:\S+ ){4}%s " % re.escape(place), text):
            return path
    return None


def file_system(path: str, mountinfo: str = "/proc/self/mountinfo") -> str:
    """The kind of file system that holds *path*, "" where the system does not tell (not Linux)."""
    text = LAST_READ.pop(mountinfo, b"") or contents(mountinfo)
    best, kind = "", ""
    for line in text.decode("utf-8", "surrogateescape").strip("\n").split("\n") if text else ():
        words = line.split()  # proc(5): the fifth word is the place, the kind follows the lone -
        place = words[4]
        if "\\" in place:  # a space, say, in three octal digits
            place = re.sub(r"\\(\d{3})", lambda match: chr(int(match.group(1), 8)), place)
        inside = path == place or path.startswith(place.rstrip("/") + "/")
        if inside and len(place) >= len(best):
            best, kind = place, words[words.index("-") + 1]
    return kind


LITTLE_BYTES = 1 << 20  # free: less is full


def full_temporary_folder(path: str) -> str:
    """Where SQLite keeps its temporary files, if that is full and the disk of *path* is not; else "".

    It takes the first of these that it may write (https://www.sqlite.org/tempfiles.html).
    """
    named = [os.environ.get(name) for name in ("SQLITE_TMPDIR", "TMPDIR")]
    for folder in [*named, "/var/tmp", "/usr/tmp", "/tmp"]:
        if folder and os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK):
            return folder if is_full(folder) and is_full(os.path.dirname(path)) is False else ""
    return ""


def is_full(folder: str) -> Optional[bool]:
    """Whether so little is left there that no file can be made on some file systems; None where that is not told."""
    import shutil  # needed only to explain

    try:
        return shutil.disk_usage(folder).free < LITTLE_BYTES
    except OSError:
        return None


NEAR_BYTES = 64 << 20  # a limit that is further from what there is keeps nobody from writing


def why_not_larger(path: str, endings: Sequence[str]) -> str:
    """What keeps the file *path* and those beside it, with these *endings*, from growing, in words; "" for nothing.

    SQLite tells of both as of a fault of the disk.
    """
    if sys.platform == "win32":
        return ""
    import resource  # needed only to explain

    most = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    sizes = [os.path.getsize(path + ending) for ending in ("", *endings) if os.path.exists(path + ending)]
    if most != resource.RLIM_INFINITY and most < max([0, *sizes]) + NEAR_BYTES:
        return "this process may write no file larger than %d bytes (ulimit -f)" % most
    try:
        fd = files.open_nameless(os.path.dirname(path))
        try:
            files.allocate(fd, LITTLE_BYTES)
        finally:
            os.close(fd)
    except OSError as error:
        if error.errno == errno.EDQUOT:
            return "the disk quota of this user is used up (quota)"
    return ""
