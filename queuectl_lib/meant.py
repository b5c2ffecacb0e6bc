"""What a name that does not exist may have meant: words of other programs first, then what is spelt nearly so.

Loaded only where something is refused. What a command or an option of one may have meant: commands/hints.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Sequence

# By what is named: a word as others have it, and what it is here.
OTHER_WORDS: Dict[str, Dict[str, str]] = {
    "key": {
        **dict.fromkeys(("cmd", "script", "exec", "run", "args", "argv", "commandline"), "command"),
        **dict.fromkeys(("retries", "retry", "maxretry", "retrylimit", "attemptsmax"), "max_retries"),
        **dict.fromkeys(("maxattempts", "tries"), "max_retries, which is one less"),
        **dict.fromkeys(("dir", "workdir", "workingdirectory", "directory", "path"), "cwd"),
        **dict.fromkeys(("environment", "variables", "vars"), "env"),
        **dict.fromkeys(("at", "when", "runafter", "scheduledfor", "eta", "notbefore"), "run_at, or delay in seconds"),
        **dict.fromkeys(("in", "runin", "wait", "countdown", "delayseconds"), "delay, in seconds or as 10m"),
        **dict.fromkeys(("timeoutseconds", "timelimit", "maxruntime", "ttl", "deadline"), "timeout, in seconds or 10m"),
        **dict.fromkeys(("jobid", "jobname", "uuid", "uid"), "id"),
        **dict.fromkeys(("uniquekey", "dedupekey", "dedupe", "idempotencykey", "key"), "unique"),
        **dict.fromkeys(("dependson", "depends", "dependencies", "requires", "needs", "parents"), "after"),
        **dict.fromkeys(("labels", "label", "group", "category", "tag"), "tags"),
        **dict.fromkeys(("prio", "weight", "importance"), "priority"),
    },
    "setting": {
        **dict.fromkeys(("retries", "retry", "maxretry", "retrylimit", "defaultretries"), "max_retries"),
        **dict.fromkeys(("maxattempts", "defaultmaxattempts"), "max_retries, which is one less"),
        **dict.fromkeys(("defaulttimeout", "jobtimeoutdefault", "timelimit", "maxruntime"), "timeout"),
        **dict.fromkeys(("base", "backofffactor", "backoffmultiplier", "retrybase"), "backoff_base"),
        **dict.fromkeys(("maxbackoff", "maxdelay", "backoffmax", "maxretrydelay"), "backoff_cap"),
        **dict.fromkeys(("interval", "poll", "pollinginterval", "sleep", "workersleep"), "poll_interval, in seconds"),
        **dict.fromkeys(("db", "database", "dbfile", "databasepath", "databasefile", "storage"), "db_path"),
        **dict.fromkeys(("outputlimit", "maxlog", "maxoutputbytes"), "max_output"),
        **dict.fromkeys(("graceperiod", "shutdowntimeout", "stoptimeout"), "grace"),
        **dict.fromkeys(
            ("workers", "workercount", "maxworkers", "concurrency", "numworkers", "parallel"),
            "how many jobs run at once is no setting: `worker start --count N`",
        ),
    },
    "state": {
        **dict.fromkeys(("queued", "waiting", "ready", "scheduled", "delayed", "new", "open"), "pending"),
        **dict.fromkeys(("running", "active", "started", "inprogress", "claimed", "locked"), "processing"),
        **dict.fromkeys(("done", "success", "succeeded", "successful", "finished", "ok"), "completed"),
        **dict.fromkeys(("error", "errored", "retry", "retrying"), "failed"),
        **dict.fromkeys(("dlq", "deadletter", "killed", "exhausted", "buried"), "dead"),
        **dict.fromkeys(("canceled", "aborted", "deleted", "removed", "stopped"), "cancelled"),
    },
}
# Names with a unit at their end: who has that in mind must know in which one we count.
UNITS = {
    **dict.fromkeys(("ms", "millis", "milliseconds", "msec"), "in seconds: 0.2 for 200 ms"),
    **dict.fromkeys(("s", "sec", "secs", "seconds"), "in seconds, or as 10m, 1h30m"),
    **dict.fromkeys(("m", "min", "mins", "minutes"), "in seconds, or as 10m, 1h30m"),
    **dict.fromkeys(("h", "hours"), "in seconds, or as 10m, 1h30m"),
}


def plain(name: str) -> str:
    """*name*, which is not long, as it is compared: in small letters, without what joins its words."""
    return re.sub(r"[-_.: ]+", "", name.lower())


def hint(what: str, name: str, known: Sequence[str]) -> str:
    """The end of the refusal of *name*, which is no *what*: the nearest of those *known*, or all of them."""
    near = other_word(what, name) or " or ".join(nearest(name, known))
    if "`" in near:
        return near
    unit = UNITS.get(re.split(r"[-_ ]", name.lower())[-1], "")
    stem = re.sub(r"[-_ ][a-z]+\Z", "", name.lower()).replace("-", "_")
    if what in ("setting", "key") and unit and "," not in near:
        stems = [stem] if stem in known else []
        near = "%s, %s" % (stems[0] if stems else near, unit) if stems or near else ""
    return "did you mean %s?" % near if near else "known: %s" % ", ".join(known)


def other_word(what: str, name: str) -> str:
    """What *name* is called here, where other programs have that word for a *what*; "" for none."""
    return OTHER_WORDS.get(what, {}).get(plain(name), "")


def nearest(name: str, known: Sequence[str], shunned: Sequence[str] = ()) -> List[str]:
    """Those of *known* that *name* is but for a slip of the hand, or begins, or is begun by; seldom more than one.

    None of those *shunned* is named for being alike; the very words, joined in another way, are no likeness.
    """
    word = plain(name)
    same = [one for one in known if plain(one) == word]
    if same or len(word) < 2:
        return same[:1]
    most = 1 if len(word) < 6 else 2
    far = {one: distance(word, plain(one), most) for one in known if one not in shunned}
    near = [one for one in far if far[one] == min(far.values()) and far[one] <= most]
    if near:
        return ([one for one in near if plain(one).startswith(word)] or near)[:2]
    begun = [one for one in far if len(word) > 2 and plain(one).startswith(word)]
    begins = [one for one in far if len(plain(one)) > 2 and len(word) < 30 and word.startswith(plain(one))]
    begins = [one for one in begins if len(plain(one)) == max(map(len, map(plain, begins)))]
    found = begun or begins
    return found if len(found) <= 2 else []


def distance(one: str, other: str, most: int) -> int:
    """How many slips of the hand make *other* of *one*: a letter too many, too few, another, or two exchanged.

    More than *most* where it is more. In three letters another letter is another word.
    """
    if abs(len(one) - len(other)) > most:
        return most + 1
    other_letter = 1 if min(len(one), len(other)) > 3 else 2
    before: List[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        before, last, row = row, before, [i]
        for j, its in enumerate(other, 1):
            best = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (other_letter if letter != its else 0))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == its:
                best = min(best, last[j - 2] + 1)
            row.append(best)
    return row[-1]
