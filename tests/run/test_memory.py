"""Memory: how little a worker holds, and none for a moment, which is waited out, and no claim is forgotten over it."""

import glob
import json
import multiprocessing
import os
import signal
import sys
import time

import pytest
from helpers.home import contents, wait_for_log
from helpers.marks import posix_only
from helpers.queue import SETTINGS, enqueue
from helpers.waiting import wait_until

from queuectl_lib.host import bundle, loading
from queuectl_lib.run.options import Options
from queuectl_lib.store import looking
from queuectl_lib.store.folder import Folder
from worker import Worker

pytestmark = posix_only


LOOK = """
import json, os, pickle, sys
loaded = [(vars(sys.modules[name]), tables) for name, tables in %r.items() if name in sys.modules]
names = sum(len(module[table]) for module, tables in loaded for table in tables)
import locale
in_python = [name for name in ("_Pickler", "_Unpickler") if name in vars(pickle)]
works = pickle.loads(pickle.dumps({"os": [os.getcwd]})) == {"os": [os.getcwd]} and bool(locale.normalize("C"))
with open(%r, "w") as file:
    json.dump({"names": names, "in_python": in_python, "works": works}, file)
"""


def test_a_spawned_process_gives_back_what_only_its_start_needs(tmp_path):
    """And can pickle all the same: it is not in the middle of that when it forgets how."""
    found = str(tmp_path / "found")
    code = LOOK % (loading.TABLES, found)
    with bundle.found_by_child():
        process = multiprocessing.get_context("spawn").Process(**loading.in_child(exec, (code, {})))
        process.start()
    process.join(60)
    with open(found) as file:
        assert json.load(file) == {"names": 0, "in_python": [], "works": True}


def limit_memory(pid, most):
    """Let *pid* have no more address space than *most* bytes; None for what it is allowed to have."""
    import resource  # which Windows lacks

    hard = resource.prlimit(pid, resource.RLIMIT_AS)[1]
    resource.prlimit(pid, resource.RLIMIT_AS, (hard if most is None else most, hard))


@pytest.mark.skipif(sys.platform != "linux", reason="prlimit is of Linux")
def test_a_worker_without_memory_waits_and_goes_on_as_the_same_process(home):
    process = home.start("--poll-interval", "0.2")
    home.wait_for_workers(1)
    pid = home.workers()[0]["pid"]
    limit_memory(pid, 1 << 20)
    job = home.add("head -c 5 /dev/zero")
    wait_for_log(process, "trying again")
    time.sleep(1)
    limit_memory(pid, None)
    home.wait_for_state(job, "completed")
    assert home.job(job)["attempts"] == 1
    assert [member["pid"] for member in home.workers()] == [pid]
    assert "Traceback" not in contents(process.log)


@pytest.mark.skipif(sys.platform != "linux", reason="prlimit is of Linux")
def test_a_supervisor_without_memory_waits_and_goes_on(home):
    process = home.start("--count", "2")
    home.wait_for_workers(2)
    wait_until(lambda: glob.glob(home.db + ".d/workers/*.ready"), "the supervisor to have seen them")
    limit_memory(process.pid, 1 << 20)
    os.kill(home.workers()[0]["pid"], signal.SIGKILL)
    wait_for_log(process, "no worker can start now")
    time.sleep(1)
    limit_memory(process.pid, None)
    wait_until(lambda: len(home.workers()) == 2, "the worker to be replaced")
    assert process.poll() is None
    assert "Traceback" not in contents(process.log)


@pytest.mark.parametrize("began", [False, True])
def test_a_claim_that_was_made_when_memory_ran_out_is_found_again(queue, monkeypatch, began, tmp_path):
    """Committed, and then forgotten: its worker lives, so nobody else would ever look after it."""
    enqueue(queue, command="echo x >> %s; sleep 0.3" % (tmp_path / "ran"), cwd=str(tmp_path))
    one = Worker(queue, "w-1", "s1", Options(1, False), lambda: SETTINGS)
    name = "start" if began else "exchange"
    owner = one if began else queue
    whole = getattr(owner, name)
    short = [True]

    def run_out(*words):
        found = whole(*words)
        if short.pop() if short else False:
            one.running.clear()
            raise MemoryError
        return found

    monkeypatch.setattr(owner, name, run_out)
    monkeypatch.setattr(Folder, "is_alive", lambda folder, name: True)
    one.settle_in()
    try:
        deadline = time.monotonic() + 20
        while looking.counts(queue.database)["completed"] == 0 and time.monotonic() < deadline:
            one.looked_at = 0.0
            try:
                one.one_round()
            except MemoryError:
                pass
    finally:
        one.leave()
    assert looking.counts(queue.database)["completed"] == 1
    assert contents(str(tmp_path / "ran")) == "x\n", "it ran once"
