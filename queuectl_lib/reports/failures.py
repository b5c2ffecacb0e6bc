"""How an attempt ended and what that means, in one sentence and facts: for `why`, of one that failed or died.

    reason              the job
    failed_will_retry   failed, and is tried again
    retries_spent       dead: the last attempt failed, and none is left
    dead_verdict        dead although some were left: the attempt itself said so (an exit code, its control file)
    cannot_start        dead: its command could not be started, or its row cannot be read
    lost                dead: the last attempt ended unseen, and left no trace
    timed_out           dead: the last attempt was ended by its timeout
    canary_failed       dead, as before it was put back with its group for a trial

Only ever extended. What a code means is what is usual, and is said as that: the program may mean something else by it.
"""

from __future__ import annotations

import json
import os
import re

from queuectl_lib import errors
from queuectl_lib.host import system
from queuectl_lib.jobs import signatures, states
from queuectl_lib.reports import crew
from queuectl_lib.store import canary, failure_words, groups, output, stops

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional, Tuple

    from queuectl_lib.reports.crew import Crew
    from queuectl_lib.store.database import Database
    from queuectl_lib.values import Fields

TAIL_BYTES = 4096  # of a stream, in which the last line is looked for
COMPARED = 5  # attempts whose last lines are compared, at the most

CODES = {
    124: "what timeout(1) says when its time is over",
    126: "found, but it may not be executed",
    127: "the command was not found",
    255: "what ssh says when the connection fails; also any code of -1",
    9009: "the command was not found",
}
SIGNALS = {
    "SIGKILL": "by whom is not known",
    "SIGTERM": "somebody asked it to end",
    "SIGINT": "Ctrl+C, or somebody who sent the same",
    "SIGHUP": "its terminal or connection went away, or somebody sent it",
    "SIGSEGV": "it touched memory that is not its own: a fault of the program",
    "SIGBUS": "a fault of the program, or a file that it had mapped was cut",
    "SIGABRT": "it gave up by itself: a failed check of the program",
    "SIGFPE": "it divided by zero, or the like",
    "SIGILL": "its code does not fit this processor, or is damaged",
    "SIGPIPE": "who read its output went away",
    "SIGXCPU": "its limit of CPU time is over",
    "SIGXFSZ": "a file grew beyond its limit",
}
OOM = failure_words.OOM
NO_FAILURES = (states.RUNNING, states.GIVEN_BACK, states.COMPLETED, states.CANCELLED, "snoozed")  # outcomes


def telling_line(database: Database, attempt: Fields) -> str:
    """The line of an attempt's output that says most of its failure; "" where it wrote none."""
    tails = [output.Output(database, attempt, stream).tail(TAIL_BYTES) for stream in ("stderr", "stdout")]
    return signatures.telling_line(*[system.output_text(tail) for tail in tails])


def how_it_ended(attempt: Fields) -> str:
    """The end of one attempt in words: the code and what is meant by it, the signal and who may have sent it."""
    code, name, error = attempt["exit_code"], attempt["signal"], as_words(attempt["error"])
    if attempt["outcome"] == states.FAILED and isinstance(name, str):
        meaning = OOM.get(attempt["oom"], SIGNALS.get(name, "a signal")) if name == "SIGKILL" else SIGNALS.get(name)
        said = "killed by %s" % crew.cut(errors.printable(name))
        if type(code) is int and "exit code" in error:  # a shell says so of a signal; a program may, of itself
            said = "exit code %d, as after %s" % (code, crew.cut(errors.printable(name)))
        return "%s (%s)" % (said, meaning) if meaning else said
    if attempt["outcome"] == states.FAILED and type(code) is int and re.match(PLAIN, error):
        return "exit code %d (%s)" % (code, CODES[code]) if code in CODES else "exit code %d" % code
    return error or as_words(attempt["outcome"])


# An exit code as it is recorded; other words are those of a verdict, of the job's own or of lists of codes.
PLAIN = r"(?:exit code \d+(?: \([a-z ]+\))?)?\Z"


def as_words(value: object) -> str:
    """What a row has to say, for a sentence."""
    return "" if value is None else crew.cut(errors.printable(str(value)))


