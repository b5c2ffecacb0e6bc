"""A crontab read as schedules that keep its meaning; what would lose it is refused by the number of its line."""

from __future__ import annotations

import os
import re

from queuectl_lib import errors
from queuectl_lib.errors import BadInput, QueueError
from queuectl_lib.host import system
from queuectl_lib.jobs import own_calls, recurrence
from queuectl_lib.jobs.making import JobMaker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional, Set, Tuple, Union

    from queuectl_lib.jobs.own_calls import Place
    from queuectl_lib.values import Fields

VARIABLE = r"""\s*(?:"([^"]+)"|'([^']+)'|([^\s="'#]+))\s*=(.*)\Z"""
LINE = r"\s*-?(@\S+|(?:\S+[ \t]+){4}\S+)[ \t]+(\S.*)\Z"  # some crons take a - as: do not log it
SHELL = "/bin/sh"
LOST = {
    "MAILTO": "output is not mailed: `logs` shows it, and `check` tells of dead jobs",
    "MAILFROM": "nothing is mailed",
    "RANDOM_DELAY": "slots come at their time, without a random delay",
    "START_HOURS_RANGE": "slots come at all hours",
}
SLUG_LENGTH = 32


class Import:
    """What a crontab comes to."""

    def __init__(self) -> None:
        self.schedules: List[Fields] = []  # as `schedule load` takes them
        self.lines: Dict[str, int] = {}  # the line that each came from, by its name
        self.refused: List[Tuple[int, str]] = []  # lines that stay where they are, and why
        self.notes: List[str] = []


def read(text: str, place: Place) -> Import:
    """The schedules that the lines of a crontab come to."""
    reader = Reader(place)
    for number, line in enumerate(text.split("\n"), 1):
        try:
            reader.take(number, line.rstrip("\r"))
        except QueueError as error:
            reader.found.refused.append((number, str(error)))
    return reader.finished()


