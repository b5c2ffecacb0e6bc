"""File systems on which locks and a log that is mapped into memory are not safe: by their kind, on Linux."""

import pytest
from helpers.marks import posix_only

from queuectl_lib.errors import HostError
from queuectl_lib.host import places

pytestmark = posix_only


def kind_of(tmp_path, kind):
    mounts = tmp_path / "mountinfo"
    mounts.write_text("21 1 0:1 / / rw - ext4 /dev/a rw\n22 21 0:2 / /mnt rw,relatime shared:1 - %s src rw\n" % kind)
    return places.network_file_system("/mnt/q.db", str(mounts))


@pytest.mark.parametrize(
    "kind",
    ["virtiofs", "fuse.grpcfuse", "grpcfuse", "fuse.osxfs", "osxfs", "fuse.gcsfuse", "fuse.juicefs", "fuse.JuiceFS"]
    + ["fuse.blobfuse2", "fuse.goofys", "fuse.mount-s3", "fuse.mountpoint-s3", "nfs4", "fuse.sshfs"],
)
def test_what_others_change_too_is_told_by_its_kind(tmp_path, kind):
    assert kind_of(tmp_path, kind) == kind


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "tmpfs", "overlay", "fuseblk", "fuse.ntfs-3g", "zfs"])
def test_what_is_of_this_host_is_not_taken_for_such(tmp_path, kind):
    assert kind_of(tmp_path, kind) is None


def test_a_queue_there_is_refused_in_words(queue, monkeypatch):
    monkeypatch.setattr(places, "network_file_system", lambda path: "virtiofs")
    queue.database.place_is_safe = False
    with pytest.raises(HostError, match=r"or on one of another system \(virtiofs\).*db_path to a local disk"):
        queue.database.refuse_unsafe_place()
