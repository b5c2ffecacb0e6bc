"""What every test uses: the fixtures `home`, `call` and `queue`; what tests import is in helpers/."""

import gc
import os
import signal
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
# Whichever folder or file pytest is called for, and from wherever: helpers and instruments are here, the product above.
sys.path[:0] = [HERE, os.path.dirname(HERE)]
# In helpers, too, a failing assert tells what it has compared.
pytest.register_assert_rewrite("helpers")

from helpers import sparing
from helpers.home import Home, Result, is_one_error
from helpers.marks import WINDOWS
from helpers.near import Near
from helpers.users import another

import queuectl
from queuectl_lib.host import interrupts
from storage import Queue

# A shell starts what it puts in the background with SIGINT and SIGQUIT ignored, nohup what it starts with
# SIGHUP, and every child would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
if not WINDOWS:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
# Where `make test` fetched pytest to; the product must need nothing from there.
os.environ.pop("PYTHONPATH", None)
# As users have it: without its cache Python compiles the bundle in every process.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# A warning of the product is an error, in every process that a test starts.
os.environ.setdefault("PYTHONWARNINGS", "error")


def pytest_configure(config):
    config.addinivalue_line("markers", "long: a whole matrix; left out by `make test`, not by `make test-long`")


def pytest_collection_modifyitems(items):
    sparing.mark(items)


def pytest_collection_finish():
    gc.freeze()  # what is loaded stays: pytest would look through all of it five times at the end


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path / "home")
    os.mkdir(home.path, 0o700)
    yield home
    home.clean_up()
    assert home.complaints() == []


@pytest.fixture
def near(home, new_database):
    """The same home, its commands within this process: for a file that calls many (`home = near` there)."""
    near = Near(home.path, new_database)
    near.started = home.started  # so that these, too, are ended, and their logs looked at
    return near


@pytest.fixture
def call(home, capsys):
    """The command line within this process: the same main, without the price of starting a Python."""

    def run(*words, code=0):
        capsys.readouterr()
        found = queuectl.main(["--home", home.path] + list(words))
        interrupts.let_go()  # as the end of a process would
        out, err = capsys.readouterr()
        assert found == code, err
        if code:
            assert out == ""
            assert is_one_error(words, err)
        return Result(found, out, err)

    return run


@pytest.fixture(scope="session")
def new_database(tmp_path_factory):
    """What the file of a queue holds when it has been made, which takes twenty milliseconds."""
    path = tmp_path_factory.mktemp("new") / "q.db"
    Queue(str(path)).database.create()
    return path.read_bytes()


@pytest.fixture
def queue(tmp_path, new_database):
    queue = Queue(str(tmp_path / "q.db"))
    queue.folder.make()
    with queue.database.gate(), open(os.open(queue.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(new_database)
    return queue


@pytest.fixture
def nobody():
    """Another user of the host."""
    with another() as user:
        yield user
