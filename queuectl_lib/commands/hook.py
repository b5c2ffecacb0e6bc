"""`hook`: the program that is told of what happens: what is set, how far it was told; tried, and told now."""

from __future__ import annotations

import time

from queuectl_lib import errors, times
from queuectl_lib.commands import frame, terminal
from queuectl_lib.errors import BadInput, QueueError
from queuectl_lib.host import interrupts, system
from queuectl_lib.run import inheriting, log
from queuectl_lib.store import hook_note, hooking

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, List, Optional

    from queuectl_lib.commands.frame import Call
    from queuectl_lib.run.hook_process import Ended
    from queuectl_lib.settings import Settings
    from queuectl_lib.values import Fields

NONE_SET = 'no hook is set: `config set hook "sh notify.sh"`, and README has three scripts'


@frame.command(
    "hook",
    frame.argument("--test", action="store_true", help="send a made-up event, and say how the hook ended"),
    frame.argument("--now", action="store_true", help="tell now what is to be told, whenever it was tried last"),
    frame.argument("--name", help=frame.HIDDEN),
    shows=True,
    as_owner=False,
)
def hook(call: Call) -> int:
    if call.options.test and call.options.now:
        raise BadInput("--test and --now contradict each other: give one of them")
    settings = call.config()
    if call.options.test:
        return test(call, settings)
    return tell_now(call, settings) if call.options.now else show(call, settings)


# ---------------------------------------------------------------- looking


def show(call: Call, settings: Settings) -> int:
    queue = call.queue()
    note = hook_note.read(queue.folder)
    cursor = hooking.how_far(queue.database)
    listens = settings.hook is not None and cursor is not None and cursor.next > 0
    facts: Fields = {key: getattr(settings, key) for key in ("hook", "hook_on", "hook_every", "hook_max_age")}
    facts["told"] = cursor.next - 1 if cursor and listens else None
    facts["last"] = cursor.last if cursor else 0
    facts["last_try"] = times.utc_text(note.began) if note.began else None
    fails = note.fails(call.now)
    facts["failing_since"] = times.utc_text(note.since) if fails else None
    facts["tries"] = note.tries if fails else 0
    facts["why"] = note.reason() if fails else None
    rest = note.rest(call.now, settings.hook_every)
    facts["next_try"] = times.utc_text(call.now + rest) if fails else None
    if call.options.json:
        call.print_json(facts)
        return 0
    if settings.hook is None:
        terminal.print_text(NONE_SET + "\n")
        return 0
    lines = ["hook     %s" % errors.printable(system.typed(settings.hook))]
    lines.append("told of  %s" % (", ".join(settings.hook_on) or "nothing but what jobs ask for (--notify)"))
    every, age = times.exact_age(settings.hook_every), times.exact_age(settings.hook_max_age)
    lines.append("         at most every %s; what is older than %s as a summary" % (every, age))
    lines.append("so far   %s" % so_far(facts))
    if fails:
        text = "fails    since %s ago, tries: %d: %s"
        lines.append(text % (ago(call.now, note.since), note.tries, errors.printable(note.reason())))
        lines.append("         next try in %s; `%s hook --now` tries at once" % (times.age_text(rest), frame.PROGRAM))
    elif note.began:
        lines.append("last     told %s ago, events: %d" % (ago(call.now, note.began), note.events))
    terminal.print_text("".join(line + "\n" for line in lines))
    return 0


def ago(now: float, moment: float) -> str:
    return times.age_text(max(0.0, now - moment))


def so_far(facts: Fields) -> str:
    if facts["told"] is None:
        return "nobody listens yet: the next supervisor tells of what ends from then on"
    return "ended attempts: %d, told or passed: %d" % (facts["last"], facts["told"])


# ---------------------------------------------------------------- telling


def tell_now(call: Call, settings: Settings) -> int:
    """What a supervisor starts, and persons: in the log of the one, on the terminal of the other."""
    from queuectl_lib.reports import hook_delivery  # with the means to run a program

    name = call.options.name
    say: Callable[[str], None] = terminal.tell if name is None else lambda text: log.say(name, text)
    if settings.hook is None:
        if name is None:
            raise QueueError(NONE_SET)
        return 0
    queue = call.queue()
    inheriting.note_home(call.home)
    interrupts.hold()
    interrupts.let_be_told()  # a stop ends the hook before us
    try:
        told = hook_delivery.deliver(queue, settings, call.home, time.time(), say)
    except QueueError as error:
        if name is None:
            raise
        say("hook: %s" % error)
        return error.exit_code
    if told.ended is None:
        if name is None:
            terminal.tell(told.why)
    else:
        say("hook: " + in_words(told.ended, told.events))
    call.facts = facts_of(told.ended, told.events)
    return 0 if told.succeeded() else 1


def in_words(ended: Ended, events: int) -> str:
    if ended.code == 0:
        return "told, events: %d" % events
    return "it fails, events: %d: %s; the same are told again" % (events, ended.sentence())


def facts_of(ended: Optional[Ended], events: int) -> Fields:
    """What a program is told."""
    return {
        "events": events if ended else 0,
        "ok": ended is None or ended.code == 0,
        "exit_code": ended.code if ended else None,
        "ended": ended.words if ended else None,
        "seconds": round(ended.seconds, 3) if ended else None,
        "output": ended.lines() if ended else [],
    }


# ---------------------------------------------------------------- trying


def test(call: Call, settings: Settings) -> int:
    """Send a made-up event; nothing is noted."""
    import json
    import os

    from queuectl_lib.reports import hook_batch
    from queuectl_lib.run import hook_process

    if settings.hook is None:
        raise QueueError(NONE_SET)
    call.queue()  # of a home that is ours
    inheriting.note_home(call.home)
    note = hook_note.Note()
    note.token = os.urandom(8).hex()
    event = dict(hook_batch.beside("test", "this is a test of the hook", call.now), **made_up())
    interrupts.hold()
    interrupts.let_be_told()
    program = hook_process.Program(settings.hook, call.home, note, settings.grace)
    variables = {"QUEUECTL_EVENTS": "1", "QUEUECTL_EVENT": "test"}
    ended = program.run((json.dumps(event) + "\n").encode("ascii"), variables)
    call.facts = facts_of(ended, 1)
    if not call.options.json:
        after = ", after %.1f s" % ended.seconds if ended.seconds else ""
        lines: List[str] = ["the hook: %s%s" % (ended.words, after)]
        lines += ["  " + errors.printable(line) for line in ended.lines()]
        terminal.print_text("".join(line + "\n" for line in lines))
    return 0 if ended.code == 0 else 1


def made_up() -> Fields:
    """The keys of an ended attempt, of a job that there is not."""
    found: Fields = {"id": "test", "name": None, "kind": "test", "attempt": 1, "outcome": "failed", "state": "dead"}
    found.update(exit_code=1, signal=None, error="exit code 1", signature=None, duration=1.0, waited=0.0)
    found.update(cpu=None, peak_rss=None, worker="test", result=None)
    return found
