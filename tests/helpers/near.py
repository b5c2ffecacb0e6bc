"""A home whose commands run within the process of the test: the same main, without the price of starting a Python."""

import contextlib
import io
import os
import sys
import tempfile

import queuectl
from helpers.home import COMPLAINTS, Home, Result, is_one_error
from queuectl_lib.host import interrupts
from queuectl_lib.store import schema


class Near(Home):
    """As Home, with the same contract; what starts workers, reads input or wants surroundings is a process.

    A database that it makes is a copy of *new_database*, where these bytes are given.
    """

    def __init__(self, path, new_database=None):
        super().__init__(path)
        self.new_database = new_database

    def run(self, *words, code=0, input=None, env=None, cwd=None, timeout=60):
        if words[0] == "worker" or not (input is env is cwd is None):
            return super().run(*words, code=code, input=input, env=env, cwd=cwd, timeout=timeout)
        before = sys.stdout, sys.stderr
        streams = [io.TextIOWrapper(tempfile.TemporaryFile(), encoding="utf-8") for _ in before]
        sys.stdout, sys.stderr = streams
        try:
            with self.copying():
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

    @contextlib.contextmanager
    def copying(self):
        """Meanwhile a database is copied in place of being made step by step, which takes twenty milliseconds."""
        create = schema.create

        def copy(path, busy_seconds):
            schema.put_aside_what_is_of_another(path)
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(self.new_database)

        schema.create = copy if self.new_database else create
        try:
            yield
        finally:
            schema.create = create


def printed(stream):
    """What was written to it, as text, its line ends as they are elsewhere."""
    stream.flush()
    with stream.buffer as file:
        file.seek(0)
        return file.read().decode("utf-8", "surrogateescape").replace("\r\n", "\n")
