"""What an attempt itself says of its end: by its exit code, and by lines in its control file. Pure.

    snooze 10m [why]      again later, no retry spent          progress 40 [text]    0 to 100, while it runs
    dead [why]            dead letter now, retries or not      result TEXT           up to 4 KiB, kept with the attempt
    ok                    completed whatever the exit code     extend 30m            it may run so long from now
    signature WORD        how failures are to be grouped

    what is known of the end                       goes before
    a signal, a timeout, a cancel, a stop          all that follows: it has not ended by itself
    dead                                           snooze, ok, codes
    snooze                                         ok, codes
    ok                                             codes
    the exit code in a list of the job             a list of the settings
    the exit code in a list of the settings
    any other exit code                            failed

Of several lines of one kind the last counts (of extend the one that gives most). A line that is not understood
decides nothing, and is named in `show`.
"""

from __future__ import annotations

import json
import re

from queuectl_lib import errors, times
from queuectl_lib.jobs import backoff, retry_rules, states

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Mapping, Optional, Tuple

    from queuectl_lib.settings import Settings
    from queuectl_lib.values import Fields

SHORTEST, LONGEST = 1.0, 30 * 86400.0  # of a snooze, seconds
WHY_CHARACTERS = 200
TEXT_CHARACTERS = 100  # of what a progress says
RESULT_BYTES = 4096
IGNORED_MOST = 3  # lines not understood that are kept, each so long:
IGNORED_CHARACTERS = 80
SIGNATURE = r"[A-Za-z0-9._:@/-]{1,64}\Z"
BARE = r"\d+(?:\.\d+)?\Z"
UNIT = r"(?:w(?:eeks?)?|d(?:ays?)?|h(?:rs?|ours?)?|m(?:ins?|inutes?)?|s(?:ecs?|econds?)?)\Z"
PROGRESS = r"([0-9]{1,3}(?:\.[0-9]{1,6})?)%?\Z"


class Said:
    """What the lines of a control file come to."""

    def __init__(self) -> None:
        self.dead: Optional[str] = None  # why
        self.snooze: Optional[Tuple[float, str]] = None  # seconds, why
        self.is_ok = False
        self.signature: Optional[str] = None
        self.progress: Optional[Fields] = None
        self.result: Optional[str] = None
        self.extend: Optional[float] = None  # seconds
        self.ignored: List[str] = []
        self.ignored_lines = 0

    def hear(self, line: str) -> bool:
        """Take one line in; False where it is not understood."""
        word, _, rest = line.strip().partition(" ")
        rest = rest.strip()
        if word == "ok" and not rest:
            self.is_ok = True
        elif word == "dead":
            self.dead = rest[:WHY_CHARACTERS]
        elif word == "signature" and re.match(SIGNATURE, rest):
            self.signature = rest
        elif word == "result" and rest:
            self.result = rest.encode("utf-8")[:RESULT_BYTES].decode("utf-8", "ignore")
        elif word in ("snooze", "extend", "progress"):
            return self.hear_amount(word, *rest.partition(" ")[::2])
        else:
            return False
        return True

    def hear_amount(self, word: str, amount: str, text: str) -> bool:
        """The same of a word that has a number behind it."""
        if word == "progress":
            match = re.match(PROGRESS, amount)
            if not match or float(match.group(1)) > 100:
                return False
            number = float(match.group(1))
            self.progress = {"percent": int(number) if number == int(number) else number}
            self.progress["text"] = text.strip()[:TEXT_CHARACTERS] or None
            return True
        unit, _, behind_it = text.strip().partition(" ")
        if re.match(BARE, amount) and re.match(UNIT, unit):  # "10 minutes" is not ten seconds
            amount, text = amount + unit, behind_it
        try:
            seconds = times.parse_duration(amount, word)
        except errors.BadInput:
            return False
        if word == "extend" and not text and seconds > 0:
            self.extend = max(self.extend or 0.0, seconds)
            return True
        if word == "snooze" and SHORTEST <= seconds <= LONGEST:
            self.snooze = (seconds, text.strip()[:WHY_CHARACTERS])
            return True
        return False

    def ignore(self, line: str) -> None:
        self.ignored_lines += 1
        if len(self.ignored) < IGNORED_MOST:
            more = "..." if len(line) > IGNORED_CHARACTERS else ""
            self.ignored.append(line[:IGNORED_CHARACTERS] + more)

    def note(self) -> Optional[str]:
        """What is kept of it with the attempt, as JSON; None for nothing."""
        found: Fields = {"progress": self.progress, "result": self.result, "ignored": self.ignored or None}
        found = {key: value for key, value in found.items() if value is not None}
        if self.ignored_lines:
            found["ignored_lines"] = self.ignored_lines
        return json.dumps(found, ensure_ascii=False) if found else None


