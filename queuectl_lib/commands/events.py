"""`events`: attempts as they ended, a line of JSON each, for programs that go on where they were."""

from __future__ import annotations

import sys
import time

from queuectl_lib import values
from queuectl_lib.commands import frame, terminal
from queuectl_lib.errors import BadInput, QueueError
from queuectl_lib.jobs import states
from queuectl_lib.store import ended, events

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, List, Optional

    from queuectl_lib.commands.frame import Call
    from queuectl_lib.store.database import Database
    from queuectl_lib.values import Fields

AT_ONCE = 500  # in one read, so that no log grows while their reader is slow
MOST = 10**18
NOW = "now"


@frame.command(
    "events",
    frame.argument("--after", metavar="N", help="only those behind this number (seq), or `now`: only those to come"),
    frame.argument("-f", "--follow", action="store_true", help="go on, and print each as it ends"),
    frame.argument("--until-idle", action="store_true", help="with --follow: until nothing runs, or will by itself"),
    frame.argument("--limit", metavar="N", help="at most N, the oldest of them"),
    frame.argument("--state", metavar="STATE[,STATE]", help="only where that left the job so: dead, failed ..."),
    shows=True,
)
def print_events(call: Call) -> int:
    options = call.options
    if options.until_idle and not options.follow:
        raise BadInput("--until-idle goes with --follow")
    if options.json and options.follow:
        raise BadInput("--json and --follow contradict each other: without --json there is a line of JSON for each")
    stream = Stream(call.queue().database)
    stream.states = states.check_states(options.state)
    if "processing" in stream.states:
        raise BadInput("--state: an attempt that has ended leaves no job processing")
    stream.limit = MOST if options.limit is None else values.count_from_text(options.limit, "--limit", MOST)
    if options.after is not None:
        stream.start_behind(options.after)
    stream.tells_gaps = options.after is not None or options.follow
    if options.json:
        stream.tells_gaps = False
        terminal.print_json_array(stream.up_to_now())
        return 0
    try:
        for record in stream.followed(options.until_idle) if options.follow else stream.up_to_now():
            sys.stdout.write(terminal.json_safe(terminal.json_of(record)))
            if options.follow:
                sys.stdout.flush()
    except OSError as error:
        if not terminal.is_closed_pipe(error):
            raise
        terminal.quiet_end(0)
    return 0


class Stream:
    """The ends of attempts behind a number, each once, in their order."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.states: List[str] = []  # all
        self.limit = MOST
        self.tells_gaps = False
        self.seen: Optional[int] = None  # the number of the last one that was looked at
        self.told = 0

    def start_behind(self, text: str) -> None:
        """Begin behind this number. Raises BadInput."""
        if text == NOW:
            self.seen = ended.look(self.database, 0, 1)[1]
        else:
            self.seen = values.check_integer(values.whole_number(text, "--after"), "--after", 0, MOST)

    def up_to_now(self) -> Iterator[Fields]:
        """Those that there are. Raises QueueError where the number is ahead of them."""
        while not self.is_over():
            rows = self.look()
            yield from self.records(rows)
            if len(rows) < AT_ONCE:
                return

    def followed(self, until_idle: bool) -> Iterator[Fields]:
        """The same, and those to come, as they come; where asked for until nothing goes on by itself."""
        from queuectl_lib.run import pace, quiet  # which only these need
        from queuectl_lib.store import outlook

        rest = quiet.Quiet(self.database, (), sees_commits=True)
        pause = 0.02
        while not self.is_over():
            is_idle = until_idle and outlook.nothing_left(self.database)  # first: what ends then is still read
            rows = self.look()
            yield from self.records(rows)
            if len(rows) == AT_ONCE:
                continue
            if is_idle and not rows:
                return
            pause = 0.02 if rows else min(pause * 1.5, pace.LOOK_AROUND_SECONDS)
            wait(pause)
            while pause == pace.LOOK_AROUND_SECONDS and rest.lasts():
                wait(pause)

    def is_over(self) -> bool:
        return self.told >= self.limit

    def look(self) -> List[Fields]:
        """The next ones. Raises QueueError where they cannot be the next of what was read before."""
        begin = 0 if self.seen is None else self.seen
        rows, last = ended.look(self.database, begin, AT_ONCE)
        if begin > last and not rows:
            text = (
                "the cursor is ahead of the queue: %d of %d ends, so it was restored or made anew;"
                " begin again with --after %d, or --after 0"
            )
            raise QueueError(text % (begin, last, last), "cursor_ahead", "events --after 0")
        if len(rows) < AT_ONCE and last > (rows[-1]["ended"] if rows else begin):  # what lies behind is gone, too
            rows.append({"ended": last + 1, "gone": True})
        return rows

    def records(self, rows: List[Fields]) -> Iterator[Fields]:
        for row in rows:
            if self.tells_gaps and self.seen is not None and row["ended"] > self.seen + 1:
                yield {"seq": row["ended"] - 1, "gap": True}
            if row.get("gone"):
                self.seen = row["ended"] - 1
                return
            self.seen = row["ended"]
            record = events.record(row)
            if not self.states or record["state"] in self.states:
                self.told += 1
                yield record
                if self.is_over():
                    return


def wait(seconds: float) -> None:
    """Raises BrokenPipeError where nobody will read what we print: who waits does not write, and so is not told."""
    from queuectl_lib.host import stream

    if not stream.is_read(sys.stdout.fileno()):
        raise BrokenPipeError
    time.sleep(seconds)
