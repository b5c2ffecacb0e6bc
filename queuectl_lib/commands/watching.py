"""The live screen of `top` and `status --watch`: facts, a frame, a wait for a key, a signal or the time.

The terminal is given back as it was, however this ends: by a key, a signal, an error; and while Ctrl+Z stops it.
"""

from __future__ import annotations

import os
import signal
import sys
import time

from queuectl_lib.commands import acting, keys, terminal, top_lines, top_view, why
from queuectl_lib.commands.screen import Gone, Screen
from queuectl_lib.errors import HostError, QueueError
from queuectl_lib.host import signals, waking
from queuectl_lib.host.keyboard import Keyboard
from queuectl_lib.reports import live

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List

    from queuectl_lib.commands.frame import Call
    from queuectl_lib.commands.top_view import Section, View
    from queuectl_lib.values import Fields
    from storage import Queue

BUSY_SECONDS = 0.5  # a database that is locked for longer is told of, in the frame that is there
LEAST_ROWS = 5
STEPS = {"j": 1, "down": 1, "k": -1, "up": -1, "page down": 10, "page up": -10, "home": -(10**6), "end": 10**6}
OWN = ("SIGTSTP", "SIGCONT", "SIGWINCH")


class Reader:
    """The facts of one queue, as they were read last; *trouble* where they could not be read again since."""

    def __init__(self, call: Call, queue: Queue) -> None:
        queue.database.busy_seconds = BUSY_SECONDS
        self.live = live.Live(queue)
        self.words = why.program_words(call)
        self.facts: Fields = {}
        self.trouble = ""

    def read(self, most: int) -> None:
        """Look again. Raises HostError where that fails the first time."""
        try:
            found = self.live.look(time.time(), most)
        except HostError as error:
            if not self.facts:
                raise
            self.trouble = str(error)
            return
        if found["stuck"]:
            found["stuck"]["lines"] = [why.line_of(self.words, what) for what in found["stuck"]["next"]]
        self.facts, self.trouble = found, ""

    def fill_in(self, sections: List[Section]) -> None:
        shown = {one.name: one.shown() for one in sections}
        try:
            self.live.fill_in(shown.get("running", []), shown.get("failures", []))
        except HostError as error:
            self.trouble = str(error)


