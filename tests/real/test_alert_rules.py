"""The alerts that docs/programs.md proposes are rules that Prometheus takes."""

import os
import re
import subprocess

from helpers.bundle import ROOT
from helpers.real import found, needs

from queuectl_lib.reports import metrics


def rules():
    with open(os.path.join(ROOT, "docs", "programs.md"), encoding="utf-8") as file:
        return re.search(r"```yaml\n(.*?)```", file.read(), re.S).group(1)


@needs("promtool")
def test_promtool_takes_the_rules(tmp_path):
    path = tmp_path / "rules.yml"
    path.write_text(rules())
    done = subprocess.run([found("promtool"), "check", "rules", str(path)], stdout=subprocess.PIPE, timeout=60)
    assert done.returncode == 0, done.stdout.decode()


def test_the_rules_speak_of_metrics_that_there_are():
    named = set(re.findall(r"queuectl_(\w+)", rules()))
    assert named and named <= set(metrics.FAMILIES)
