"""`top`: what the queue does, on a screen that lives; in plain lines where it cannot, or is not to."""

from __future__ import annotations

from queuectl_lib import times
from queuectl_lib.commands import choosing, frame
from queuectl_lib.errors import BadInput
from queuectl_lib.jobs import states

TYPE_CHECKING = False
if TYPE_CHECKING:
    from queuectl_lib.commands.frame import Call

LEAST_SECONDS, MOST_SECONDS = 0.1, 3600.0  # between two looks


@frame.command(
    "top",
    frame.argument("--once", action="store_true", help="print it once, in plain tables, and end"),
    frame.argument("--interval", metavar="S", default="1", help="look again each S seconds (default: 1)"),
    choosing.STATE,
    frame.argument("--plain", action="store_true", help="print only lines that are new: for screen readers and logs"),
    shows=True,
)
def top(call: Call) -> int:
    options = call.options
    if options.json and options.plain:
        raise BadInput("--json and --plain contradict each other: give one of them")
    return watch(call, seconds_of(options.interval, "--interval"), True, options)


def seconds_of(text: str, name: str) -> float:
    """How often to look, in seconds. Raises BadInput."""
    seconds = times.parse_duration(text, name)
    if not LEAST_SECONDS <= seconds <= MOST_SECONDS:
        raise BadInput("%s: give a time between %gs and 1h" % (name, LEAST_SECONDS))
    return seconds


def watch(call: Call, interval: float, has_keys: bool, options: object = None) -> int:
    """Show the queue until a key or a signal ends that; *options* are once, state and plain, where there are such."""
    from queuectl_lib.commands import top_plain, top_view, watching
    from queuectl_lib.host import keyboard

    is_once, is_plain = getattr(options, "once", False), getattr(options, "plain", False)
    view = top_view.View(states.check_states(getattr(options, "state", None)))
    if getattr(options, "json", False):
        call.print_json(top_plain.for_programs(watching.Reader(call, call.queue()), view))
        return 0
    if is_once or is_plain or not keyboard.can_draw(1):
        return top_plain.repeat(watching.Reader(call, call.queue()), view, interval, is_plain, is_once)
    shown = watching.Watch(call, view, interval)
    view.has_keys = has_keys and shown.keyboard.is_there
    return shown.run()
