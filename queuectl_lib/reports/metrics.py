"""The queue in the text format of Prometheus (0.0.4), as the textfile collector of node_exporter reads it.

Names, types, labels and HELP texts are frozen for ever: where two homes on one host are of two versions, a HELP that
differs by a word makes node_exporter drop the metric of one of them. All are there from the first time on, with zeros.
"""

from __future__ import annotations

import re
import sys

import queuectl_lib
from queuectl_lib.jobs import checks, states
from queuectl_lib.reports import history, running_long
from queuectl_lib.store import durations, measures, roster, totals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Iterable, Iterator, List, Tuple

    from queuectl_lib.store.database import Database
    from queuectl_lib.values import Fields

    Labels = Dict[str, str]
    Sample = Tuple[str, Labels, float]  # what is put behind the name, its labels beside `queue`, the value

MOST_KEYS = 100
# name without queuectl_: type, HELP
FAMILIES: Dict[str, Tuple[str, str]] = {
    "up": ("gauge", "Whether the database of the queue could be read."),
    "build_info": ("gauge", "The versions of queuectl, Python and SQLite that wrote this; always 1."),
    "jobs": ("gauge", "Jobs in each state."),
    "due_jobs": ("gauge", "Jobs that could start now."),
    "workers": ("gauge", "Workers alive."),
    "running_long_jobs": ("gauge", "Jobs that run unusually long for their kind."),
    "oldest_due_age_seconds": ("gauge", "How long the job that waits longest could have run; 0 if none waits."),
    "oldest_dead_age_seconds": ("gauge", "How long ago the dead job that died first died; 0 if none is dead."),
    "attempts_total": ("counter", "Attempts that ended, by outcome."),
    "deaths_total": ("counter", "Jobs that became dead."),
    "attempt_cpu_seconds_total": ("counter", "CPU time that ended attempts used."),
    "attempt_duration_seconds": ("histogram", "How long attempts took."),
    "wait_seconds": ("histogram", "How long attempts had been due when they began."),
    "last_success_timestamp_seconds": ("gauge", "When a job with this unique key last completed."),
    "keys_left_out": ("gauge", "Unique keys whose last success is left out, for there are newer ones."),
    "kind_duration_seconds": ("gauge", "Durations of the last attempts of this kind that completed."),
}


def unreadable(queue: str) -> str:
    """What is written where the database cannot be read: zeros would look like a queue that is empty."""
    return text({"up": [("", {}, 0)]}, queue)


def measure(database: Database, kinds: int, now: float) -> Dict[str, List[Sample]]:
    """The samples of all metrics by their names without queuectl_; durations of *kinds* kinds. Raises HostError."""
    found = measures.Measured(database, now)
    keys, left_out = measures.successes(database, MOST_KEYS)
    workers = sum(member["kind"] == "worker" for member in roster.members(database.folder))
    outcomes = zip(totals.OUTCOMES, found.counters)
    versions = {"version": queuectl_lib.VERSION, "python": sys.version.split()[0], "sqlite": measures.SQLITE}
    samples: Dict[str, List[Sample]] = {
        "up": [("", {}, 1)],
        "build_info": [("", versions, 1)],
        "jobs": [("", {"state": state}, found.jobs[state]) for state in states.STATES],
        "due_jobs": [("", {}, found.due_jobs)],
        "workers": [("", {}, workers)],
        "running_long_jobs": [("", {}, len(running_long.long_tokens(database, now)))],
        "oldest_due_age_seconds": [("", {}, found.oldest_due_age)],
        "oldest_dead_age_seconds": [("", {}, found.oldest_dead_age)],
        "attempts_total": [("", {"outcome": name.replace(" ", "_")}, count) for name, count in outcomes],
        "deaths_total": [("", {}, found.deaths)],
        "attempt_cpu_seconds_total": [("", {}, found.counters[totals.CPU])],
        "attempt_duration_seconds": histogram(found.counters, totals.DURATION),
        "wait_seconds": histogram(found.counters, totals.WAIT),
        "last_success_timestamp_seconds": [("", {"key": key}, at) for key, at in keys],
        "keys_left_out": [("", {}, left_out)],
    }
    if kinds:
        samples["kind_duration_seconds"] = list(percentiles(database, kinds))
    return samples


def text(samples: Dict[str, List[Sample]], queue: str) -> str:
    """All that was measured, with *queue* as its label of that name."""
    return "".join(line for name, some in samples.items() for line in family(name, queue, some))


def values(samples: Dict[str, List[Sample]], queue: str) -> List[Fields]:
    """The same as JSON: name, labels, value of each."""
    return [
        {"name": "queuectl_" + name + ending, "labels": dict(queue=queue, **labels), "value": value}
        for name, some in samples.items()
        for ending, labels, value in some
    ]


def histogram(counters: List[float], begin: int) -> List[Sample]:
    """The buckets from the place *begin* on, each with all below it, their sum and their number."""
    found: List[Sample] = []
    count = 0.0
    for place, bound in enumerate([*totals.BOUNDS, None]):
        count += counters[begin + place]
        found.append(("_bucket", {"le": "+Inf" if bound is None else number(bound)}, count))
    return [*found, ("_sum", {}, counters[begin + len(totals.BOUNDS) + 1]), ("_count", {}, count)]


def percentiles(database: Database, most: int) -> Iterator[Sample]:
    """Of the *most* kinds that ran most and have names. (A command of one word is its own.)

    The label `quantile` is for summaries alone: promtool says so of a gauge.
    """
    known = [row for row in durations.table(database) if re.match(checks.NAME, row["kind"]) and row["recent"]]
    ordered: List[Fields] = sorted(known, key=lambda row: (-row["runs"], row["kind"]))
    for row in ordered[:most]:
        yield "", {"kind": row["kind"], "percentile": "50"}, history.median(row["recent"]) or 0.0
        yield "", {"kind": row["kind"], "percentile": "95"}, history.p95(row["recent"]) or 0.0


def family(name: str, queue: str, samples: Iterable[Sample]) -> Iterator[str]:
    """The lines of one metric. (Of two samples whose labels have become the same the first stands.)"""
    kind, words = FAMILIES[name]
    yield "# HELP queuectl_%s %s\n# TYPE queuectl_%s %s\n" % (name, words, name, kind)
    seen = set()
    for ending, labels, value in samples:
        pairs = ",".join('%s="%s"' % (key, prom_label(one)) for key, one in [("queue", queue), *labels.items()])
        line = "queuectl_%s%s{%s}" % (name, ending, pairs)
        if line not in seen:
            seen.add(line)
            yield "%s %s\n" % (line, number(value))


def prom_label(value: str) -> str:
    r"""Any text as the value of a label, between quotes: valid UTF-8 of one line, with \\, \" and \n."""
    sound = value.encode("utf-8", "replace").decode("utf-8")
    return sound.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def number(value: float) -> str:
    value = round(value, 6)
    return "%d" % value if value == int(value) else repr(value)
