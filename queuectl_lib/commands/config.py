"""`config get`, `config set`, `config unset`, and `initdb`: what a home is made of."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re

from queuectl_lib import errors, settings, values
from queuectl_lib.commands import frame, terminal
from queuectl_lib.errors import HostError, QueueError
from queuectl_lib.host import bytecode, files, interrupts, locks
from queuectl_lib.settings import ALIASES, ConfigFile
from queuectl_lib.store import looking

TYPE_CHECKING = False
if TYPE_CHECKING:
    from queuectl_lib.commands.frame import Call
    from queuectl_lib.values import Fields

NAMED = 5  # jobs


@frame.command("config get", frame.argument("key", metavar="KEY", nargs="?"), shows=True)
def config_get(call: Call) -> int:
    values = dict(call.config().__dict__)
    named = call.config.named_database
    values.update({"db_path": named} if named else {})
    if call.options.key is not None:
        key = settings.setting_key(call.options.key)
        if call.options.json:
            call.print_json(values[key])
        else:
            terminal.print_text(setting_text(values[key]) + "\n")
        return 0
    if call.options.json:
        call.print_json(values)
        return 0
    given = call.config.values()
    for key, value in values.items():
        note = "" if key in given else "  (default)"
        if key == "db_path" and named:
            note = "  (from QUEUECTL_DB_PATH)"
        terminal.print_text("%-14s = %s%s\n" % (key, setting_text(value), note))
    return 0


def setting_text(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, list):
        from queuectl_lib.jobs import notices, retry_rules  # of which nothing else is asked

        if [one for one in value if isinstance(one, str)]:
            return ",".join(value) if set(value) <= set(notices.WORDS) else errors.printable(json.dumps(value))
        return retry_rules.codes_text(value)
    if isinstance(value, dict):
        return errors.printable(json.dumps(value, ensure_ascii=False))
    return values.number_text(value) if isinstance(value, float) else errors.printable(str(value))


@frame.command("config set", frame.argument("key", metavar="KEY"), frame.argument("value", metavar="VALUE"), shows=True)
def config_set(call: Call) -> int:
    key = settings.setting_key(call.options.key)
    value = settings.check_setting(key, settings.setting_from_text(key, call.options.value))
    if key.endswith("_codes") or key.startswith("launcher"):
        settings.refuse_contradiction(dict(call.config.values(), **{key: value}))
    if key == "shell" and value is not None:
        from queuectl_lib.jobs import interpreters  # of which nothing else is asked

        interpreters.check_shell(value, key)  # which each `add` would refuse
    refuse_to_leave(call, key, value)
    before = call.config.values().get("launchers", {}) if key == "launchers" else {}
    interrupts.keep_until_told()
    Changeable(call.home).change(key, value, False)
    call.facts = {"key": key, "value": value}
    if key == "hook":
        tell_from_now_on(call, value)
    if key == "launchers":
        tell_who_needs(call, value, before)
    if key == "db_path" and call.config.named_database:
        terminal.tell("QUEUECTL_DB_PATH is set in your environment, and counts in its place")
    return 0


@frame.command("config unset", frame.argument("key", metavar="KEY"), shows=True)
def config_unset(call: Call) -> int:
    if call.options.key not in call.config.content():
        settings.setting_key(call.options.key)
    key = ALIASES.get(call.options.key.replace("-", "_"), call.options.key.replace("-", "_"))
    refuse_to_leave(call, key, settings.SETTING_DEFAULTS.get(key))
    if key == "launchers":
        given: Fields = {}
        with contextlib.suppress(HostError):  # of a file with a mistake, which this call may be to mend
            given = call.config.values()
        settings.refuse_contradiction(dict(given, launchers={}))
    interrupts.keep_until_told()
    Changeable(call.home).change(call.options.key, None, True)
    call.facts = {"key": key, "value": settings.SETTING_DEFAULTS.get(key)}
    if key == "hook":
        tell_from_now_on(call, None)
    if key == "launchers":
        tell_who_needs(call, {}, {})
    return 0


def tell_who_needs(call: Call, there: Fields, before: Fields) -> None:
    """Say which jobs run by a launcher that is not *there* any more, or asks another than *before*; and which queues
    name one that is not there.
    """
    from queuectl_lib.jobs import launchers  # which few calls need
    from queuectl_lib.store import launched, queues

    known = [name for name in there if name in before]
    changed = [name for name in known if launchers.asks(name, there[name]) != launchers.asks(name, before[name])]
    with contextlib.suppress(QueueError, OSError):
        database = call.queue().database
        for job, name in launched.running(database)[:NAMED]:
            if name not in there:
                text = "job %s runs by the launcher %s: until that is there again nothing is known of it"
                terminal.tell(text % (job, errors.printable(name)))
            elif name in changed:
                text = "job %s runs by the launcher %s, which asks otherwise now: what its engine does not know is gone"
                terminal.tell(text % (job, errors.printable(name)))
        for queue, launcher in queues.launchers(database).items():
            if launcher is not None and launcher not in there:
                text = "queue %s names the launcher %s: its jobs wait until that is there again"
                terminal.tell(text % (queue, errors.printable(str(launcher))))


def tell_from_now_on(call: Call, hook: object) -> None:
    """A hook was set, or taken back: noted at once, so that what ends in the next second is told, or is not."""
    from queuectl_lib.store import hook_note, hooking  # which few calls need

    with contextlib.suppress(QueueError, OSError):
        queue = call.queue()
        if hook is None:
            hooking.forget(queue.database)
        elif not hooking.listen(queue.database) and hook_note.is_there(queue.folder):
            note = hook_note.read(queue.folder)
            note.mend()
            hook_note.write(queue.folder, note)


def refuse_to_leave(call: Call, key: str, value: object) -> None:
    """Raise QueueError for another db_path while somebody serves the queue that is there: nobody would see him."""
    if key != "db_path":
        return
    try:
        old = os.path.join(call.home, call.config().db_path)
    except QueueError:
        return  # a file with a mistake, which this call may be to mend
    if os.path.normpath(os.path.join(call.home, str(value))) == os.path.normpath(old):
        return
    from queuectl_lib.store import roster  # which no other setting needs
    from storage import Queue

    alive = roster.members(Queue(old).folder)
    if alive:
        who = ", ".join(str(one["name"]) for one in alive[:3]) + (", ..." if len(alive) > 3 else "")
        text = "%s would go on with %s, where nobody sees that: `worker stop` first; nothing was changed"
        raise QueueError(text % (who, old))


@frame.command("initdb", shows=True)
def initdb(call: Call) -> int:
    queue = call.queue()
    files.make_home(call.home)
    new = queue.database.create()
    looking.counts(queue.database)  # is it ours, and of a version that we know?
    bytecode.write_bytecode()
    call.facts = {"created": new, "database": queue.path}
    if not call.options.json:
        terminal.tell("%s %s" % ("created" if new else "exists already:", queue.path))
    return 0


def replace_file(partial: str, target: str) -> None:
    """files.replace. Raises HostError where *target* is mounted by itself, so that no other file can have its name."""
    try:
        files.replace(partial, target)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        text = "%s is mounted by itself, so it cannot be replaced: mount the folder that it lies in instead"
        raise HostError(text % errors.printable(target)) from None


class Changeable(ConfigFile):
    """config.json, also replaced: one key at a time, atomically."""

    def change(self, name: str, value: object, remove: bool) -> None:
        """Set or remove one key, whatever others change at the same time."""
        with files.refusals_told(self.path):
            files.make_home(self.home)
            fd = self.lock()
            try:
                content = self.content()
                key = ALIASES.get(name.replace("-", "_"), name.replace("-", "_"))
                for old in list(content):
                    if ALIASES.get(old.replace("-", "_"), old.replace("-", "_")) == key:
                        del content[old]
                if not remove:
                    content[key] = value
                self.remove_what_a_kill_left()
                self.replace(content)
            finally:
                locks.remove_held_file(self.path + ".lock", fd)

    def lock(self) -> int:
        """Hold the right to replace the file: the descriptor of a file of its own, which nobody else may open."""
        path = self.path + ".lock"
        while True:
            fd = files.open_private(path, os.O_RDWR | os.O_CREAT)
            if not locks.wait_for_lock(fd, locks.BUSY_SECONDS):
                os.close(fd)
                raise HostError("%s is locked by another queuectl: is one of them paused?" % self.path, "locked")
            if locks.is_still_there(path, fd):
                return fd
            os.close(fd)  # whoever had it has just removed it: again

    def replace(self, content: Fields) -> None:
        target = os.path.realpath(self.path)  # a symbolic link stays one
        partial = "%s.%d.partial" % (target, os.getpid())
        try:
            fd = files.open_private(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            files.keep_mode(fd, target)
            with os.fdopen(fd, "w", encoding="utf-8") as file:
                json.dump(content, file, indent=2)
                file.write("\n")
                file.flush()
                os.fsync(file.fileno())
            with interrupts.held():
                replace_file(partial, target)
        except BaseException:
            with contextlib.suppress(OSError):  # the next call does; why the writing failed is what must be told
                files.remove(partial)
            raise
        files.sync_folder(self.home)

    def remove_what_a_kill_left(self) -> None:
        """Half-written files of calls that were killed; whoever holds the lock is the only one to write any."""
        for name in os.listdir(self.home):
            if re.match(r"config\.json\.\d+\.partial\Z", name):
                files.remove(os.path.join(self.home, name))
