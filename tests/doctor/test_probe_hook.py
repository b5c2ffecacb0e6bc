"""doctor and the hook: a program that is not there is known before it is needed."""

import os

from helpers.marks import posix_only

from queuectl_lib.doctor import probes

pytestmark = posix_only


def test_a_hook_that_cannot_start_is_found_and_keeps_no_queue_from_running(tmp_path):
    (tmp_path / "mail.sh").write_text("#!/bin/sh\n")
    found = probes.probe_hook(str(tmp_path), ["./mail.sh", "me"])
    assert (found.ok, found.text) == (None, "the program ./mail.sh is not executable") and "hook --test" in found.advice
    os.chmod(str(tmp_path / "mail.sh"), 0o700)
    assert vars(probes.probe_hook(str(tmp_path), ["./mail.sh", "me"])) == vars(
        probes.Finding("hook", True, "./mail.sh me")
    )
    assert probes.probe_hook(str(tmp_path), "anything | goes").ok
