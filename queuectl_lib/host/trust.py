"""Whose hands can reach a path: each folder and each link on the way to it, looked at as ssh does (StrictModes)."""

from __future__ import annotations

import os
import stat
import sys

from queuectl_lib import contexts, errors
from queuectl_lib.errors import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, Iterable, List, Optional, Set, Tuple

LINKS_MOST = 40  # on one way, as in Linux
ACCESS_LISTS = ("system.posix_acl_access", "system.nfs4_acl", "system.richacl")


class Way:
    """The ways to what one call uses. Nothing is looked at twice, and nothing at all on Windows, which shows no modes.

    A step belongs to this user or to root, and no other user can write it; he may where the sticky bit keeps him from
    what is not his, but not in a folder that is itself used. What is not there is no danger.
    """

    def __init__(self) -> None:
        self.known: Dict[str, Optional[os.stat_result]] = {}
        self.ends: Dict[str, str] = {}  # of the ways that were walked
        self.trees: Set[str] = set()
        self.groups: Dict[int, bool] = {}  # whether they are this user's alone
        self.owners: Tuple[int, ...] = ()

    def refuse_untrusted(
        self, folder: str, names: Iterable[str] = (), advice: str = "", are_ours: Callable[[], bool] = lambda: False
    ) -> None:
        """Raise HostError where another user can change what stands in *folder*, or the *names* in it.

        A name that is a link is refused, too: nothing of ours is one. What others could only read is made
        private where all *are_ours*. *advice* is what to do where the folder itself is everybody's.
        """
        if sys.platform == "win32":
            return
        user = os.geteuid()
        # Whoever owns the root of all paths is as good as root; in a user namespace nobody else may be there.
        self.owners = self.owners or (user, 0, os.lstat("/").st_uid)
        place = self.walk(folder)
        info = self.known.get(place) if place else None
        if info is None:
            return
        self.refuse(place, info, advice)
        for name in names:
            path = os.path.join(place, name)
            info = self.look(path)
            if info is not None:
                if stat.S_ISLNK(info.st_mode):
                    text = "%s is a symbolic link: put what it leads to there"
                    raise HostError(text % errors.printable(path), "untrusted")
                self.refuse(path, info, advice)
                if info.st_mode & 0o077 and info.st_uid == user and are_ours():
                    with contexts.suppress(OSError):  # what a restore has left open; the disk may be read-only
                        os.chmod(path, info.st_mode & 0o700)

    def refuse_untrusted_file(self, path: str, advice: str = "") -> None:
        """The same for a file that may be reached through a link of this user's own."""
        if sys.platform != "win32":
            self.refuse_untrusted(os.path.dirname(path), (), advice)
            place = self.walk(path)
            info = self.known.get(place) if place else None
            if info is not None:
                self.refuse(place, info)

    def look_at_code(self, place: str) -> None:
        """Before the next two: whose *place* it is. For root its owner is as good: it is to act as him."""
        if sys.platform != "win32":
            self.owners = (0, os.stat("/").st_uid, os.geteuid() or os.stat(place).st_uid)
            self.refuse(place, os.stat(place))

    def refuse_code(self, path: str, cached: Optional[str] = None) -> None:
        """The same for a file of code and for what Python keeps of it as *cached*, each with its folder.

        But not for the way to them, unless one of them is a link.
        """
        if sys.platform != "win32":
            for one in (path, cached) if cached else (path,):
                for step in (one.rpartition("/")[0], one):
                    if step not in self.known:
                        with contexts.suppress(OSError):  # not there, or not to be seen
                            info = self.known[step] = os.lstat(step)
                            if stat.S_ISLNK(info.st_mode):
                                self.walk(step)
                                info = os.stat(step)
                            if info.st_mode & 0o022 or info.st_uid not in self.owners:
                                self.refuse(step, info)

    def refuse_tree(self, path: str) -> None:
        """The same for *path* and all that is in it, or in what it leads to."""
        if sys.platform != "win32" and os.path.exists(path):
            self.refuse_code(path)
            place = os.path.realpath(path) if os.path.islink(path) else path
            if os.path.isdir(place) and place not in self.trees:
                self.trees.add(place)
                for name in os.listdir(place):
                    self.refuse_tree(os.path.join(place, name))

    def walk(self, path: str) -> str:
        """What *path* comes to without any link, each step looked at; "" where it leads nowhere."""
        if path in self.ends:
            return self.ends[path]
        self.ends[path] = ""
        left, place, links = steps(path), "/", 0
        self.refuse(place, self.look(place), on_the_way=True)
        while left:
            name = left.pop()
            if name == "..":
                place = os.path.dirname(place)
                continue
            step = os.path.join(place, name)
            info = self.look(step)
            if info is None:
                return ""
            if stat.S_ISLNK(info.st_mode):
                links += 1
                if links > LINKS_MOST:
                    return ""
                self.refuse(step, info, on_the_way=True)
                target = os.readlink(step)
                place = "/" if target.startswith("/") else place
                left += steps(target)
                continue
            if left:
                self.refuse(step, info, on_the_way=True)
            place = step
        self.ends[path] = place
        return place

    def look(self, path: str) -> Optional[os.stat_result]:
        """What *path* itself is, None where nothing is or can be seen: whoever opens it will be told."""
        if path not in self.known:
            try:
                self.known[path] = os.lstat(path)
            except OSError:
                self.known[path] = None
        return self.known[path]

    def refuse(self, path: str, info: Optional[os.stat_result], advice: str = "", on_the_way: bool = False) -> None:
        """Raise HostError for what somebody else owns or can write."""
        if info is None:
            return
        mode = info.st_mode
        if info.st_uid not in self.owners:
            text = "%s belongs to another user, who could put anything there"
            raise HostError(text % errors.printable(path), "untrusted")
        if not mode & (stat.S_IWGRP | stat.S_IWOTH) or stat.S_ISLNK(mode):
            return
        is_sticky = stat.S_ISDIR(mode) and bool(mode & stat.S_ISVTX)
        if on_the_way and is_sticky:
            return
        if mode & stat.S_IWOTH or not self.is_private(path, info.st_gid):
            cure = advice if is_sticky and advice else "chmod go-w it first"
            raise HostError("%s can be written by other users: %s" % (errors.printable(path), cure), "untrusted")

    def is_private(self, path: str, gid: int) -> bool:
        """True where what the group *gid* can write is proved to be in nobody else's reach."""
        if gid not in self.groups:
            self.groups[gid] = is_users_alone(gid)
        return self.groups[gid] and not has_access_list(path)


