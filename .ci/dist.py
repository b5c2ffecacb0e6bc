"""Build queuectl.pyz: the whole bundle as one file, for hosts where one file is easier to copy.

    python3 .ci/dist.py TARGET

Beside each source lies what the Python at hand compiled from it: that one, and every other of its
minor version, reads it instead of compiling at each call; any other Python takes the source. The
door alone stays source, for a Python too old must be able to read what it says.

The same files give the same bytes with the same Python: names in order, fixed times and modes,
nothing compressed (a Python without zlib can run it).
"""

import io
import os
import subprocess
import sys
import tempfile
import zipapp
import zipfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

from queuectl_lib.host import bytecode


def sources():
    """The path below ROOT of each file that goes in, in order."""
    return sorted(os.path.relpath(path, ROOT).replace(os.sep, "/") for path in bytecode.sources())


def content(folder):
    """The archive in memory; sources and compiled code are laid out in *folder* first."""
    for name in sources():
        with open(os.path.join(ROOT, name), "rb") as source:
            lay_out(folder, name, source.read().replace(b"\r\n", b"\n"))
    compile_all(folder)
    os.remove(os.path.join(folder, "queuectl.pyc"))
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:
        for source in sources():
            for name in (source, source + "c"):
                path = os.path.join(folder, name)
                if os.path.exists(path):
                    with open(path, "rb") as data:
                        # What runs an archive calls its door so.
                        add(file, "__main__.py" if name == "queuectl.py" else name, data.read())
    archive.seek(0)
    return archive


def lay_out(folder, name, data):
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)


def compile_all(folder):
    """Bytecode beside its source, as zipimport looks for it; unchecked, for the two travel together."""
    words = ["-q", "-b", "--invalidation-mode", "unchecked-hash", "-d", "", "."]
    environment = dict(os.environ, PYTHONHASHSEED="0")  # the order of a set of constants depends on it
    subprocess.run([sys.executable, "-s", "-S", "-m", "compileall"] + words, cwd=folder, env=environment, check=True)


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
    with tempfile.TemporaryDirectory() as laid_out:
        zipapp.create_archive(content(laid_out), target, interpreter="/usr/bin/env python3")
    both = [version(target), version(os.path.join(ROOT, "queuectl.py"))]
    if both[0] != both[1]:
        sys.exit("the archive says %s, the files %s" % tuple(both))
    sys.stdout.write("%s: %s, %d bytes\n" % (target, both[0], os.path.getsize(target)))


if __name__ == "__main__":
    main(*sys.argv[1:])
