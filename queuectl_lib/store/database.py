"""One database: who may open it and how, the gate, and the two kinds of transactions.

Every write is one `BEGIN IMMEDIATE` transaction on a fresh connection, behind the *gate*, a
file lock that keeps writers in line (SQLite's own waiting sleeps, and is unfair) and makes
checkpoints safe: SQLite up to 3.51.2 can lose commits that race a PASSIVE checkpoint (its
"WAL-reset bug"), so automatic ones are off and ours run behind the gate. A commit is synced to
disk before the call returns, where its caller does not say otherwise. (A foreign writer, say
the sqlite3 shell, knows no gate.)
"""

from __future__ import annotations

import os
import sqlite3
import stat

from queuectl_lib import contexts, errors, values
from queuectl_lib.errors import HostError, Locked, NoDatabase
from queuectl_lib.host import failpoints, files, interrupts, locks, places, system
from queuectl_lib.store import formats, index_room, opening
from queuectl_lib.store.folder import Folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, Optional, Sequence, Set, Tuple

    from queuectl_lib.host.trust import Way

LOG_SEEN: Set[str] = set()  # databases that this process has opened: from then on it may have locks of SQLite's
FILES = ("", *opening.BESIDE)  # a journal is played back even into a database with a log


class Database:
    """One database and the folder beside it. Every method that opens it does so anew, and may raise HostError."""

    def __init__(self, path: str, busy_seconds: float = locks.BUSY_SECONDS) -> None:
        self.path = values.check_text(os.path.realpath(path), "the path of the database")
        self.folder = Folder(self.path)
        self.busy_seconds = busy_seconds
        self.index_room = index_room.IndexRoom(self.path)
        self.place_is_safe = False  # until it has been looked at
        self.has_one_name = False  # the same
        self.served: Sequence[str] = ()  # queues whose jobs are started here: all; these alone; all but "!NAME"
        self.is_behind = False  # of ours something is committed that a `catch_up` is to sync

    # -------------------------------------------------------- being there

    def create(self) -> bool:
        """Create the database and its folder where they are missing; True if it was new."""
        self.refuse_unsafe_place()
        with opening.told(self.path):
            with contexts.suppress(FileNotFoundError):
                self._refuse_no_file(os.stat(self.path))
            self.refuse_in_the_way()
            self.folder.make()
            with self.gate():
                new = not os.path.exists(self.path) or not os.path.getsize(self.path)
                if new:
                    from queuectl_lib.store import schema  # which few calls need

                    self.index_room.look()
                    schema.create(self.path, self.busy_seconds)
                return new

    def ready(self) -> None:
        """See that the database exists, where one may: the first enqueue creates it."""
        self.refuse_unsafe_place()
        if not os.path.exists(self.path) or not os.path.getsize(self.path):
            self.create()

    def refuse_unsafe_place(self) -> None:
        """Raise HostError where the database lies on a network file system, or has a second name."""
        self.refuse_second_name()
        if self.place_is_safe:
            return
        kind = places.network_file_system(self.path)
        self.place_is_safe = not kind
        if kind:
            raise HostError(
                "%s is on a network file system, or on one of another system (%s), where locks and WAL are not safe:"
                " config set db_path to a local disk" % (errors.printable(self.path), kind)
            )

    def refuse_second_name(self) -> None:
        """Raise HostError where a file or the folder alone is mounted here: others have another log, or other locks.

        (A hard link is refused where the file is opened.)
        """
        if self.has_one_name:
            return
        files = [self.path + ending for ending in FILES]
        path = places.mounted_alone(files + [self.folder.path, self.folder.workers, self.folder.attempts])
        if path:
            what = "as a single file, apart from the log" if path in files else "by itself, apart from the database"
            text = "%s is mounted %s and the locks beside it: mount the folder that it lies in instead"
            raise HostError(text % (errors.printable(path), what))
        self.has_one_name = True

    def refuse_untrusted(self, way: Way) -> None:
        """Raise HostError where another user could change what is kept here, and so make us run something."""
        folder, name = os.path.split(self.path)
        ours = [name + ending for ending in FILES + (".d", ".d/attempts", ".d/workers")]
        way.refuse_untrusted(folder, ours, "choose a db_path elsewhere", self._is_a_queue)

    def _is_a_queue(self) -> bool:
        """True where the file at our path says so: a mistyped db_path changes nothing of what it names."""
        with contexts.suppress(OSError):
            if not files.is_irregular(self.path):  # which to open might never return
                with open(self.path, "rb") as file:
                    return formats.is_head_of_queue(file.read(formats.HEAD_BYTES))
        return False

    def refuse_in_the_way(self) -> None:
        """Raise HostError where something else has the name of a file of SQLite's, which could not write then."""
        wrong = opening.in_the_way(self.path)
        if wrong:
            raise HostError(wrong)

    def _refuse_no_file(self, info: os.stat_result) -> None:
        if not stat.S_ISREG(info.st_mode):
            what = "a directory" if stat.S_ISDIR(info.st_mode) else "a device or pipe"
            raise HostError("%s is %s, not a database: choose another db_path" % (self.path, what))

    def _refuse_no_folder(self) -> None:
        """Where a file stands in place of a folder Windows says no more than that nothing was found."""
        folder = os.path.dirname(self.path)
        if os.path.exists(folder) and not os.path.isdir(folder):
            raise HostError("%s is not a directory: choose another home or db_path" % folder)

    # -------------------------------------------------------- opening

    def open(self, options: str = "mode=rw", gated: bool = False) -> sqlite3.Connection:
        """A connection to the queue as this version knows it. Raises NoDatabase.

        *gated* says that the caller holds the gate, behind which an older format is upgraded.
        """
        try:
            info = os.stat(self.path)
        except FileNotFoundError:
            self._refuse_no_folder()
            raise NoDatabase("%s does not exist: `queuectl.py initdb` creates it" % self.path, line="initdb") from None
        self._refuse_no_file(info)
        if info.st_nlink > 1:
            raise HostError("%s has a second name (hard link), which SQLite cannot keep safe: remove it" % self.path)
        if not info.st_size:
            raise NoDatabase("%s is empty: `queuectl.py initdb` fills it" % self.path, line="initdb")
        self.index_room.look()
        if self.path not in LOG_SEEN:
            LOG_SEEN.add(self.path)
            self._see_to_log(gated)
        opened = opening.connect(self.path, self.busy_seconds, options)
        with opening.closed_on_error(opened):
            if opened.execute("PRAGMA application_id").fetchone()[0] != formats.APPLICATION_ID:
                raise HostError("%s is a database of another program: choose another db_path" % self.path)
            if formats.version_of(opened, self.path) < formats.FORMAT:
                self._upgrade(opened, gated)
        return opened

    def _see_to_log(self, gated: bool) -> None:
        """Before this process has locks of SQLite's, and where nobody else has: put aside a log of another database."""
        wal, index = self.path + "-wal", self.path + "-shm"
        if not index_room.size_of(wal) or locks.is_byte_held(index, index_room.IN_USE):
            return
        from queuectl_lib.store import log_of_another  # needed only after a crash

        with contexts.suppress(OSError, Locked):
            if gated:
                log_of_another.put_aside(self.path)
            elif log_of_another.is_of_another(self.path):
                with self.gate():
                    log_of_another.put_aside(self.path)

    def _upgrade(self, opened: sqlite3.Connection, gated: bool) -> None:
        from queuectl_lib.store import schema  # the same

        if gated:
            schema.migrate(opened, self.path, self.busy_seconds)
        else:
            with self.gate():
                self._upgrade(opened, gated=True)

    def _open_for_reading(self) -> sqlite3.Connection:
        """The same as open; also where nothing can be written, if all is in the database itself.

        In WAL mode even a reader makes files beside it, unless told that nothing changes
        (https://www.sqlite.org/wal.html#read_only_databases).
        """
        try:
            return self.open()
        except sqlite3.OperationalError:
            if os.access(self.path, os.W_OK) and os.access(os.path.dirname(self.path), os.W_OK):
                raise
            logs = (self.path + "-wal", self.path + "-journal")
            if any(os.path.exists(log) and os.path.getsize(log) for log in logs):
                raise
            return self.open("mode=ro&immutable=1")

    def keeper(self) -> sqlite3.Connection:
        """An idle connection. While one is open, no operation deletes and re-makes the WAL."""
        with opening.told(self.path):
            opened = self.open()
            with opening.closed_on_error(opened):
                opened.execute("SELECT count(*) FROM counts").fetchall()
            return opened

    # -------------------------------------------------------- transactions

    @contexts.contextmanager
    def gate(self, name: str = "gate") -> Iterator[None]:
        """Hold the write gate (or another). Waits its turn for busy_seconds, then raises HostError."""
        path = os.path.join(self.folder.path, name)
        try:
            fd = files.open_private(path, os.O_RDWR | os.O_CREAT)
        except FileNotFoundError:
            self.folder.make()
            fd = files.open_private(path, os.O_RDWR | os.O_CREAT)
        try:
            if not locks.wait_for_lock(fd, self.busy_seconds):
                raise Locked("%s is locked by another queuectl for too long: is one of them paused?" % self.path)
            with locks.not_paused():
                yield
        finally:
            os.close(fd)

    @contexts.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        with opening.told(self.path):
            opened = self._open_for_reading()
            try:
                yield opened
            finally:
                opened.close()

    @contexts.contextmanager
    def writing(self, synced: bool = True) -> Iterator[sqlite3.Connection]:
        """One write transaction: all of it is on the disk afterwards, or none of it.

        Not *synced* it survives every kill, but power loss only once a later one is synced.
        """
        with opening.told(self.path):
            if not os.path.isdir(self.folder.path) and not os.path.exists(self.path):
                raise NoDatabase("%s does not exist: `queuectl.py initdb` creates it" % self.path, line="initdb")
            self.refuse_unsafe_place()
            with self.gate():
                opened = self.open(gated=True)
                with self.index_room.allocated(opened):
                    if not synced:
                        opened.execute("PRAGMA synchronous = NORMAL")
                    opened.execute("BEGIN IMMEDIATE")
                    try:
                        yield opened
                        failpoints.failpoint("write.before-commit")
                        with interrupts.held():
                            opened.execute("COMMIT")
                            failpoints.failpoint("write.committed")
                    except BaseException:
                        opening.roll_back(opened)
                        raise
                    self.is_behind = self.is_behind and not synced
                    self.checkpoint(opened)

    def catch_up(self) -> None:
        """Sync to disk what `writing` has committed without that, where somebody has said that it is_behind.

        All commits so far are in the log, which is synced as a whole. Raises HostError.
        """
        if self.is_behind:
            self.is_behind = False
            with opening.told(self.path), contexts.suppress(FileNotFoundError):  # written back, and that is synced
                files.sync(self.path + "-wal")

    def checkpoint(self, opened: sqlite3.Connection, more_than_bytes: int = opening.CHECKPOINT_BYTES) -> None:
        """Write a large WAL back. Behind the gate only, where it cannot race a commit."""
        try:
            if os.stat(self.path + "-wal").st_size <= more_than_bytes:
                return
            opened.execute("PRAGMA busy_timeout = 0")  # a reader is not waited for: next time
            mode = "TRUNCATE" if opening.HAS_TRUNCATE else "RESTART"
            opened.execute("PRAGMA wal_checkpoint(%s)" % mode).fetchall()
        except (OSError, sqlite3.OperationalError):
            pass  # the commit stands; the WAL is only larger than it need be

    def fingerprint(self) -> Optional[Tuple[float, Tuple[int, ...]]]:
        """When the database's files last changed (seconds since 1970), and what differs after each commit.

        None where that is no evidence: a file is missing, or Windows, which tells the
        times of an open file late.
        """
        if not system.TELLS_FILE_TIMES:
            return None
        try:
            main, wal = os.stat(self.path), os.stat(self.path + "-wal")
        except OSError:
            return None
        changed = max(main.st_mtime, wal.st_mtime)
        return changed, (main.st_mtime_ns, main.st_size, main.st_ino, wal.st_mtime_ns, wal.st_size, wal.st_ino)