def read(text: bytes) -> Said:
    """What the lines *text* say. Raises nothing, whatever stands there."""
    said = Said()
    for line in text[3 * text.startswith(b"\xef\xbb\xbf") :].split(b"\n"):  # the mark that Windows begins files with
        line = line.strip()
        try:
            words = line.decode("utf-8")
            understood = not line or ("\0" not in words and said.hear(words))
        except UnicodeDecodeError:
            words, understood = line.decode("utf-8", "backslashreplace"), False
        if not understood:
            said.ignore(words)
    return said


class Verdict:
    """How an attempt that ended by itself counts."""

    def __init__(self, kind: str, error: Optional[str] = None) -> None:
        self.kind = kind
        self.error = error
        self.is_last = False  # no retry, though some may be left
        self.delay: Optional[float] = None  # asked for by a snooze, seconds; None: by the backoff


def verdict(code: int, how: str, said: Said, rules: Mapping[str, Any], settings: Settings, snoozes: int) -> Verdict:
    """How the end with exit *code* (*how*, in words) counts for a job that has been snoozed so many times."""
    meaning = meaning_of(code, rules, settings)
    if said.dead is not None or (meaning == "dead_codes" and not said.snooze and not said.is_ok):
        why = "%s is a dead code" % how if said.dead is None else "said dead%s" % behind(said.dead)
        found = Verdict(states.FAILED, why if said.dead is None or code == 0 else "%s (%s)" % (why, how))
        found.is_last = True
        return found
    if said.snooze or (meaning == "later_codes" and not said.is_ok):
        return snoozed(how, said, most_snoozes(rules, settings), snoozes)
    if said.is_ok or meaning == "ok_codes":
        return Verdict(states.COMPLETED)
    return Verdict(states.FAILED, how if code else "exit code 0, which is not among the ok codes")


def snoozed(how: str, said: Said, most: int, snoozes: int) -> Verdict:
    """The verdict of an attempt that asks to run again later: one too many has failed."""
    why = behind(said.snooze[1]) if said.snooze else ": " + how
    if snoozes >= most:
        so_often = "once" if snoozes == 1 else "%d times" % snoozes
        text = "snoozed %s, as often as it may" % so_often if snoozes else "it may not snooze (max_snoozes 0)"
        return Verdict(states.FAILED, text + why)
    if said.snooze is None:
        return Verdict(states.SNOOZED, "snoozed" + why)
    found = Verdict(states.SNOOZED, "snoozed for %s%s" % (times.exact_age(said.snooze[0]), why))
    found.delay = said.snooze[0]
    return found


def behind(why: str) -> str:
    return ": " + why if why else ""


def most_snoozes(rules: Mapping[str, Any], settings: Settings) -> int:
    most = rules.get("max_snoozes")
    return most if type(most) is int and most >= 0 else settings.max_snoozes


def meaning_of(code: int, rules: Mapping[str, Any], settings: Settings) -> Optional[str]:
    """The list that *code* is in, as a key; None: in none. A list of the job stands in place of that of the settings.

    What the job's own lists say of a code goes before what those of the settings do.
    """
    own: Dict[str, Any] = {}
    for key in retry_rules.CODES:
        own[key] = backoff.usable(rules, key, retry_rules.check_codes, None)
        if own[key] is not None and code in own[key]:
            return key
    for key in retry_rules.CODES:
        if own[key] is None and code in getattr(settings, key):
            return key
    return None
