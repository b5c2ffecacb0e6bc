"""A home whose commands run within the process of the test: the same main, without the price of starting a Python."""

import io
import sys
import tempfile

import queuectl
from helpers.home import COMPLAINTS, Home, Result, is_one_error
from queuectl_lib.host import interrupts


class Near(Home):
    """As Home, with the same contract; what starts workers, reads input or wants surroundings is a process."""

    def run(self, *words, code=0, input=None, env=None, cwd=None, timeout=60):
        if words[0] == "worker" or not (input is env is cwd is None):
            return super().run(*words, code=code, input=input, env=env, cwd=cwd, timeout=timeout)
        before = sys.stdout, sys.stderr
        streams = [io.TextIOWrapper(tempfile.TemporaryFile(), encoding="utf-8") for _ in before]
        sys.stdout, sys.stderr = streams
        try:
            found = queuectl.main(["--home", self.path] + [str(word) for word in words])
        finally:
            sys.stdout, sys.stderr = before
            interrupts.let_go()  # as the end of a process would
        stdout, stderr = map(printed, streams)
        said = "%r returned %d\nstdout: %s\nstderr: %s" % (words, found, stdout, stderr)
        assert not COMPLAINTS.search(stderr), said
        assert found == code, said
        if code in (2, 3):
            assert stdout == "", said
            assert is_one_error(words, stderr), said
        return Result(found, stdout, stderr)


def printed(stream):
    """What was written to it, as text, its line ends as they are elsewhere."""
    stream.flush()
    with stream.buffer as file:
        file.seek(0)
        return file.read().decode("utf-8", "surrogateescape").replace("\r\n", "\n")
