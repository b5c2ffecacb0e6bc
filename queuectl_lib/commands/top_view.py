"""What a person sees of the facts in `top`: which jobs, in which order, on how many lines, and which is chosen.

Pure: keys change it, and it is asked for the sections of the screen (commands/top_lines draws them).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional, Sequence, Tuple

    from queuectl_lib.values import Fields

# The sections, from above: how much of the room each is given, against the others.
WEIGHTS = {"running": 4, "failures": 2, "next": 2, "ends": 2}
SORTS = ("as added", "longest first", "against the usual time")  # what runs
SEARCHED = ("id", "state", "name", "command", "worker", "verdict", "says")


class Section:
    """One table of the screen: all its *jobs*, of which *rows* from *first* on are shown."""

    def __init__(self, name: str, jobs: List[Fields], looked: int) -> None:
        self.name = name
        self.jobs = jobs
        self.looked = looked  # before a filter
        self.rows = 0
        self.first = 0

    def shown(self) -> List[Fields]:
        return self.jobs[self.first : self.first + self.rows]


class View:
    """What is wanted of the screen: *states* (none: all), a filter, a sort, the chosen job; and what is said below."""

    def __init__(self, states: Sequence[str] = ()) -> None:
        self.states = states
        self.filter = ""
        self.sort = 0
        self.chosen: Optional[Tuple[str, object]] = None  # section, key
        self.place = 0  # of what is chosen among all jobs: what is next to it when it goes
        self.is_paused = False
        self.page = ""  # "help", or the tables
        self.typing: Optional[str] = None  # of a filter
        self.question: Optional[Tuple[str, str]] = None  # verb and id, about which y is awaited
        self.message = ""
        self.trouble = ""  # why what is shown is not of now
        self.has_keys = True

    def needs_more(self) -> bool:
        """True where more jobs have to be looked at than the screen has lines."""
        return bool(self.states or self.filter or self.sort or self.typing or self.chosen)

    # -------------------------------------------------------- sections

    def sections(self, facts: Fields, lines: int, gap: int = 0) -> List[Section]:
        """Those with a job in them, on so many *lines*: each has a heading, and between two are *gap* lines."""
        found = [self._section(name, facts[name]) for name in WEIGHTS]
        found = [one for one in found if one.jobs]
        self._follow(found)
        while found and len(found) * (2 + gap) - gap > lines:
            found.remove(self._least(found))
        left = lines - len(found) * (1 + gap) + gap
        open_ones = found[:]
        while left > 0 and open_ones:
            one = min(open_ones, key=lambda each: each.rows / WEIGHTS[each.name])
            one.rows += 1
            left -= 1
            open_ones = [each for each in found if each.rows < len(each.jobs)]
        for one in found:
            one.first = self._first(one)
        return found

    def _section(self, name: str, jobs: Sequence[Fields]) -> Section:
        fitting = [job for job in jobs if self._fits(job)]
        if name == "running" and self.sort == 1:
            fitting.sort(key=lambda job: -job["seconds"])
        elif name == "running" and self.sort == 2:
            fitting.sort(key=lambda job: -job["seconds"] / max(job["p95"], 1.0) if job["p95"] is not None else 0.0)
        return Section(name, fitting, len(jobs))

    def _fits(self, job: Fields) -> bool:
        if self.states and job["state"] not in self.states:
            return False
        wanted = self.filter.lower()
        return not wanted or any(wanted in str(job.get(key) or "").lower() for key in SEARCHED)

    def _least(self, found: Sequence[Section]) -> Section:
        """The section that goes where there is no room: the last one, but not that of the chosen job."""
        others = [one for one in found if not self.chosen or one.name != self.chosen[0]]
        return (others or found)[-1]

    def _first(self, section: Section) -> int:
        """The first row that is shown, so that the chosen one is."""
        if self.chosen and self.chosen[0] == section.name:
            for place, job in enumerate(section.jobs):
                if key_of(section.name, job) == self.chosen[1] and place >= section.rows:
                    return place - section.rows + 1
        return 0

    # -------------------------------------------------------- the chosen job

    def _follow(self, found: Sequence[Section]) -> None:
        """Keep the chosen job chosen, also where it has gone on to another section; let go of one that is not there."""
        if self.chosen is None:
            return
        keys = all_keys(found)
        if self.chosen not in keys:
            same = [one for one in keys if id_of(one) == id_of(self.chosen)]
            self.chosen = same[0] if same else None
        if self.chosen is not None:
            self.place = keys.index(self.chosen)

    def move(self, facts: Fields, steps: int) -> None:
        """Choose the job so many *steps* further down."""
        keys = all_keys([self._section(name, facts[name]) for name in WEIGHTS])
        if not keys:
            self.message = "no job is shown"
            return
        beside = self.place - (steps > 0)  # where what was chosen is gone, or nothing was yet
        place = (keys.index(self.chosen) if self.chosen in keys else beside) + steps
        self.place = max(0, min(place, len(keys) - 1))
        self.chosen = keys[self.place]

    def chosen_job(self, facts: Fields) -> Optional[Fields]:
        if self.chosen is None:
            return None
        name, key = self.chosen
        found: List[Fields] = [job for job in facts[name] if key_of(name, job) == key]
        return found[0] if found else None


def key_of(name: str, job: Fields) -> object:
    """What tells a row of a section from its others: a job may have ended more than once."""
    return (job["id"], job["ended"]) if name == "ends" else job["id"]


def id_of(chosen: Tuple[str, object]) -> object:
    return chosen[1][0] if isinstance(chosen[1], tuple) else chosen[1]


def all_keys(sections: Sequence[Section]) -> List[Tuple[str, object]]:
    return [(one.name, key_of(one.name, job)) for one in sections for job in one.jobs]


def totals(facts: Fields) -> Dict[str, int]:
    """How many jobs there are of a section in all; of ends nobody counts."""
    counts = facts["counts"]
    waiting = counts["pending"] + counts["failed"]
    return {"running": counts["processing"], "failures": counts["dead"] + counts["failed"], "next": waiting}
