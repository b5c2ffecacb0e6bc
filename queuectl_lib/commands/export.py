"""`export`: jobs that wait, written as scripts for another program, which runs them in place of our workers."""

from __future__ import annotations

import collections
import os

from queuectl_lib import contexts, errors, times, values
from queuectl_lib.commands import choosing, export_files, frame, tables, terminal
from queuectl_lib.errors import BadInput, HostError, QueueError
from queuectl_lib.host import files, interrupts, new_files, system
from queuectl_lib.jobs import states
from queuectl_lib.store import exporting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Counter, Dict, Iterator, List

    from queuectl_lib.commands.frame import Call
    from queuectl_lib.store.selecting import Found
    from queuectl_lib.values import Fields
    from storage import Queue

TO = frame.argument("--to", metavar="slurm|parallel|sh", required=True, help="who is to run them")
TAKE = frame.argument("--take", action="store_true", help="cancel the same jobs here once all is written")
FOLDER = frame.argument("folder", metavar="DIR", help="where the scripts go: a new folder, or an empty one")
NAMED = 5


@frame.command("export", TO, FOLDER, *choosing.CHANGING, TAKE, shows=True)
def export(call: Call) -> int:
    options = call.options
    if options.to not in export_files.KINDS:
        raise errors.unknown_name("program", options.to, export_files.KINDS)
    if system.WINDOWS:
        raise HostError("export writes scripts for sh, which Windows has not")
    choosing.require(call)
    queue = call.queue()
    chosen = choosing.selection(call, queue.database)
    if options.dry_run:
        return tables.dry_run(call, queue, chosen, states.WAITING, "exported")
    if options.ids and not choosing.conditions(call):
        choosing.refuse_unfit(queue, chosen, states.WAITING, "exported")
    guard = choosing.narrow(chosen, states.WAITING)
    exported = Export(call, queue, checked(options.folder))
    exported.write(choosing.found(queue.database, chosen, guard))
    if not exported.seen:
        exported.remove()
        code = choosing.nothing(call, "exported")
        call.facts = exported.facts()
        return code
    if options.take:
        exported.take()
    exported.finish()
    call.facts = exported.facts()
    if not options.quiet:
        exported.tell()
    return 0


def checked(path: str) -> str:
    """The whole path of what is named. Raises BadInput."""
    if not values.check_text(path, "DIR"):
        raise BadInput("DIR is empty: name a folder that is not there yet")
    path = os.path.join(system.current_directory(), path)
    return path if os.pardir in path.split(os.sep) else os.path.normpath(path)  # which may lead through a link


