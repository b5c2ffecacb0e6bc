"""A day in the life of a queue, straight into its database: mixed jobs, a burst, an outage, workers with slots."""

import heapq
import json
import random
import sqlite3

from helpers import hostile
from queuectl_lib import times
from queuectl_lib.jobs import signatures
from queuectl_lib.store import durations

HOUR, DAY = 3600, 86400
WORKERS, SLOTS = 3, 4
# Share of all jobs, median seconds, spread, name, command, share that fails, (exit code, signal, last line).
KINDS = (
    (0.58, 0.8, 0.6, None, "python3 thumb.py --size 200 /srv/img/%d.jpg", 0.004,
     (1, None, "PIL.UnidentifiedImageError: cannot identify image file '/srv/img/%d.jpg'")),
    (0.20, 0.2, 0.5, "mail", "./send-mail.sh user%d@example.org", 0.01,
     (75, None, "smtp: 451 greylisted, try again later (id %d)")),
    (0.06, 40, 0.5, None, "make -C /srv/reports report-%d", 0.05,
     (2, None, "psql: error: connection to server at \"10.0.0.%d\", port 5432 failed: timeout expired")),
    (0.04, 90, 0.8, "transcode", "ffmpeg -i /srv/in/%d.mov -crf 23 /srv/out/%d.mp4", 0.06, (None, "SIGKILL", "")),
    (0.01, 300, 0.7, "backup", ["rsync", "-a", "/data/%d", "backup:/data/"], 0.03,
     (12, None, "rsync: connection unexpectedly closed (%d bytes received so far)")),
    (0.11, 8, 0.4, "import", "import --table orders --batch %d", 0.02,
     (3, None, "KeyError: 'customer_%d'")),
)  # fmt: skip
OUTAGE = (14.0, 14.6)  # hours of the day: mail fails, and what uses the network
AWAY = (14.15, 14.4)  # nobody works
BURST = (9.5, 0.12)  # its begin in hours, the share of all jobs that come then within ten minutes

