"""The folder beside the database `q.db`: `q.db.d`, private to the user, and what each file in it means.

gate            the write gate
stay            there from `worker stop --stay` to the next `worker start`: --ensure starts nobody (store/staying)
start           locked by a `worker start --ensure` until its supervisor lives
slots           held by a supervisor with a --max-time while it counts workers and starts its own
check           held while dead letters are told of, so that two do not tell of the same
check-troubles  the same of troubles that last; check-slow: of what runs unusually long
hook            the note of the last try to tell the hook (store/hook_note); hook.lock: held by who tells it
bell            a FIFO: an enqueue writes a byte to wake a sleeping worker (a hint only)
workers/N.life  held locked by the supervisor or worker N for as long as it lives
workers/N.stop  supervisor N is asked to finish and leave (.now: to end its jobs first,
                .leave: to leave them running); N.ready: it says that its workers are up
attempts/T.*    lock and status (.run), output (.out, .err) of the attempt with token T; and
                what the job says of itself (.say), which it makes; a text of
                which an interpreter is to read a file (.cmd)
worker.log      what background supervisors and their workers say
"""

from __future__ import annotations

import json
import os

from queuectl_lib import errors
from queuectl_lib.errors import HostError
from queuectl_lib.host import bell, files, locks, system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Optional

    from queuectl_lib.values import Fields

OUTPUTS = ("out", "err")
FILES = ("run",) + OUTPUTS  # of an attempt
SAY = "say"  # one more, which only a job makes that has something to say
SCRIPT = "cmd"  # one more, for a text that begins with #! (run/scripts)
HEXADECIMAL = "0123456789abcdef"
REQUESTS = ("stop", "leave", "now")  # files that ask a supervisor and its workers to end: a later one outdoes
STAY = "stay"
NO_TOKEN = "-"  # what stands in the name of a file for one that is none: no such file is ever made


def is_token(value: object) -> bool:
    """True for what can be the token of an attempt; a database from elsewhere may hold anything, ../../x too."""
    return isinstance(value, str) and len(value) == 16 and not value.strip(HEXADECIMAL)


def is_name(value: str) -> bool:
    """True for what can be the name of a supervisor or worker."""
    return value.replace("-", "").replace("_", "a").isalnum()


class Folder:
    """Where each file beside one database lies, and who holds those of an attempt."""

    def __init__(self, db_path: str) -> None:
        self.database = db_path
        self.path = db_path + ".d"
        self.identity = ""  # of the queue (store/identity), once a supervisor or worker has asked
        self.is_deleted = False  # with all evidence that was in it (run/standing)
        self.workers = os.path.join(self.path, "workers")
        self.attempts = os.path.join(self.path, "attempts")
        self.bell = os.path.join(self.path, "bell")
        self.log = os.path.join(self.path, "worker.log")

    def make(self) -> None:
        """Make what is missing, private. Raises OSError."""
        for folder in (self.path, self.workers, self.attempts):
            files.make_private_folder(folder)
        bell.make(self.bell)

    def life_path(self, name: str) -> str:
        return self.request_path(name, "life")

    def request_path(self, supervisor: str, request: str) -> str:
        """The file that asks *supervisor* to "stop", to stop "now", or to "leave" jobs running."""
        name = supervisor if is_name(supervisor) else NO_TOKEN
        return os.path.join(self.workers, name + "." + request)

    def is_alive(self, name: str) -> bool:
        """True while the supervisor or worker *name* lives, or where that cannot be told."""
        return locks.is_held(self.life_path(name)) is not False

    def details_of(self, name: str) -> Fields:
        """What the supervisor or worker *name* has written of itself, or had when it died."""
        found: Fields = {"kind": "starting", "name": name, "pid": 0, "limited": False, "slots": 1}
        found.update(host="", since="", supervisor="")
        try:
            with open(self.life_path(name), "rb") as file:
                told = json.loads(file.read(4096).decode("ascii"))
            found.update((key, one) for key, one in told.items() if type(one) is type(found.get(key, one)))
        except (OSError, ValueError, AttributeError, RecursionError):
            pass  # it has just begun, or has just gone; or a job has written there what none of ours would
        if not 0 < found["pid"] <= system.MOST_PID:
            found["pid"] = 0
        return found

    def stays_since(self) -> Optional[float]:
        """Since when no supervisor is to start by itself (seconds since 1970); None where one may. Raises OSError.

        That the file is there says all: it may be empty, a folder, unreadable.
        """
        try:
            return os.lstat(os.path.join(self.path, STAY)).st_mtime
        except (FileNotFoundError, NotADirectoryError):
            return None

    def put_request(self, supervisor: str, request: str) -> None:
        """Leave that file; "ready" is what a supervisor says of itself. Raises OSError.

        On a full disk one that says less becomes it: a new name may need space, another one does not.
        """
        path = self.request_path(supervisor, request)
        try:
            os.close(files.open_private(path, os.O_WRONLY | os.O_CREAT))
        except OSError as error:
            less = ("ready",) + REQUESTS[: REQUESTS.index(request)] if request in REQUESTS else ()
            is_full = error.errno in files.FULL
            if not is_full or not any(files.becomes(self.request_path(supervisor, one), path) for one in less):
                raise

    def is_asked(self, supervisor: str, request: str) -> bool:
        return os.path.exists(self.request_path(supervisor, request))

    def refuse_links(self) -> None:
        """Raise HostError where one of the folders is a link: what it leads to is none of ours."""
        for path in (self.path, self.workers, self.attempts):
            if os.path.islink(path):
                raise HostError("%s is a symbolic link: put what it leads to there" % errors.printable(path))

    def attempt_path(self, token: str, kind: str) -> str:
        """Where an attempt keeps its lock and status ("run") or output ("out", "err"), or is spoken of ("say")."""
        return "%s%s%s.%s" % (self.attempts, os.sep, token if is_token(token) else NO_TOKEN, kind)

    def attempt_paths(self, token: str) -> Dict[str, str]:
        """All of these, by kind."""
        start = self.attempt_path(token, "")
        return {kind: start + kind for kind in FILES}

    def attempt_is_held(self, token: str) -> bool:
        """True while a process of this attempt lives, one that inherited its lock; or where that cannot be told."""
        return self.is_held(self.attempt_path(token, "run"))

    def is_held(self, run_path: str) -> bool:
        """The same of the attempt whose run file is *run_path*."""
        return not self.is_deleted and locks.is_held(run_path) is not False

    def remove_attempt_files(self, token: str) -> None:
        """Delete what an attempt left in the attempts folder, except a lock that is still held. Raises OSError."""
        if is_token(token):
            files.remove_from(self.attempts, [token + "." + kind for kind in OUTPUTS + (SAY, SCRIPT)])
            if not self.attempt_is_held(token):
                files.remove_from(self.attempts, [token + ".run"])
