"""Build queuectl.pyz: the three files as one, for hosts where one file is easier to copy.

    python3 .ci/dist.py TARGET

The same files give the same bytes: names in order, fixed times and modes, nothing compressed
(a Python without zlib can run it).
"""

import io
import os
import subprocess
import sys
import zipapp
import zipfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FILES = ("queuectl.py", "storage.py", "worker.py")
# What is pickled for a worker must live in a module that the worker can import, so nothing lives in this one.
MAIN = """import queuectl

if __name__ == "__main__":
    queuectl.leave(queuectl.main())
"""


def content():
    """The archive in memory."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:
        add(file, "__main__.py", MAIN.encode("ascii"))
        for name in FILES:
            with open(os.path.join(ROOT, name), "rb") as source:
                add(file, name, source.read().replace(b"\r\n", b"\n"))
    archive.seek(0)
    return archive


def add(file, name, data):
    info = zipfile.ZipInfo(name, (2000, 1, 1, 0, 0, 0))
    info.create_system, info.external_attr = 3, 0o644 << 16
    file.writestr(info, data)


def version(script):
    """What *script* calls itself, in an environment that lends it nothing."""
    return subprocess.check_output([sys.executable, "-I", "-S", script, "--version"]).strip().decode("ascii")


def main(target):
    folder = os.path.dirname(os.path.abspath(target))
    os.makedirs(folder, exist_ok=True)
    zipapp.create_archive(content(), target, interpreter="/usr/bin/env python3")
    both = [version(target), version(os.path.join(ROOT, "queuectl.py"))]
    if both[0] != both[1]:
        sys.exit("the archive says %s, the files %s" % tuple(both))
    sys.stdout.write("%s: %s, %d bytes\n" % (target, both[0], os.path.getsize(target)))


if __name__ == "__main__":
    main(*sys.argv[1:])