def quoted(line: str) -> str:
    return '"%s"' % crew.cut(errors.printable(line))


def last_words(facts: Fields) -> str:
    """How the last attempt that failed ended, as the end of a sentence."""
    failed = [one for one in facts["attempts"] if one["outcome"] not in NO_FAILURES]
    return ": %s" % how_it_ended(failed[0]) if failed else ""


class Ends:
    """The attempts of a job since it was last put in the queue, the newest first, and what they have in common."""

    def __init__(self, database: Database, facts: Fields) -> None:
        self.database = database
        count = facts["job"]["attempts"]
        ended = [one for one in facts["attempts"] if one["outcome"] not in NO_FAILURES]
        counted = count if type(count) is int and count > 0 else len(ended)
        self.count = counted
        self.ended: List[Fields] = ended[: min(counted, len(ended))]
        self.last: Optional[Fields] = self.ended[0] if self.ended else None
        self.line = "" if self.last is None else self.line_of(self.last)

    def line_of(self, attempt: Fields) -> str:
        return telling_line(self.database, attempt)

    def are_alike(self) -> bool:
        """True where there are several, and all ended in the same way."""
        ways = {(str(one["outcome"]), one["exit_code"], one["signal"], one["error"]) for one in self.ended}
        return len(self.ended) > 1 and len(ways) == 1

    def have_one_line(self) -> bool:
        """True where all of them end with the same line, as far as that is looked at."""
        few = len(self.ended) <= COMPARED
        return few and bool(self.line) and all(self.line_of(one) == self.line for one in self.ended[1:])

    def sentence(self, begin: str) -> str:
        """*begin* and how they ended."""
        if self.last is None:
            return begin
        how = how_it_ended(self.last)
        if not self.are_alike():
            said = "%s: %s" % (begin, how)
            return said + "; its last line: %s" % quoted(self.line) if self.line else said
        each = "%s, each with the same end: %s" % (begin, how)
        if self.have_one_line():
            return each + ", and the same last line: %s" % quoted(self.line)
        return each + "; the last line of the last one: %s" % quoted(self.line) if self.line else each

    def facts(self) -> Fields:
        last = self.last or {}
        return {
            "attempts": self.count,
            "exit_code": last.get("exit_code"),
            "signal": last.get("signal"),
            "alike": self.are_alike(),
            "last_line": errors.printable(self.line)[: crew.MOST_CHARACTERS] or None,
        }


def of_failed(database: Database, facts: Fields, people: Crew) -> Fields:
    """Why a job that waits for its next attempt failed."""
    ends = Ends(database, facts)
    begin = "attempt %s failed" % of_all(ends.count, facts["job"]["max_retries"])
    said = ends.sentence(begin)
    hint = program_hint(facts, ends, people)
    return dict(ends.facts(), reason="failed_will_retry", sentence=said + hint)


def of_dead(database: Database, facts: Fields, people: Crew) -> Tuple[Fields, List[Tuple[str, ...]]]:
    """Why a job is dead, and what to type."""
    job, ends = facts["job"], Ends(database, facts)
    identifier = str(job["id"])
    release = canary.failed_first(database, identifier) if job["release"] is not None else None
    reason = reason_of_death(job, ends) if release is None else "canary_failed"
    if ends.last is None:
        error = as_words(job["last_error"])
        said = "dead: %s" % error if error else "dead; none of its attempts is known any more"
    else:
        retries = job["max_retries"] if release is None else 0  # who goes first has one
        said = ends.sentence("dead after %s" % attempts_text(ends.count, retries))
    if reason == "dead_verdict":
        said += "; no retry follows, though some were left"
    said += "" if release is None else as_canary(release)
    others = groups.others_like(database, job["signature"])
    waits_for = canary.goes_first(database, job)
    if waits_for is not None:
        said += "; job %s goes first for its group, and this one follows once that has succeeded" % waits_for
        found = dict(ends.facts(), reason=reason, sentence=said, follows=waits_for)
        return found, [("why", waits_for)]
    if others and release is None:
        said += "; %s died of the same" % ("1 other" if others == 1 else "%d others" % others)
    said += program_hint(facts, ends, people)
    first = ("logs", identifier) if ends.line else ("show", identifier)
    alone = ("requeue", identifier)
    again = ("dlq", "retry", "--group", str(job["signature"]), "--canary") if others else alone
    return dict(ends.facts(), reason=reason, sentence=said), [first, again]


