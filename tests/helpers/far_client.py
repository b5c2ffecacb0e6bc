"""The programs of the stand-in engine: far-run, far-end, far-alive, by the word behind FOLDER (helpers/engine.py).

    FOLDER run TOKEN [--attach] [--job ID] [--cwd DIR] [--env=NAME=VALUE] -- WORDS
    FOLDER end TOKEN TERM|KILL
    FOLDER alive TOKEN

`run` ends as what it ran did: its exit code, 128 and the number of its signal; 75 where the engine has failed. Killed
in any way it leaves what it ran running. `alive` ends with 0: there, 1: gone, 2: not known.
"""

import json
import os
import sys
import time


def knob(folder, name):
    return os.path.exists(os.path.join(folder, name))


def parsed(words):
    """What `run` is asked for: the options before --, the words behind it."""
    asked = {"token": words[0], "attach": False, "job": words[0], "cwd": None, "env": {}}
    place = words.index("--")
    options = iter(words[1:place])
    for option in options:
        if option == "--attach":
            asked["attach"] = True
        elif option in ("--job", "--cwd"):
            asked[option[2:]] = next(options)
        elif option.startswith("--env="):
            name, _, value = option[6:].partition("=")
            asked["env"][name] = value
        else:
            sys.exit("far-run: no such option: %s" % option)
    return dict(asked, words=words[place + 1 :])


def connected(folder):
    import socket

    connection = socket.socket(socket.AF_UNIX)
    here = os.getcwd()
    os.chdir(folder)  # the path of a socket is bounded
    try:
        connection.connect("socket")
    finally:
        os.chdir(here)
    return connection


def frames(connection):
    stream = connection.makefile("rb")
    while True:
        head = stream.read(5)
        if len(head) < 5:
            return
        yield head[:1], stream.read(int.from_bytes(head[1:], "big"))


def write_all(fd, payload):
    while payload:
        payload = payload[os.write(fd, payload) :]


def exchange(folder, asked):
    """Ask, hand on what is written there, and return its code; None where the engine is not there, or goes away."""
    try:
        connection = connected(folder)
        connection.sendall(json.dumps(asked).encode() + b"\n")
        for kind, payload in frames(connection):
            if kind == b"x":
                return int(payload)
            write_all(1 if kind == b"o" or knob(folder, "mixed") else 2, payload)
    except (ConnectionError, FileNotFoundError):
        pass
    return None


def trouble(folder, verb):
    """The exit code that one of the engine's faults means for this call; None for none of them."""
    if knob(folder, "unreachable"):
        sys.stderr.write("far-%s: the engine cannot be reached\n" % verb)
        return 75 if verb == "run" else 2
    if verb != "run":
        while knob(folder, "hang"):
            time.sleep(0.05)
        while knob(folder, "flood"):
            sys.stderr.write("far-%s: and on and on\n" % verb * 1000)
    if verb == "run" and knob(folder, "refuses"):
        sys.stderr.write("far-run: no place for it\n")
        return 75
    if verb == "end" and knob(folder, "deaf"):
        return 0
    if verb == "alive" and knob(folder, "says-gone"):
        return 1
    if verb == "alive" and knob(folder, "says-there"):
        return 0
    return None


def main(folder, verb, *words):
    code = trouble(folder, verb)
    if code is not None:
        return code
    asked = parsed(list(words)) if verb == "run" else {"token": words[0], "signal": (*words, "")[1]}
    code = exchange(folder, dict(asked, verb=verb))
    if code is None:
        sys.stderr.write("far-%s: the engine went away\n" % verb)
        return 75 if verb == "run" else 2
    return 0 if verb == "run" and knob(folder, "loses-code") else code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
