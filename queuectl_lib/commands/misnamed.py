"""A name in the place of another: the tag, group, queue, schedule or job that it is, and the line for that.

Only what has this very name is named so, never what is spelt nearly so. Loaded only where a name was refused.
"""

from __future__ import annotations

import re

from queuectl_lib import contexts, errors, meant
from queuectl_lib.commands import frame, hints, retyped
from queuectl_lib.commands.untranslated import argparse
from queuectl_lib.errors import BadInput, NoSuchJob, QueueError
from queuectl_lib.jobs import ids, states
from queuectl_lib.jobs.ids import NotAnId

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional, Sequence, Tuple

    from queuectl_lib.commands.frame import Call
    from queuectl_lib.store.database import Database

DONE = {"cancel": "cancelled", "requeue": "requeued", "hold": "held", "release": "released", "edit": "changed"}
DONE.update({"dlq retry": "requeued", "dlq purge": "deleted", "prune": "deleted"})
NEWEST = ("last", "latest", "newest")
OF_QUEUES = {"pause": "hold", "resume": "release"}  # of a queue, and of a job


def told(error: QueueError, name: str, said: Sequence[str], call: Optional[Call]) -> QueueError:
    """*error*, of the command *name* with the words *said*, with the line to type where there is one."""
    if isinstance(error, NotAnId):
        return no_id(error, name, said)
    if call is None:
        return error
    if isinstance(error, NoSuchJob):
        return no_such_job(error, name, said, call)
    return no_queue(error, name, call) if error.code == "unknown_queue" and name in OF_QUEUES else error


# ---------------------------------------------------------------- what has a name


def kind(database: Database, word: str) -> Tuple[str, str]:
    """The option that selects by *word*, and what that is: --tag, --queue, --schedule, --group; "" for none."""
    from queuectl_lib.store import groups, queues, schedules, selecting

    tagged, scheduled = selecting.Selection(), selecting.Selection()
    tagged.tags, scheduled.schedule = [word], word
    with contexts.suppress(QueueError):
        if next(iter(selecting.find(database, tagged)), None):
            return "--tag", "a tag"
    with contexts.suppress(QueueError):
        if word in queues.ids(database) and word != queues.DEFAULT:
            return "--queue", "a queue"
    with contexts.suppress(QueueError):
        if schedules.some_of(database, [word]):
            return "--schedule", "a schedule"
    if re.match(r"[0-9a-fA-F]{4,}\Z", word):
        with contexts.suppress(QueueError):
            groups.meant(database, word)
            return "--group", "a group of `dlq groups`"
    return "", ""


def selected(name: str, word: str, said: Sequence[str], flag: str, value: str) -> str:
    """The line of *name* with a selector in the place of the id *word*; of `list` where *name* has none."""
    flags = hints.options_of(name)
    own = {"--tag": "--tagged", "--queue": "--in-queue"}.get(flag, flag) if "--tagged" in flags else flag
    if own not in flags:
        return "list %s %s" % (flag, value)
    words: List[str] = []
    for one in said:
        words += [own, value] if one == word else [one]
    options = [one for one in said if one.startswith("-")]
    return retyped.shown(name, words) if len(words) == len(said) + 1 or options else "%s %s %s" % (name, own, value)


# ---------------------------------------------------------------- ids


def no_such_job(error: NoSuchJob, name: str, said: Sequence[str], call: Call) -> QueueError:
    """The refusal of an id that no job has: what was not done, and what it may have meant."""
    word = error.identifier
    text = "no job has the id %s" % errors.shown(word)
    if text not in str(error):
        return error
    if name in DONE:
        text = "nothing was %s: %s" % (DONE[name], text)
    place = call.missing_database()
    if place:
        return NoSuchJob("%s: no queue in %s yet" % (text, errors.printable(place)), word)
    return NoSuchJob("%s: %s" % (text, in_its_place(call.queue().database, name, word, said)), word)


def in_its_place(database: Database, name: str, word: str, said: Sequence[str]) -> str:
    """What *word* is, which is the id of no job, with the line to type."""
    state = word.lower() if word.lower() in states.STATES else meant.other_word("state", word[: errors.NAME_CHARACTERS])
    flag, what = kind(database, word)
    if flag:
        line = selected(name, word, said, flag, word)
        return "it is %s: `%s`" % (what, line) if line else "it is %s: %s" % (what, flag)
    if word.lower() == "all" and "--all" in hints.options_of(name):
        return "all of them: `%s --all`" % name
    if state:
        line = "" if name.startswith("dlq") else selected(name, word, said, "--state", state)
        return "it is a state: `%s`" % (line or "list --state %s" % state)
    if word.lower() in NEWEST:
        return "the newest: `%s`" % (selected(name, word, said, "--last", "1") or "list --last 1")
    return "`list` shows the newest"


def no_id(error: NotAnId, name: str, said: Sequence[str]) -> QueueError:
    """The refusal of what can be no id: a change of `edit` without its dashes, or a table where ids are read."""
    word = str(error.identifier)
    key, equals, value = word.partition("=")
    flag = "--" + key.replace("_", "-")
    if equals and word in said and flag in hints.options_of(name):
        words: List[str] = []
        for one in said:
            words += [flag, value] if one == word else [one]
        line = retyped.shown(name, words)
        return BadInput("%s: an option: `%s`" % (str(error).partition(", ")[0].partition(": up to")[0], line or flag))
    if re.match(r"-[0-9]{1,9}\Z", word) and word in said and "--last" in hints.options_of(name):
        line = selected(name, word, said, "--last", word[1:])
        return BadInput("%s is not an id: the newest: `%s`" % (errors.shown(word), line or "list --last " + word[1:]))
    if "-" in said and word not in said:
        ids_alone = "list --state S | tail -n +2 | cut -d ' ' -f 1 | python3 %s wait -" % frame.PROGRAM
        text = "%s is not an id: - reads ids alone: `%s`, or without a pipe `%s --state S`"
        return BadInput(text % (errors.shown(word), ids_alone, name))
    return error


# ---------------------------------------------------------------- others


def no_queue(error: QueueError, name: str, call: Call) -> QueueError:
    """The refusal of a queue that there is not, where it is a job, a tag or a schedule."""
    from queuectl_lib.store import finding

    database = call.queue().database
    for word in call.options.names:
        text = "unknown queue %s: " % errors.shown(word)
        if not str(error).startswith(text):
            continue
        with contexts.suppress(QueueError):
            if finding.exists(database, finding.in_full(database, [word])[0]):
                return BadInput("%sit is a job: `%s %s`" % (text, OF_QUEUES[name], word), error.code)
        flag, what = kind(database, word)
        if flag == "--schedule":
            return BadInput("%sit is %s: `schedule %s %s`" % (text, what, name, word), error.code)
        if flag:
            return BadInput("%sit is %s: `%s %s %s`" % (text, what, OF_QUEUES[name], flag, word), error.code)
    return error


def of_status(word: str, home: str) -> str:
    """What to type for `status WORD`: a tag's counts, or a job; "" where neither has this name."""
    from queuectl_lib.store import finding

    options = argparse.Namespace(home=home or None)
    with contexts.suppress(QueueError, OSError):
        call = frame.Call(options, None)
        call.refuse_untrusted()
        database = call.queue().database
        if re.match(ids.ID, word) and finding.exists(database, finding.in_full(database, [word])[0]):
            return "`show %s`" % word
        flag, what = kind(database, word)
        if flag:
            return "it is %s: `%s %s %s`" % (what, "status" if flag == "--tag" else "list", flag, word)
    return ""