def reason_of_death(job: Fields, ends: Ends) -> str:
    if ends.last is None:
        return "retries_spent"
    if ends.last["outcome"] in (states.LOST, states.TIMED_OUT):
        return "lost" if ends.last["outcome"] == states.LOST else "timed_out"
    has_run = ends.last["exit_code"] is not None or ends.last["signal"] is not None
    if not has_run:
        return "cannot_start"
    numbers = job["attempts"], job["max_retries"]
    if all(type(one) is int for one in numbers) and numbers[0] <= numbers[1]:
        return "dead_verdict"
    return "retries_spent"


def as_canary(release: Fields) -> str:
    """What its group did, where it went first for it and failed, as the end of a sentence."""
    stay = release["stay"]
    text = "; it went first for its group %s" % errors.printable(release["group"])[:6]
    if stay:
        text += ", and the %s" % ("1 other of it stays dead" if stay == 1 else "%d others of it stay dead" % stay)
    return text if release["alike"] else text + ", though it failed in another way this time"


def of_all(number: int, retries: object) -> str:
    return "%d of %d" % (number, max(number, retries + 1)) if type(retries) is int else str(number)


def attempts_text(number: int, retries: object) -> str:
    if number == 1 and retries == 0:
        return "its only attempt"
    return "%s attempts" % of_all(number, retries)


# ---------------------------------------------------------------- a program that was not found

NOT_FOUND = (
    r"command not found: ([\w.+-]+)$",  # zsh
    r"(?:^|[\s:])([\w.+-]+): (?:command |inaccessible or )?not found$",  # dash, bash, ksh
    r"^(?:/usr/bin/)?env: [\W_]?([\w.+-]+?)[\W_]?: No such file or directory$",
)


def missing_program(facts: Fields, ends: Ends) -> str:
    """The name of the program that was not found, where that is told; "" elsewhere."""
    last = ends.last or {}
    if last.get("exit_code") in (127, 9009):
        matches = [match for match in (re.search(pattern, ends.line) for pattern in NOT_FOUND) if match]
        return matches[0].group(1) if matches else ""
    found = re.search(r"^the program ([\w.+-]+) was not found on PATH$", str(last.get("error")))
    return found.group(1) if found else ""


def program_hint(facts: Fields, ends: Ends, people: Crew) -> str:
    """Where a program that was not found is: here and not there, as far as that can be told."""
    program = missing_program(facts, ends)
    if not program or ends.last is None:
        return ""
    import shutil  # needed only here

    here = shutil.which(program)
    name = crew.cut(errors.printable(program))
    if "PATH" in own_variables(facts):
        return ". It was given a PATH of its own, on which %s is not to be found" % name
    theirs = people.path_of(stops.supervisor_of(str(ends.last["worker"])))
    if not here:
        return ". %s is not on your PATH here either: is it installed?" % name
    folder = os.path.dirname(here)
    place = crew.cut(errors.printable(folder))
    if theirs is None:
        return ". %s is on your PATH here (%s): compare it with that of the workers" % (name, place)
    if shutil.which(program, path=theirs):
        return ". %s is on the PATH of the workers now (%s)" % (name, shown_path(theirs))
    text = ". %s is on your PATH here (%s), not on that of the workers (%s): start them with it" % (
        name,
        place,
        shown_path(theirs),
    )
    whole = "%s:%s" % (folder, theirs)
    if len(whole) > crew.MOST_CHARACTERS or not whole.isprintable():  # to be pasted it must be whole
        return text
    return text + ", or add it again with --env %s" % system.quoted("PATH=" + whole)


def own_variables(facts: Fields) -> List[str]:
    """The names of the job's own variables (their values are secrets); none where they cannot be read."""
    try:
        return list(json.loads(facts["job"]["env"] or "{}"))
    except (ValueError, TypeError, RecursionError):
        return []


def shown_path(path: str) -> str:
    return crew.cut(errors.printable(path)) or "empty"
