"""`config get`, `config set`, `config unset`, and `initdb`: what a home is made of."""

from __future__ import annotations

from queuectl_lib import errors, settings, values
from queuectl_lib.commands import frame, terminal
from queuectl_lib.host import bytecode, files, interrupts
from queuectl_lib.store import looking

TYPE_CHECKING = False
if TYPE_CHECKING:
    from queuectl_lib.commands.frame import Call


@frame.command("config get", frame.argument("key", metavar="KEY", nargs="?"), shows=True)
def config_get(call: Call) -> int:
    values = dict(call.config().__dict__)
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
        terminal.print_text("%-14s = %s%s\n" % (key, setting_text(value), note))
    return 0


def setting_text(value: object) -> str:
    if value is None:
        return "none"
    return values.number_text(value) if isinstance(value, float) else errors.printable(str(value))


@frame.command("config set", frame.argument("key", metavar="KEY"), frame.argument("value", metavar="VALUE"))
def config_set(call: Call) -> int:
    key = settings.setting_key(call.options.key)
    value = settings.check_setting(key, settings.setting_from_text(key, call.options.value))
    interrupts.keep_until_told()
    call.config.change(key, value, False)
    return 0


@frame.command("config unset", frame.argument("key", metavar="KEY"))
def config_unset(call: Call) -> int:
    if call.options.key not in call.config.content():
        settings.setting_key(call.options.key)
    interrupts.keep_until_told()
    call.config.change(call.options.key, None, True)
    return 0


@frame.command("initdb")
def initdb(call: Call) -> int:
    queue = call.queue()
    files.make_home(call.home)
    new = queue.database.create()
    looking.counts(queue.database)  # is it ours, and of a version that we know?
    bytecode.write_bytecode()
    terminal.tell("%s %s" % ("created" if new else "exists already:", queue.path))
    return 0
