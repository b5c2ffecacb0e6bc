"""Files of ours: what is there under a name."""

import os

import pytest

from queuectl_lib.host import files


@pytest.mark.parametrize("can_ask", [False, True])
def test_a_name_is_there_also_where_it_is_a_link_to_nothing(tmp_path, monkeypatch, can_ask):
    if can_ask and not files.CAN_ASK:
        pytest.skip("access() knows no link here")
    monkeypatch.setattr(files, "CAN_ASK", can_ask)
    os.mkdir(tmp_path / "folder")
    open(tmp_path / "file", "w").close()
    names = ["folder", "file"]
    if hasattr(os, "geteuid"):  # elsewhere not everybody may make one
        os.symlink("nothing", tmp_path / "link")
        names.append("link")
    assert [name for name in names if not files.is_there(str(tmp_path / name))] == []
    assert not files.is_there(str(tmp_path / "nothing"))
