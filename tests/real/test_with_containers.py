"""Docker or podman, and systemd-run, where they are and answer: by our presets, a look at the same life."""

import os
import subprocess

import pytest
from helpers.far_life import CODES, FarHome
from helpers.real import found


def answers(*words):
    """True where a program is here, and does that."""
    try:
        return not subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL, timeout=30).returncode  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return False


def image_of(program):
    """The first image that is there already, or "": nothing is fetched."""
    asked = [program, "images", "-q"]
    return (subprocess.run(asked, stdout=subprocess.PIPE, timeout=30).stdout.decode().split() or [""])[0]


@pytest.mark.parametrize("program", ["docker", "podman"])
def test_a_container(tmp_path, program):
    if not found(program) or not answers(program, "ps"):
        pytest.skip("%s is not here, or its daemon does not answer" % program)
    image = image_of(program)
    if not image or not answers(program, "run", "--rm", image, "/bin/sh", "-c", "exit 0"):
        pytest.skip("%s has no image with a shell that it can run" % program)
    launcher = {"preset": "docker", "values": {"program": program, "image": image}}
    with FarHome(tmp_path / "home", launcher) as far:
        looked_at(far, tmp_path)


def test_systemd_run(tmp_path):
    if not answers("systemd-run", "--user", "--scope", "-q", "true"):
        pytest.skip("systemd-run is not here, or has no user bus")
    with FarHome(tmp_path / "home", {"preset": "systemd-run"}) as far:
        looked_at(far, tmp_path)


def looked_at(far, tmp_path):
    """What doctor says, and codes and output."""
    done = far.run("doctor", "--launcher", "far", cwd=str(tmp_path), timeout=180)
    assert "FAIL" not in done.stdout and os.listdir(str(tmp_path)) == ["home"]
    ids = {far.add(command, "--cwd", far.work): code for command, code in CODES.items()}
    text = far.add("echo here; pwd", "--cwd", far.work)
    far.run("worker", "start", "--drain", "--count", "4", timeout=120)
    assert {key: far.job(key)["exit_code"] for key in ids} == ids
    assert far.run("logs", text).stdout == "here\n%s\n" % far.work
