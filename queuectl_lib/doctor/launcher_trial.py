"""A launcher tried for real on the user's engine: each probe is something that the promises stand on."""

from __future__ import annotations

import os
import shutil
import tempfile
import time

from queuectl_lib.doctor import far_job, probes
from queuectl_lib.doctor.far_job import GONE, THERE, FarJob
from queuectl_lib.doctor.probes import Finding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Iterator, List, Optional, Sequence

    from queuectl_lib.host.control import Answer
    from queuectl_lib.jobs.launchers import Launcher

RUN_SECONDS = 60.0  # for a short job there, waiting for its place included
GONE_SECONDS = 30.0  # after the end of a job: so long may alive go on to say that it is there
GRACE_SECONDS = 10.0  # after TERM, at most
BEATS_SECONDS = 2.0  # in which a long job that still runs writes to its file
# Runs until it is ended, or two minutes; and it ends with the file that it writes to: so even where nothing else can.
LONG = (
    "trap 'rm -f {0}; echo heard TERM; exit 42' TERM; echo once >>{0}; echo begun; i=0; while [ $i -lt 600 ]; "
    "do i=$((i + 1)); sleep 0.2; echo; test -e {0} || exit; echo >>{0}; done; rm -f {0}"
)
READING = "test -e {0} || exit 3; wc -l <{0}; sleep {1:.1f}; wc -l <{0}; rm -f {0}"
WRITTEN = b"\tone\r\n\001\377\n\n" + b"0123456789abcdef" * 20480 + b"no newline"
WRITING = (
    r"printf '\tone\r\n\001\377\n\n'; i=0; while [ $i -lt 1280 ]; do i=$((i + 1)); printf '%s' "
    + "0123456789abcdef" * 16
    + "; done; printf 'no newline'; echo aside >&2"
)


