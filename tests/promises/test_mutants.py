"""The planted faults of `make mutants` still fit the code, and the tests that must notice them exist."""

import os
import re

import pytest
from helpers.bundle import ROOT
from instruments import mutants


def text_of(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return file.read()


@pytest.mark.parametrize("mutant", mutants.MUTANTS, ids=lambda mutant: mutant.name)
def test_a_planted_fault_fits_one_place_and_has_a_test_that_must_notice(mutant):
    for name, old, new in mutant.edits:
        assert text_of(name).count(old) == 1, old
        assert old != new
    assert mutant.checks
    for check in mutant.checks:
        name, _, function = check.partition("::")
        assert re.search(r"^def %s\(" % function.split("[")[0], text_of("tests", name), re.M), check
