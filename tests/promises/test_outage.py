"""A server that many jobs need is down for a while: from the first failure to all done, as an operator does it."""

import json
import socket
import sys

import pytest
from helpers.waiting import wait_until

JOBS = 40


class Server:
    """A port that answers, or does not."""

    def __init__(self):
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))  # and does not listen yet: the port is ours, and refuses
        self.port = self.listener.getsockname()[1]

    def start(self):
        self.listener.listen(JOBS * 4)  # the kernel answers, whoever accepts

    def close(self):
        self.listener.close()


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


def groups(home):
    return json.loads(home.run("dlq", "groups", "--json").stdout)


def one_group(home):
    (group,) = groups(home)
    return group


def runs(home):
    """How often each job has begun, by its id."""
    jobs = json.loads(home.run("list", "--json").stdout)
    return {job["id"]: len(json.loads(home.run("show", job["id"], "--json").stdout)["history"]) for job in jobs[:3]}


def counts(home):
    return json.loads(home.run("status", "--json").stdout)


def test_jobs_that_need_a_server_which_is_down_come_back_as_a_group_each_once(home, server):
    code = "import socket; socket.create_connection(('127.0.0.1', %d), 9)" % server.port
    jobs = [{"command": [sys.executable, "-S", "-c", code], "max_retries": 0} for _ in range(JOBS)]
    home.run("enqueue", "-", input=json.dumps(jobs))
    home.run("add", "echo 'line 17: bad date' >&2; exit 65", "--id", "other", "--max-retries", "0")
    home.start("--count", "3")
    wait_until(lambda: counts(home)["dead"] == JOBS + 1, "all to be dead", seconds=60)

    found = {group["text"]: group for group in groups(home)}
    assert len(found) == 2
    down = next(group for text, group in found.items() if "refused" in text.lower())
    assert down["jobs"] == JOBS and down["verdict"] == "exit 1"
    before = runs(home)

    first = home.run("dlq", "retry", "--group", down["group"], "--canary").stderr.split()[0]
    wait_until(lambda: home.state(first) == "dead" and counts(home)["processing"] == 0, "the first to fail again")
    why = json.loads(home.run("why", first, "--json").stdout)
    assert why["reason"] == "canary_failed" and "the %d others of it stay dead" % (JOBS - 1) in why["sentence"]
    after = runs(home)
    assert {name: count + (name == first) for name, count in before.items()} == after, "nothing else was burnt"

    server.start()
    home.run("dlq", "retry", "--group", down["group"], "--canary")
    wait_until(lambda: counts(home)["completed"] == JOBS, "all that follow it to be done", seconds=60)
    assert one_group(home)["sample"] == ["other"], "what died of something else stays where it is"
    assert all(count == before[name] + 1 + (name == first) for name, count in runs(home).items())
