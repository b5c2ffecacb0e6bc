"""A headless Chromium, spoken to through two pipes (its DevTools protocol): no port, no network, no module beside."""

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import time

PATIENCE = 60.0
PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions"),
    *("--remote-debugging-pipe", "--font-render-hinting=none"),
]
# The browser knows its pipes by their numbers.
AS_3_AND_4 = """
import fcntl, os, sys
high = [fcntl.fcntl(int(one), fcntl.F_DUPFD, 20) for one in sys.argv[1:3]]
os.dup2(high[0], 3)
os.dup2(high[1], 4)
os.execvp(sys.argv[3], sys.argv[3:])
"""


class Chromium:
    """One browser with one page; *profile* is a new directory of its own."""

    def __init__(self, profile):
        ours, theirs = os.pipe(), os.pipe()
        begin = [sys.executable, "-c", AS_3_AND_4, str(ours[0]), str(theirs[1])]
        words = [*begin, PROGRAM, *FLAGS, "--user-data-dir=%s" % profile, "about:blank"]
        self.log = open(os.path.join(os.path.dirname(profile), "chromium.log"), "wb")
        self.process = subprocess.Popen(words, pass_fds=(ours[0], theirs[1]), stdout=self.log, stderr=self.log)
        os.close(ours[0])
        os.close(theirs[1])
        self.into, self.out = ours[1], theirs[0]
        self.number, self.buffer, self.session = 0, b"", None
        self.events = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(domain + ".enable")

    def call(self, method, **parameters):
        """What the browser answers; what happens meanwhile is kept in events."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.into, json.dumps(message).encode() + b"\0")
        while True:
            found = self.next()
            if found.get("id") == self.number:
                assert "error" not in found, found["error"]
                return found["result"]
            self.events.append(found)

    def next(self):
        deadline = time.monotonic() + PATIENCE
        while b"\0" not in self.buffer:
            left = deadline - time.monotonic()
            assert left > 0 and select.select([self.out], [], [], left)[0], "the browser did not answer"
            data = os.read(self.out, 1 << 20)
            assert data, "the browser has ended"
            self.buffer += data
        message, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(message)

    def open(self, path, width, dark=False, media=""):
        """Load a file in a window *width* pixels wide; returns what went wrong or was asked for meanwhile."""
        del self.events[:]
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", media=media, features=[scheme])
        self.call("Page.navigate", url="file://" + path)
        while not any(one.get("method") == "Page.loadEventFired" for one in self.events):
            self.events.append(self.next())
        self.value("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))")
        return self.trouble(path)

    def trouble(self, path):
        found = []
        for one in self.events:
            facts = one.get("params", {})
            if one.get("method") == "Network.requestWillBeSent" and facts["request"]["url"] != "file://" + path:
                found.append("asked for %s" % facts["request"]["url"])
            elif one.get("method") in ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown"):
                found.append(str(facts))
            elif one.get("method") in ("Page.javascriptDialogOpening", "Page.frameAttached", "Page.windowOpen"):
                found.append(one["method"])
        return found

    def value(self, script):
        """What a script of ours comes to in the page."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def pdf(self):
        return base64.b64decode(self.call("Page.printToPDF", printBackground=False)["data"])

    def close(self):
        os.close(self.into)
        self.process.kill()
        self.process.wait()
        os.close(self.out)
        self.log.close()