JOB = (
    "INSERT INTO jobs (seq, id, command, is_list, state, attempts, max_retries, next_run_at, lane, cwd, env,"
    " created_at, updated_at, started_at, finished_at, exit_code, last_error, worker, token, runs, death, name,"
    " signature)"
    " VALUES (?, ?, ?, ?, ?, ?, 2, ?, ?, '/srv', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
ATTEMPT = (
    "INSERT INTO attempts (id, job, number, outcome, started_at, finished_at, exit_code, signal, error, worker, token,"
    " stdout_bytes, stderr_bytes, stdout, stderr, ended) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, NULL, ?, ?)"
)


class Day:
    """*jobs* jobs of the 24 hours before *now* (seconds since 1970); the same for the same *seed*."""

    def __init__(self, jobs, now, seed=1):
        self.random = random.Random(seed)
        self.begin = now - DAY
        self.now = now
        self.scale = min(1.0, 20000.0 / jobs)  # so that the workers keep up with more of them
        self.free = [(self.begin, "w-%d" % (slot % WORKERS + 1)) for slot in range(WORKERS * SLOTS)]
        self.jobs = []
        self.attempts = []
        self.errors = {}
        for place, moment in enumerate(self.arrivals(jobs)):
            self.add(place, moment)
        self.run()

    def arrivals(self, jobs):
        """When jobs come: few at night, many at noon, and a burst."""
        found = []
        begin, share = BURST
        for _ in range(int(jobs * share)):
            found.append(self.begin + (begin + self.random.random() / 6) * HOUR)
        while len(found) < jobs:
            hour = self.random.random() * 24
            if self.random.random() < 0.25 + 0.75 * max(0.0, 1 - abs(hour - 13) / 9):
                found.append(self.begin + hour * HOUR)
        return sorted(found)

    def add(self, place, moment):
        pick = self.random.random()
        for kind in KINDS:
            pick -= kind[0]
            if pick < 0:
                break
        command = kind[4]
        if place % 500 == 7:
            text = hostile.STRINGS[place // 500 % len(hostile.STRINGS)].replace("\0", "")
            command = "echo " + text.encode("utf-8", "replace").decode()
        elif isinstance(command, list):
            command = [word.replace("%d", str(place)) for word in command]
        else:
            command = command.replace("%d", str(place))
        self.jobs.append({"kind": kind, "command": command, "created": moment, "runs": 0, "state": "pending"})

    def run(self):
        """Each job on the slot that is free first, in the order in which they are due."""
        heapq.heapify(self.free)
        due = [(job["created"], place) for place, job in enumerate(self.jobs)]
        while due:
            moment, place = heapq.heappop(due)
            free, worker = heapq.heappop(self.free)
            begin = max(moment, free) + 0.01
            hour = (begin - self.begin) / HOUR
            if AWAY[0] < hour < AWAY[1]:
                begin = self.begin + AWAY[1] * HOUR + self.random.random()
            heapq.heappush(self.free, (self.one(place, begin, worker, due), worker))

    def one(self, place, begin, worker, due):
        """One attempt; when its slot is free again."""
        job = self.jobs[place]
        if begin >= self.now:
            job.setdefault("due", begin)
            return begin
        _, median, spread, _, _, failing, failure = job["kind"]
        end = begin + self.scale * median * self.random.lognormvariate(0, spread)
        hour = (begin - self.begin) / HOUR
        fails = self.random.random() < (0.8 if OUTAGE[0] < hour < OUTAGE[1] and median < 50 else failing)
        job["runs"] += 1
        attempt = {"job": place, "number": job["runs"], "begin": begin, "end": end, "worker": worker}
        attempt["token"] = "%016x" % self.random.getrandbits(64)
        if end > self.now:
            attempt["outcome"], job["state"] = "running", "processing"
        elif fails:
            self.fail(job, attempt, failure, place)
            if job["state"] == "failed":
                job["due"] = end + 60 * 2 ** job["runs"]
                heapq.heappush(due, (job["due"], place))
        else:
            attempt["outcome"] = job["state"] = "completed"
        job["last"] = attempt
        self.attempts.append(attempt)
        return end

    def fail(self, job, attempt, failure, place):
        code, signal, line = failure
        line = line.replace("%d", str(place))
        error = "exit code %d" % code if code is not None else "killed by SIGKILL"
        attempt.update(outcome="failed", code=code, signal=signal, line=line, error=error)
        job["state"] = "dead" if job["runs"] > 2 else "failed"
        verdict = signatures.verdict("failed", code, signal)
        signed = signatures.sign(verdict, signatures.normal(line), error)
        job["signature"] = signed.signature
        known = self.errors.setdefault(signed.signature, [signed.text, attempt["end"], 0.0, 0])
        known[2], known[3] = attempt["end"], known[3] + 1

    # -------------------------------------------------------- rows

    def job_rows(self):
        deaths = 0
        for place, job in enumerate(self.jobs):
            last, state = job.get("last", {}), job["state"]
            waits = state in ("pending", "failed")
            is_list = isinstance(job["command"], list)
            deaths += state == "dead"
            created, due = times.utc_text(job["created"]), times.utc_text(job.get("due", job["created"]))
            begin = times.utc_text(last["begin"]) if last else None
            ended = times.utc_text(last["end"]) if state in ("completed", "dead") else None
            yield (
                *(place + 1, "job%07d" % place, json.dumps(job["command"]) if is_list else job["command"]),
                *(int(is_list), state, job["runs"], due if waits else None, 1 if waits else None, '{"SECRET": "x"}'),
                *(created, ended or begin or created, begin, ended, last.get("code"), last.get("error")),
                *(last.get("worker"), last["token"] if state == "processing" else None, job["runs"]),
                *(deaths if state == "dead" else None, job["kind"][3], job.get("signature")),
            )

    def attempt_rows(self):
        self.attempts.sort(key=lambda one: one["begin"])
        ends = sorted(place for place, one in enumerate(self.attempts) if one["outcome"] != "running")
        ends.sort(key=lambda place: self.attempts[place]["end"])
        order = {place: number for number, place in enumerate(ends, 1)}
        for place, one in enumerate(self.attempts):
            runs = one["outcome"] == "running"
            line = one.get("line", "").encode() + b"\n" if one.get("line") else None
            yield (
                *(place + 1, one["job"] + 1, one["number"], one["outcome"], times.utc_text(one["begin"])),
                *(None if runs else times.utc_text(one["end"]), one.get("code", 0), one.get("signal")),
                *(one.get("error"), one["worker"], one["token"] if runs else None, len(line or b""), line),
                order.get(place),
            )


def fill(queue, jobs, now, seed=1):
    """Put such a day into an empty *queue*; returns the Day."""
    day = Day(jobs, now, seed)
    queue.database.create()
    connection = sqlite3.connect(queue.path, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("BEGIN")
    triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        connection.execute("DROP TRIGGER %s" % name)
    connection.executemany(JOB, day.job_rows())
    connection.executemany(ATTEMPT, day.attempt_rows())
    rows = [(key, text, times.utc_text(first), times.utc_text(last), count)
            for key, (text, first, last, count) in day.errors.items()]  # fmt: skip
    connection.executemany("INSERT INTO errors VALUES (?, ?, ?, ?, ?)", rows)
    connection.execute("UPDATE counts SET jobs = (SELECT count(*) FROM jobs WHERE jobs.state = counts.state)")
    connection.execute("UPDATE counts SET ended = (SELECT max(ended) FROM attempts) WHERE state = 'completed'")
    connection.execute("UPDATE counts SET deaths = jobs WHERE state = 'dead'")
    for _, statement in triggers:
        connection.execute(statement)
    connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    connection.close()
    durations.rebuild(queue.database)
    return day