class Export:
    """One folder of scripts, and the jobs that they are of."""

    def __init__(self, call: Call, queue: Queue, path: str) -> None:
        self.call = call
        self.queue = queue
        self.kind = call.options.to
        self.path = path
        self.is_new = not os.path.exists(path)
        self.ids: Dict[int, str] = {}  # by seq, in the order of the files
        self.seen: Dict[int, object] = {}  # when each was changed last
        self.lacking: Counter[str] = collections.Counter()
        self.variables = 0  # jobs that have some
        self.taken = 0
        self.left: List[str] = []

    # -------------------------------------------------------- written

    def write(self, found: Iterator[Found]) -> None:
        """Make the folder, and a script for each job. Raises QueueError; nothing is left then."""
        with files.refusals_told(self.path):
            if not self.is_new and (not os.path.isdir(self.path) or os.listdir(self.path)):
                text = "%s is there, and is no empty folder: name another one; nothing was exported"
                raise QueueError(text % errors.shown(self.path), "exists")
        try:
            for folder in (self.path, os.path.join(self.path, "jobs")):
                new_files.make_folder(folder)
            now_text = times.utc_text(self.call.now)
            for seq, job in exporting.read(self.queue.database, found, states.WAITING):
                self.write_job(len(self.seen) + 1, job)
                self.ids[seq], self.seen[seq] = str(job["id"]), job["updated_at"]
                self.lacking.update(export_files.lacking(job, now_text))
                self.variables += bool(job["env"])
            for name, text in export_files.starters(self.kind, len(self.seen)).items():
                self.put(name, text)
            self.sync()
        except BaseException:
            self.remove()
            raise

    def write_job(self, number: int, job: Fields) -> None:
        try:
            text = export_files.script(job)
        except (ValueError, TypeError, AttributeError):
            raise QueueError("job %s cannot be read: nothing was exported" % errors.shown(job["id"])) from None
        if export_files.is_script(job["command"]):
            self.put(export_files.name_of(number, "cmd"), job["command"])
        self.put(export_files.name_of(number), text)

    def put(self, name: str, text: str) -> None:
        new_files.write(os.path.join(self.path, name), [text.encode("utf-8")], replaces=True, mode=0o700)

    def sync(self) -> None:
        """All of it, before anything is taken out of the queue for it."""
        if not self.call.options.take:
            return
        folder = os.path.join(self.path, "jobs")
        with files.refusals_told(self.path):
            for place in (folder, self.path):
                for name in os.listdir(place):
                    files.sync(os.path.join(place, name))
                files.sync_folder(place)
            files.sync_folder(os.path.dirname(self.path))

    def remove(self) -> None:
        """Take away what was made: the folder was new, or empty."""
        import shutil  # needed only here

        with contexts.suppress(OSError):
            for name in os.listdir(self.path):
                path = os.path.join(self.path, name)
                shutil.rmtree(path, ignore_errors=True) if os.path.isdir(path) else os.unlink(path)
            if self.is_new:
                os.rmdir(self.path)

    # -------------------------------------------------------- taken

    def take(self) -> None:
        """Cancel the same jobs, as they were; what was claimed or changed meanwhile stays, and is not run there."""
        interrupts.keep_until_told()
        verb = exporting.Taking(self.seen, "exported to %s" % self.path, self.call.now)
        try:
            choosing.change("exported", verb, lambda tell: exporting.take(self.queue.database, verb, tell))
        finally:
            self.taken = len(verb.taken)
            for number, (seq, identifier) in enumerate(self.ids.items(), 1):
                if seq not in verb.taken:
                    self.left.append(identifier)
                    self.put(export_files.name_of(number), export_files.stub(identifier, number))

    def finish(self) -> None:
        """From now on its scripts may be started."""
        self.sync()
        self.put("complete", "")

    # -------------------------------------------------------- told

    def line(self) -> str:
        return "sh %s" % system.quoted(os.path.join(self.path, export_files.STARTS[self.kind]))

    def facts(self) -> Fields:
        return {
            "to": self.kind,
            "folder": self.path,
            "exported": len(self.seen),
            "taken": self.taken if self.call.options.take else None,
            "left": self.left,
            "with_env": self.variables,
            "lacking": dict(self.lacking),
            "command": self.line(),
        }

    def tell(self) -> None:
        """How many they are, what is not said of them there, and what to type."""
        terminal.tell("exported %s to %s" % (terminal.jobs_text(len(self.seen)), errors.printable(self.path)))
        if self.left:
            more = " and %d more" % len(self.left[NAMED:]) if self.left[NAMED:] else ""
            text = "left %s in the queue, claimed or changed meanwhile: %s%s; their scripts do nothing"
            terminal.tell(text % (terminal.jobs_text(len(self.left)), ", ".join(self.left[:NAMED]), more))
        if not self.call.options.take:
            terminal.tell("they stay in the queue, too, and workers run them: --take takes them out")
        if self.lacking:
            parts = ["%s (%d)" % one for one in self.lacking.items()]
            terminal.tell("not carried over, of so many jobs: %s" % ", ".join(parts))
        if self.variables:
            text = "values of variables (--env) of %s stand there, which only you can read: they may be secrets"
            terminal.tell(text % terminal.jobs_text(self.variables))
        terminal.tell("start it: %s" % errors.printable(self.line()))