class LauncherTrial:
    """The probes of one *launcher*, from the directory *cwd*, with these arguments of a job. Nothing is left behind."""

    def __init__(self, launcher: Launcher, cwd: str, arguments: Sequence[str], grace: float) -> None:
        self.launcher = launcher
        self.cwd = cwd
        self.arguments = arguments
        self.grace = min(grace, GRACE_SECONDS)
        self.begun: List[FarJob] = []
        self.files: List[str] = []  # there, of long jobs

    def __enter__(self) -> LauncherTrial:
        self.folder = tempfile.mkdtemp(prefix="queuectl-doctor-")
        return self

    def __exit__(self, *error: object) -> None:
        try:
            for job in self.begun:
                job.clear()
            if [job for job in self.begun if not job.is_over] and self.files:
                self.begin("rm -f " + " ".join(self.files)).wait(GONE_SECONDS)
                self.begun[-1].clear()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def begin(self, text: str, cwd: str = "", joins: Optional[FarJob] = None) -> FarJob:
        """Start a far job, as the next attempt of one that it *joins*. Raises OSError."""
        identifier = joins.claim.id if joins else "doctor-%s" % os.urandom(4).hex()
        claim = far_job.claim_of(identifier, cwd or self.cwd, self.arguments)
        claim.far_token = joins.claim.far_token if joins else claim.token
        self.begun.append(FarJob(self.launcher, claim, text, self.folder))
        return self.begun[-1]

    def findings(self) -> Iterator[Finding]:
        """Where not even `true` runs there nothing else is tried."""
        first = self.tried("run", self.probe_run)
        yield first
        others: List[Callable[[], Finding]] = [self.probe_code, self.probe_output, self.probe_directory]
        others += [self.probe_end, self.probe_lost]
        names = ["exit code", "output", "directory", "end", "lost client"]
        if self.launcher.attach:
            others.append(self.probe_join)
            names.append("join")
        for name, probe in zip(names, others):
            skipped = Finding(name, None, "not tried", "see to the run first")
            yield skipped if first.ok is False else self.tried(name, probe)

    def tried(self, name: str, probe: Callable[[], Finding]) -> Finding:
        """What *probe* finds, under that *name*; and that the launcher's program could not be started."""

        def started() -> Finding:
            try:
                return probe()
            except OSError as error:
                if error.filename != self.launcher.run[0]:
                    raise
                text = "%s: %s" % (error.filename, error.strerror)
                return Finding("", False, text, "see that it is installed, and on the PATH of the workers, too")

        found = probes.tried(name, started)
        found.name = name
        return found

    # ------------------------------------------------------------ what ends by itself

    def probe_run(self) -> Finding:
        """`true` there, and that alive knows of its end."""
        job, began = self.begin("exit 0"), time.monotonic()
        code = job.wait(RUN_SECONDS)
        took = time.monotonic() - began
        if code != 0:
            return self.did_not_run(job, code)
        if self.launcher.alive is None:
            return Finding("", None, "`true` ran there (%.1f s)" % took, "no alive: nobody is asked if a job lives")
        answer = job.becomes(GONE, GONE_SECONDS)
        if answer.code == GONE:
            return Finding("", True, "`true` ran there, and alive says that it is gone (%.1f s)" % took)
        text = "%d s after `true` has ended there alive %s" % (GONE_SECONDS, said(answer))
        return Finding("", False, text, "no job would get a further attempt: alive exits with 1 for what is gone")

    def did_not_run(self, job: FarJob, code: Optional[int]) -> Finding:
        words = job.last_line() or "it said nothing"
        if code is None:
            text = "`true` did not end there within %d s: %s" % (RUN_SECONDS, words)
            return Finding("", False, text, "see that it has a free place there (ssh: a worker that runs)")
        if code in self.launcher.later_codes:
            text = "exit code %d, the launcher's own failure: %s" % (code, words)
            return Finding("", False, text, "until that is put right jobs are tried again, up to max_snoozes times")
        advice = "see to what it says: variables and PATH can stand in its env, codes of its own in later_codes"
        if code in (126, 127):  # of a shell that could not start a program
            advice = "name what was not found there by its full path (queuectl behind ssh: the value queuectl)"
        return Finding("", False, "`true` ended with exit code %d: %s" % (code, words), advice)

    def probe_code(self) -> Finding:
        job = self.begin("exit 7")
        code = job.wait(RUN_SECONDS)
        if code == 7:
            return Finding("", True, "`exit 7` there is exit code 7 here")
        text = "`exit 7` there is %s here" % ("no end" if code is None else "exit code %d" % code)
        return Finding("", False, text, "a job that fails would count as something else")

    def probe_output(self) -> Finding:
        """Bytes that a terminal or a careless copy would change, and more of them than a pipe holds."""
        job = self.begin(WRITING)
        code, stdout, stderr = job.wait(RUN_SECONDS), job.output(1), job.output(2)
        if code == 0 and stdout == WRITTEN and stderr == b"aside\n":
            return Finding("", True, "%d bytes came back exactly, stderr apart" % len(WRITTEN))
        if code == 0 and stdout == WRITTEN:
            return Finding("", None, "stdout came back exactly", "stderr has other words, too: " + job.last_line())
        text = "of %d bytes on stdout there %d came back, or others" % (len(WRITTEN), len(stdout))
        return Finding("", False, text, "what jobs print would not be kept as it is: let the launcher use no terminal")

    def probe_directory(self) -> Finding:
        """A job must not succeed in another directory than its own."""
        missing = os.path.join(self.cwd, "queuectl-doctor-%s" % os.urandom(6).hex())
        job = self.begin("pwd", missing)
        code = job.wait(RUN_SECONDS)
        where = job.output().decode("utf-8", "replace").strip()
        if code == 0:
            text = "a job whose directory is missing there ran in %s, and succeeded" % (where or "another one")
            advice = """let run end in sh -c 'cd -- "$1" || exit 126; shift; exec "$@"' sh {cwd}"""
            if "{cwd}" not in " ".join([*self.launcher.run, *self.launcher.values.values()]):
                return Finding("", None, text, "run does not name {cwd}: there jobs have no directory of their own")
            return Finding("", False, text, advice)
        if code is None:
            return Finding("", False, "a job whose directory is missing there did not end within %d s" % RUN_SECONDS)
        if code in self.launcher.later_codes:
            text = "a job whose directory is missing there ends with exit code %d, one of later_codes" % code
            return Finding("", None, text, "it would be tried again and again, up to max_snoozes")
        return Finding("", True, "a job whose directory is missing there fails (exit code %d)" % code)

    # ------------------------------------------------------------ what has to be ended

    def begun_and_there(self) -> FarJob:
        """A long job that runs there, as alive has to say. Raises Unfit."""
        self.files.append(".queuectl-doctor-%s" % os.urandom(6).hex())
        job = self.begin(LONG.format(self.files[-1]))
        if not job.says(b"begun", RUN_SECONDS):
            text = "what a job there prints is not here within %d s, while it runs" % RUN_SECONDS
            raise Unfit(text, "see its options, and that it has a free place there")
        if self.launcher.alive is not None:
            answer = job.alive()
            if answer.code != THERE:
                advice = "the job would be started a second time beside the first"
                if answer.code != GONE:
                    advice = "alive exits with 0 for a job that is there, with 1 for one that is gone"
                raise Unfit("while a job runs there alive %s" % said(answer), advice)
        return job

    def probe_end(self) -> Finding:
        """TERM there, a grace, and the end of it."""
        try:
            job = self.begun_and_there()
        except Unfit as unfit:
            return unfit.finding
        answer = job.end("TERM", self.grace)
        if answer.code != 0:
            return Finding("", False, "end with TERM failed: %s" % answer.words, "no cancel and no timeout would work")
        code = job.wait(self.grace)
        heard = b"heard TERM" in job.output()
        gone = self.gone_after(job, "TERM")
        if gone is not None:
            return gone
        if code is None and not heard:
            return Finding("", False, "TERM by end did not reach the job there", "no cancel and no timeout would work")
        if not heard:
            text = "end with TERM ended the job at once: its own trap did not run"
            return Finding("", False, text, "no job there would have its grace: send the signal to the job itself")
        text = "a job there hears TERM, has its grace, and is gone then"
        return Finding("", True, text + (" (exit code %d)" % code if code is not None else ""))

    def gone_after(self, job: FarJob, signal: str) -> Optional[Finding]:
        """None where the job is gone after *signal* and at last KILL; else what that means."""
        if self.launcher.alive is None:
            return None
        answer = job.becomes(GONE, self.grace)
        if answer.code == GONE:
            return None
        last = job.end("KILL", self.grace)
        if last.code != 0:
            return Finding("", False, "end with KILL failed: %s" % last.words, "a job that heeds no TERM would run on")
        answer = job.becomes(GONE, GONE_SECONDS)
        if answer.code == GONE:
            return None
        text = "%d s after %s and KILL by end alive %s" % (GONE_SECONDS, signal, said(answer))
        return Finding("", False, text, "no job that is cancelled or timed out would ever be over")

    def probe_lost(self) -> Finding:
        """The death of our host: the client here is killed, and what runs there is found, ended, and gone in truth."""
        try:
            job = self.begun_and_there()
        except Unfit as unfit:
            return unfit.finding
        job.kill_here()
        if self.launcher.alive is None:
            return self.told_by_file("nobody is asked, and its end is believed") or Finding(
                "", True, "with the client here the job there ended"
            )
        answer = job.alive()
        ran_on = answer.code == THERE
        if ran_on:
            ended = job.end("TERM", self.grace)
            if ended.code != 0:
                return Finding("", False, "end failed once the client was killed: %s" % ended.words, ADVICE)
            gone = self.gone_after(job, "TERM")
            if gone is not None:
                return gone
        elif answer.code != GONE:
            return Finding("", False, "once the client here was killed alive %s" % said(answer), ADVICE)
        differs = self.told_by_file("alive says that it is gone")
        how = "runs on, is ended by end, and is gone then" if ran_on else "ends"
        return differs or Finding("", True, "when the client here is killed the job there %s" % how)

    def told_by_file(self, told: str) -> Optional[Finding]:
        """What the file tells that such a job writes to, read there: that it runs on, whatever is said here."""
        job = self.begin(READING.format(self.files[-1], BEATS_SECONDS))
        job.wait(RUN_SECONDS)
        counts = job.output().split()
        if len(counts) == 2 and counts[0] != counts[1]:
            text = "the client here was killed: %s, and the job there runs on" % told
            return Finding("", False, text, "it would be started a second time beside the first")
        return None

    def probe_join(self) -> Finding:
        """A launcher that attaches: a second client of the same attempt joins what the first has started."""
        try:
            job = self.begun_and_there()
        except Unfit as unfit:
            return unfit.finding
        job.kill_here()
        joined = self.begin(LONG.format(self.files[-1]), joins=job)
        joins = joined.says(b"\n", RUN_SECONDS)
        counting = self.begin("grep -c once %s" % self.files[-1])
        counting.wait(RUN_SECONDS)
        gone = (joined.end("TERM", self.grace), self.gone_after(joined, "TERM"))[1]
        if gone is not None:
            return gone
        if counting.output().strip() not in (b"1", b"") or not joins:
            how = "started the job again" if joins else "got no output of it"
            how = "a second client of the same attempt " + how
            return Finding("", False, how, "run has to name the job by {far}, and to join what has that name")
        return Finding("", True, "a second client of the same attempt joins the job there")


ADVICE = "after the death of this host nobody could end the job, nor know of it"


class Unfit(Exception):
    """A probe that came to its end too soon."""

    def __init__(self, text: str, advice: str) -> None:
        super().__init__(text)
        self.finding = Finding("", False, text, advice)


def said(answer: Answer) -> str:
    """What alive has answered, for people."""
    if answer.code == THERE:
        return "says that it is there"
    if answer.code == GONE:
        return "says that it is gone"
    return "does not know: %s" % answer.words
