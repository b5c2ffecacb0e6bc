"""A real promtool takes our metrics without a word, and a real node_exporter serves those of two homes together."""

import os
import socket
import subprocess
import urllib.request

import pytest
from helpers.home import Home
from helpers.real import found, needs
from helpers.waiting import wait_until

HOSTILE = 'a"b\\c\nd\x1b[31m<script>\r\u2028\u202e\t{}=,'


def worked(path):
    """A home in which jobs of some kinds have ended."""
    os.mkdir(path, 0o700)
    home = Home(path)
    home.add("true", "--unique", "nightly", "--name", "backup")
    home.add("true", "--unique", HOSTILE.replace("\n", " "))
    home.add("exit 3", "--max-retries", "0")
    home.drain()
    with home.queue.database.writing() as connection:
        connection.execute("INSERT INTO successes VALUES (?, '2027-01-15T08:00:00.5Z')", (HOSTILE,))
        for odd in ("ff", "610062", "7f08"):
            values = (bytes.fromhex(odd), "2027-01-15T08:00:00Z")
            connection.execute("INSERT INTO successes VALUES (CAST(? AS TEXT), ?)", values)
    return home


@pytest.fixture
def home(tmp_path):
    home = worked(str(tmp_path / "one"))
    yield home
    home.clean_up()


@needs("promtool")
@pytest.mark.parametrize("words", [[], ["--kinds", "5"], ["--label", HOSTILE]])
def test_promtool_takes_it_without_a_word(home, words):
    text = home.run("metrics", *words).stdout
    done = subprocess.run(
        [found("promtool"), "check", "metrics"],
        input=text.encode("utf-8"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60,
    )
    assert (done.returncode, done.stdout.decode()) == (0, "")


@needs("promtool")
def test_promtool_takes_what_is_written_where_the_database_cannot_be_read(tmp_path):
    home = Home(tmp_path / "none")
    os.mkdir(home.path, 0o700)
    path = os.path.join(home.path, "q.prom")
    home.run("metrics", "-o", path, code=3)
    with open(path, "rb") as file:
        done = subprocess.run([found("promtool"), "check", "metrics"], stdin=file, stdout=subprocess.PIPE, timeout=60)
    assert (done.returncode, done.stdout) == (0, b"")


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@needs("prometheus-node-exporter")
def test_node_exporter_serves_the_files_of_two_homes(home, tmp_path):
    folder, other, port = str(tmp_path / "textfile"), worked(str(tmp_path / "two")), free_port()
    os.mkdir(folder)
    home.run("metrics", "-o", os.path.join(folder, "one.prom"), "--kinds", "3", "--label", HOSTILE)
    other.run("metrics", "-o", os.path.join(folder, "two.prom"), "--label", "two")
    log = open(str(tmp_path / "log"), "wb")
    process = subprocess.Popen(
        [found("prometheus-node-exporter"), "--web.listen-address=127.0.0.1:%d" % port,
         "--collector.disable-defaults", "--collector.textfile", "--collector.textfile.directory=" + folder],
        stdin=subprocess.DEVNULL, stdout=log, stderr=log,
    )  # fmt: skip
    try:
        text = wait_until(lambda: scraped(port), "node_exporter to answer")
    finally:
        process.terminate()
        process.wait()
        log.close()
    with open(str(tmp_path / "log")) as file:
        said = file.read()
    assert "has help" not in said and "level=error" not in said, said
    assert "node_textfile_scrape_error 0" in text
    label = HOSTILE.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    for queue in (label, "two"):
        assert 'queuectl_up{queue="%s"} 1\n' % queue in text
        assert 'queuectl_attempts_total{outcome="completed",queue="%s"} 2\n' % queue in text
        assert 'queuectl_wait_seconds_bucket{queue="%s",le="+Inf"} 3\n' % queue in text
        assert 'queuectl_last_success_timestamp_seconds{key="nightly",queue="%s"}' % queue in text
    assert 'kind_duration_seconds{kind="backup",percentile="50",queue="%s"}' % label in text
    assert text.count("# HELP queuectl_jobs ") == 1 and 'node_textfile_mtime_seconds{file="%s' % folder in text


def scraped(port):
    try:
        with urllib.request.urlopen("http://127.0.0.1:%d/metrics" % port, timeout=10) as answer:
            return answer.read().decode("utf-8")
    except OSError:
        return None