def owner_to_become(path: str) -> Optional[os.stat_result]:
    """For root: who owns *path*, or what is there of the way to it, where that is another user. None for all others."""
    if sys.platform == "win32" or os.geteuid() != 0:
        return None
    while True:
        with contexts.suppress(OSError):
            info = os.stat(path)
            return info if info.st_uid else None
        if os.path.dirname(path) == path:
            return None
        path = os.path.dirname(path)


def steps(path: str) -> List[str]:
    """The names in *path*, the last one first."""
    return [name for name in path.split("/")[::-1] if name not in ("", ".")]


def is_users_alone(gid: int) -> bool:
    """True where a group is proved to be of this user and root alone (umask 002 on many hosts).

    By the lists that the system gives: a directory service that does not list its users is not seen through.
    """
    if sys.platform == "win32":
        return False
    import grp  # needed only for what a group can write
    import pwd

    try:
        user, lines = pwd.getpwuid(os.geteuid()).pw_name, [grp.getgrgid(gid)]
    except KeyError:
        return False
    lines += [line for line in grp.getgrall() if line.gr_gid == gid]  # there may be several with that number
    members = {name for line in lines for name in line.gr_mem}
    members.update(one.pw_name for one in pwd.getpwall() if one.pw_gid == gid)
    return members <= {user, "root"}


def has_access_list(path: str) -> bool:
    """True where further users may have rights, of which the bits of the group are the mask; or that cannot be seen."""
    if sys.platform == "win32" or not hasattr(os, "getxattr"):
        return True
    for name in ACCESS_LISTS:
        with contexts.suppress(OSError):
            os.getxattr(path, name)
            return True
    return False
