"""The far side of the stand-in engine: a process that starts programs for clients elsewhere, with a table of its own.

Run as `far_server.py FOLDER` by helpers/engine.py, without an environment. What it starts is nobody's child that a
search could find: a session of its own, no variable and no descriptor of who asked. It ends with its stdin, and ends
all that it has started. Each start and each end stands in FOLDER/ledger before anybody is told of it.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

PATH = "/usr/local/bin:/usr/bin:/bin"
FOLDER = sys.argv[1]
LOCK = threading.RLock()
TABLE = {}  # token -> Far


def knob(name):
    """What stands in the file of that name in FOLDER, None where there is none."""
    try:
        with open(os.path.join(FOLDER, name)) as file:
            return file.read()
    except FileNotFoundError:
        return None


def note(**facts):
    """Append one line to the ledger, on disk by the time this returns."""
    facts["at"] = time.monotonic()
    fd = os.open(os.path.join(FOLDER, "ledger"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(fd, json.dumps(facts).encode() + b"\n")
    os.fsync(fd)
    os.close(fd)


class Far:
    """One far process, from its acceptance to its end and after."""

    def __init__(self, asked):
        self.asked = asked
        self.token, self.job = asked["token"], asked["job"]
        self.process = None
        self.code = None
        self.forgotten = False
        self.over = threading.Event()
        self.gone_at = float("inf")
        self.listeners = []  # connections that its output goes to
        self.kept = []  # frames, for those that join later

    def is_there(self):
        """As the far table has it: also while it waits for a place, and for a while after its end where it is late."""
        late = float(knob("late") or 0)
        if self.forgotten:
            return False
        return self.code is None or time.monotonic() < self.gone_at + late

    def run(self):
        while knob("pending") is not None and self.code is None:
            time.sleep(0.01)
        with LOCK:
            if self.code is None:
                self._start()
        if self.process is None:
            return
        pumps = [
            threading.Thread(target=self._pump, args=(pipe, kind), daemon=True)
            for pipe, kind in ((self.process.stdout, b"o"), (self.process.stderr, b"e"))
        ]
        for pump in pumps:
            pump.start()
        code = self.process.wait()
        self.kill(signal.SIGKILL)  # what it has left behind, as an engine that minds its cgroup does
        for pump in pumps:
            pump.join()
        self.end(code if code >= 0 else 128 - code)

    def _start(self):
        asked = self.asked
        cwd = asked["cwd"] or FOLDER
        if not os.path.isdir(cwd):
            if knob("nodir") is None:
                return self.fail(126, "far: %s: no such directory" % cwd)
            cwd = "/"
        note(kind="start", job=self.job, token=self.token)  # before: who was killed here may have begun
        try:
            self.process = subprocess.Popen(
                asked["words"], cwd=cwd, env=dict(asked["env"], PATH=PATH), stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            note(kind="end", job=self.job, token=self.token, code=127)
            return self.fail(127, "far: %s: %s" % (asked["words"][0], error.strerror))
        return None

    def fail(self, code, text):
        self.send(b"e", text.encode() + b"\n")
        self.finish(code)

    def _pump(self, pipe, kind):
        while True:
            chunk = os.read(pipe.fileno(), 65536)
            if not chunk:
                return
            self.send(kind, chunk)

    def send(self, kind, payload):
        with LOCK:
            if self.asked["attach"]:
                self.kept.append((kind, payload))
            listeners = list(self.listeners)
        for listener in listeners:
            if not sent(listener, kind, payload):
                self.drop(listener)

    def drop(self, listener):
        with LOCK:
            if listener in self.listeners:
                self.listeners.remove(listener)

    def join(self, listener):
        """From the beginning, as one who joins sees it."""
        with LOCK:
            for kind, payload in self.kept:
                sent(listener, kind, payload)
            if self.code is None:
                self.listeners.append(listener)
            else:
                sent(listener, b"x", b"%d" % self.code)

    def end(self, code):
        note(kind="end", job=self.job, token=self.token, code=code)
        self.finish(code)

    def finish(self, code):
        with LOCK:
            self.code, self.gone_at = code, time.monotonic()
            listeners, self.listeners = self.listeners, []
        for listener in listeners:
            sent(listener, b"x", b"%d" % code)
        self.over.set()

    def kill(self, number):
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            pass

    def signal(self, number):
        with LOCK:
            if self.code is not None:
                return
            if self.process is None:  # it waits for a place, and never gets one
                self.fail(1, "far: cancelled before it began")
                return
        if self.process.returncode is None:
            self.kill(number)


def sent(listener, kind, payload):
    try:
        listener.sendall(kind + len(payload).to_bytes(4, "big") + payload)
    except OSError:
        return False
    return True


def asked_of(connection):
    """The request of a client: one line of JSON."""
    text = b""
    while not text.endswith(b"\n"):
        chunk = connection.recv(65536)
        if not chunk:
            return None
        text += chunk
    return json.loads(text)


def forget(far, connection):
    """The table loses what its client has left, while it runs on: as one does that looks at clients alone."""
    import select

    while far.code is None and knob("forgets") is not None:
        if select.select([connection], [], [], 0.05)[0] and not connection.recv(1):
            far.gone_at, far.forgotten = 0.0, True
            return


def serve(connection):
    asked = asked_of(connection)
    if asked is None:
        return
    with LOCK:
        far = TABLE.get(asked["token"])
    if asked["verb"] == "run":
        run(connection, asked, far)
        return
    if asked["verb"] == "end" and far is not None and not far.forgotten:
        far.signal(signal.SIGKILL if asked["signal"] == "KILL" else signal.SIGTERM)
    there = far is not None and far.is_there()
    sent(connection, b"x", b"0" if there or asked["verb"] == "end" else b"1")


def run(connection, asked, far):
    """Start it; with attach one that is or was there is joined instead, as by its name alone."""
    if far is not None and asked["attach"] and knob("starts-anew") is None:
        note(kind="join", job=asked["job"], token=asked["token"])
        far.join(connection)
        far.over.wait()
        return
    with LOCK:
        far = TABLE[asked["token"]] = Far(asked)
        far.listeners.append(connection)
    if knob("pending") is not None:
        note(kind="wait", job=far.job, token=far.token)
    if knob("forgets") is not None:
        threading.Thread(target=forget, args=(far, connection), daemon=True).start()
    far.run()


def cut():
    """Every connection of a client that runs something falls, as a network does; what runs runs on."""
    with LOCK:
        for far in TABLE.values():
            for listener in far.listeners:
                listener.shutdown(socket.SHUT_RDWR)
            far.listeners = []


def end_all():
    with LOCK:
        for far in TABLE.values():
            if far.process is not None and far.process.returncode is None:
                far.kill(signal.SIGKILL)
    os._exit(0)


def mind_stdin():
    while True:
        line = sys.stdin.readline()
        if not line:
            end_all()
        if line == "cut\n":
            cut()
            print("cut", flush=True)


def main():
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(os.path.join(FOLDER, "socket"))
    listening.listen(128)
    threading.Thread(target=mind_stdin, daemon=True).start()
    print("ready", flush=True)
    while True:
        connection, _ = listening.accept()
        threading.Thread(target=closing, args=(connection,), daemon=True).start()


def closing(connection):
    try:
        serve(connection)
    finally:
        connection.close()


if __name__ == "__main__":
    main()