class Reader:
    """Goes through the lines with the variables that stand above each."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.found = Import()
        self.variables: Dict[str, str] = {}
        self.lost: Set[str] = set()
        self.of_others: Dict[str, List[int]] = {}

    def take(self, number: int, line: str) -> None:
        """Add what one line means. Raises QueueError for one that cannot be taken over."""
        if not line.strip() or line.lstrip().startswith("#"):
            return
        variable = re.match(VARIABLE, line)
        match = re.match(LINE, line)
        if variable:
            quoted, single, bare, value = variable.groups()
            self._set(number, quoted or single or bare, value.strip())
        elif not match:
            raise BadInput("neither NAME=value nor five fields and a command")
        else:
            command = self._own(number, match.group(2))
            if command:
                self._schedule(number, line.strip(), match.group(1), command if "\\" in command else command.strip())

    def _own(self, number: int, text: str) -> str:
        """The command of a line; "" where it is another user's."""
        user, rest = (text.split(None, 1) + [""])[:2]
        if not self.place.is_system:
            if user in ("root", self.place.user) and rest:
                raise BadInput("%s stands before the command: is this a crontab of the system? --system" % user)
            return text
        if user == self.place.user:
            return rest
        self.of_others.setdefault(user, []).append(number)
        return ""

    def _set(self, number: int, name: str, value: str) -> None:
        if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        if name not in LOST:
            self.variables[name] = value
        elif value and name not in self.lost:
            self.lost.add(name)
            self.found.notes.append("line %d: %s is not heeded: %s" % (number, name, LOST[name]))

    def _schedule(self, number: int, line: str, when: str, text: str) -> None:
        command = without_input(text)
        env = {name: value for name, value in self.variables.items() if name not in ("CRON_TZ", "SHELL")}
        call = own_calls.find(command, self.place, env)
        if call and call.verb in own_calls.OF_CRON:
            self.found.notes.append(
                "line %d keeps this queue going (%s): it stays in the crontab" % (number, call.verb)
            )
            return
        if not call and own_calls.mentions_upkeep(command, self.place, env):
            raise BadInput("it keeps this queue going, among other things: it stays in the crontab")
        timing = recurrence.parse(when, self.variables.get("CRON_TZ") or self.place.zone, 0.0)
        job = self._added(number, call) if call and call.verb == "add" else None
        if job is None:
            job = self._command(command, env)
        JobMaker(0, job["cwd"], None, 0.0).row(job)
        name = self._name(line, job["command"])
        self.found.lines[name] = number
        self.found.schedules.append(
            {
                "name": name,
                "when": timing.text,
                "tz": timing.zone.name,
                "missed": "skip",
                "overlap": "allow",
                "job": job,
            }
        )

    def _added(self, number: int, call: own_calls.OwnCall) -> Optional[Fields]:
        """The job that an `add` of this queue adds; None where it has more to say than a schedule can."""
        try:
            return own_calls.job_of(call.words, call.directory)
        except BadInput as error:
            self.found.notes.append("line %d stays a command that adds a job: %s" % (number, error))
            return None

    def _command(self, text: str, env: Dict[str, str]) -> Fields:
        shell = self.variables.get("SHELL") or SHELL
        command: Union[str, List[str]] = text
        if shell != SHELL:
            command, env = [shell, "-c", text], dict(env, SHELL=shell)
        job: Fields = {"command": command}
        if env:
            job["env"] = env
        home = self.place.user_home
        job["cwd"] = os.path.normpath(os.path.join(home, env.get("HOME", home)))
        job["max_retries"] = 0
        return job

    def _name(self, line: str, command: Union[str, List[str]]) -> str:
        """A slug of the command, and four digits of the line: the same for the same line, so that it updates."""
        start, digits = slug(command), number_of(line)
        while "%s-%04x" % (start, digits) in self.found.lines:
            digits = (digits + 1) % PRIME
        return "%s-%04x" % (start, digits)

    def finished(self) -> Import:
        for user, numbers in sorted(self.of_others.items()):
            lines = ", ".join(map(str, numbers))
            plural = "s" if len(numbers) > 1 else ""
            self.found.notes.append("line%s %s left out: of the user %s" % (plural, lines, errors.shown(user)))
        return self.found


PRIME = 65521  # the largest below four digits


def number_of(text: str) -> int:
    """A number of four hex digits that any change of *text* changes."""
    return int.from_bytes(text.encode("utf-8", "surrogatepass"), "big") % PRIME


def slug(command: Union[str, List[str]]) -> str:
    """The beginning of a command as the beginning of a name."""
    words = command.split() if isinstance(command, str) else command[2].split() if command[1:2] == ["-c"] else command
    plain = "-".join(re.sub(r"[^A-Za-z0-9]+", "-", os.path.basename(word)).strip("-") for word in words[:6])
    return re.sub("-+", "-", plain)[:SLUG_LENGTH].strip("-").lower() or "job"


def without_input(text: str) -> str:
    r"""What cron gives to the shell: \% is %. Raises BadInput where a bare % begins the input of the command."""
    parts = re.split(r"(\\.|%)", text)
    if "%" not in parts:
        return plain(parts)
    at = parts.index("%")
    command = plain(parts[:at]).strip()
    lines = "".join("\n" if part == "%" else plain([part]) for part in parts[at + 1 :])
    same = command if re.match(r"[\w./ @:,+=-]+\Z", command) else "%s -c %s" % (SHELL, system.quoted(command))
    if lines:
        lines = lines[:-1] if lines.endswith("\n") else lines
        same = "printf '%%s\\n' %s | %s" % (" ".join(system.quoted(line) for line in lines.split("\n")), same)
    same = errors.printable(same).replace("%", "\\%")  # as a crontab wants it
    raise BadInput("%% begins the input of the command, and a job has none: use %s" % same)


def plain(parts: List[str]) -> str:
    return "".join("%" if part == "\\%" else part for part in parts)