class Watch:
    """One screen that lives until a key or a signal ends it."""

    def __init__(self, call: Call, view: View, interval: float) -> None:
        self.call = call
        self.view = view
        self.interval = interval
        self.reader = Reader(call, call.queue())
        self.screen = Screen(1, sys.stdout.encoding or "utf-8")
        self.keyboard = Keyboard(0)
        self.keys = keys.Keys()
        self.noted: List[int] = []
        self.wake: Any = None
        self.before: Dict[int, Any] = {}  # handlers of signals
        self.is_over = False
        self.due = 0.0  # monotonic: when to look again

    def run(self) -> int:
        """Until it is ended. Raises KeyboardInterrupt after Ctrl+C."""
        self.reader.read(LEAST_ROWS)  # what is wrong from the start is an error as everywhere
        try:
            self.take()
            self.screen.enter()
            while not self.is_over:
                self.show()
                self.await_key()
        except Gone:
            pass
        finally:
            self.give_back()
        self.end_as_asked()
        return 0

    # -------------------------------------------------------- the terminal, taken and given back

    def take(self) -> None:
        self.wake = waking.WakeUp(self.noted)
        for number in [*signals.stop_signals(), *[int(getattr(signal, name, 0)) for name in OWN]]:
            if number:
                self.before[number] = signal.signal(number, self.note)
        self.keyboard.open()

    def give_back(self) -> None:
        """The terminal as it was, then the signals."""
        try:
            self.screen.leave()
        except Gone:
            pass
        self.keyboard.close()
        while self.before:
            signal.signal(*self.before.popitem())
        if self.wake:
            self.wake.close()
            self.wake = None

    def note(self, number: int, frame: object) -> None:
        self.noted.append(number)
        if self.screen.is_writing and number in signals.stop_signals():
            raise Gone

    def end_as_asked(self) -> None:
        """Where a signal has ended this, end by it."""
        for number in self.noted:
            if number == signal.SIGINT:
                raise KeyboardInterrupt
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    def heed(self) -> None:
        """Do what signals have asked for."""
        while self.noted:
            name = signals.signal_name(self.noted[0])
            if name not in OWN:
                self.is_over = True
                del self.noted[1:]
                return
            del self.noted[0]
            if name == "SIGTSTP":
                self.stop()
            elif name == "SIGCONT":
                self.keyboard.open()
                self.screen.again()

    def stop(self) -> None:
        """Ctrl+Z: give the terminal back until we are to go on."""
        was_on = self.screen.is_on
        self.screen.leave()
        self.keyboard.close()
        number = int(getattr(signal, "SIGTSTP", 0))
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        signal.signal(number, self.note)
        self.noted[:] = [one for one in self.noted if signals.signal_name(one) != "SIGCONT"]
        self.keyboard.open()
        if was_on:
            self.screen.enter()

    # -------------------------------------------------------- a frame

    def show(self) -> None:
        """Look where it is time, and draw where the terminal is ours."""
        size = self.screen.look()
        if time.monotonic() >= self.due:
            self.due = time.monotonic() + self.interval
            if not self.view.is_paused:
                self.reader.read(live.MOST if self.view.needs_more() else max(LEAST_ROWS, size[1]))
        if not self.keyboard.is_ours():
            return
        self.view.trouble = self.reader.trouble
        fill_in = None if self.view.is_paused else self.reader.fill_in
        self.screen.draw(top_lines.screen(self.reader.facts, self.view, size, fill_in, self.screen.encoding))

    def await_key(self) -> None:
        """Until the next look is due, a key was pressed or a signal has come."""
        data = self.keyboard.read(max(0.0, self.due - time.monotonic()), self.wake)
        self.heed()
        if data is None:
            self.is_over = True
        typed = self.keys.feed(data or b"")
        while self.keys.ends_open():
            more = self.keyboard.read(keys.PATIENCE_SECONDS, self.wake)
            typed += self.keys.feed(more) if more else self.keys.let_go()
        for key in typed if self.view.has_keys else ():
            self.press(key)

    # -------------------------------------------------------- keys

    def press(self, key: str) -> None:
        """What a key does."""
        view = self.view
        view.message = ""
        if view.question is not None:
            verb, identifier = view.question
            view.question = None
            view.message = self.act(verb, identifier) if key in ("y", "Y") else "not done"
        elif view.typing is not None:
            self.type(key)
        elif view.page and key != "q":
            view.page = ""
        elif key in STEPS:
            if view.chosen is None:
                self.reader.read(live.MOST)
            view.move(self.reader.facts, STEPS[key])
        elif key == "q":
            self.is_over = True
        elif key == "?":
            view.page = "help"
        elif key == "s":
            view.sort = (view.sort + 1) % len(top_view.SORTS)
            view.message = "what runs: %s" % top_view.SORTS[view.sort]
            self.due = 0.0
        elif key == "/":
            view.typing = view.filter
        elif key == "space":
            view.is_paused = not view.is_paused
            self.due = 0.0
        elif key == "escape":
            view.filter, view.chosen = "", None
        elif key == "redraw":
            self.screen.again()
        elif key in ("enter", "l", "c", "r"):
            self.of_chosen(key)

    def type(self, key: str) -> None:
        """A key while a filter is typed: it acts at once."""
        view = self.view
        text = view.typing or ""
        if key in ("enter", "escape"):
            view.filter, view.typing = text if key == "enter" else "", None
        else:
            text = text[:-1] if key == "backspace" else "" if key == "clear line" else text
            text += " " if key == "space" else key if len(key) == 1 else ""
            view.filter = view.typing = text[:100]
        self.due = 0.0

    def of_chosen(self, key: str) -> None:
        """What is done to the job that is chosen."""
        job = self.view.chosen_job(self.reader.facts)
        if job is None:
            self.view.message = "no job is chosen: j and k, or the arrows, choose one"
        elif key in ("c", "r"):
            self.view.question = ("cancel" if key == "c" else "requeue", job["id"])
        else:
            self.aside(key, job["id"])

    def act(self, verb: str, identifier: str) -> str:
        """Cancel or requeue a job, and what came of it, in words."""
        self.due = 0.0
        try:
            return acting.act(self.call, verb, identifier)
        except QueueError as error:
            return str(error)

    def aside(self, key: str, identifier: str) -> None:
        """Show a job, or follow its output, on the screen of the shell; once a key is pressed there, come back."""
        self.give_back()
        self.without_echo(lambda: acting.look_at(self.call, key == "l", identifier))
        self.take()
        terminal.tell("-- any key: back to top --")
        while not self.is_over:
            data = self.keyboard.read(60.0, self.wake)
            if data or signal.SIGINT in self.noted:  # which has ended the log a moment before
                self.noted[:] = [number for number in self.noted if number != signal.SIGINT]
                break
            self.heed()
            self.is_over = self.is_over or data is None
        self.keys = keys.Keys()  # whatever it was
        self.screen.enter()
        self.due = 0.0

    def without_echo(self, action: Callable[[], None]) -> None:
        """Do it on a terminal that shows no keys, and forget them. It is as it was where a signal ends or stops us."""
        numbers = [int(getattr(signal, "SIGTSTP", 0)), *signals.stop_signals()]
        before = {one: signal.signal(one, self.pass_on) for one in numbers if one and one != signal.SIGINT}
        self.keyboard.open()
        try:
            action()
        except KeyboardInterrupt:  # a second one
            pass
        finally:
            self.keyboard.forget()
            self.keyboard.close()
            for number in before:
                signal.signal(number, before[number])

    def pass_on(self, number: int, frame: object) -> None:
        """What a signal does by itself, to a terminal that is as it was."""
        self.keyboard.close()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        signal.signal(number, self.pass_on)
        self.keyboard.open()
