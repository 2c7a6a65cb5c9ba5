"""Running the program under test, and the test case that all end-to-end tests build on.

Every test has a folder of its own, a home of its own and no settings of the machine. Nothing waits
for a time: wait_for() looks until something is so, and fails at its deadline.
"""
import json
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

TIMEOUT = 240  # of one command: only to end a test that hangs; machines may be slow and sanitized
HOST = socket.gethostname()


def binary():
    path = os.environ.get("SEVENFOLD_BINARY", "")
    if not os.access(path, os.X_OK):
        raise SystemExit("set SEVENFOLD_BINARY to the program that is to be tested")
    return os.path.abspath(path)


def cheap_key():
    """The tool of cheap_key.cc."""
    path = os.environ.get("SEVENFOLD_CHEAP_KEY", "")
    if not os.access(path, os.X_OK):
        raise SystemExit("set SEVENFOLD_CHEAP_KEY to the tool that the target cheap_key builds")
    return os.path.abspath(path)


def make_key_cheap(case, repository, password_file):
    """Opening the repository costs no time from now on; for tests that are not about keys."""
    done = run([cheap_key(), repository, password_file], case.env)
    if done.code != 0:
        case.fail(f"the key could not be made cheap\n{done}")


def environment(home, **extra):
    """What commands see: PATH and the sanitizers' options of the outside, everything else ours."""
    kept = {name: value for name, value in os.environ.items()
            if name == "PATH" or name.endswith("SAN_OPTIONS")}
    kept["PATH"] = kept.get("PATH", "") + ":/usr/sbin:/sbin"
    kept.update(HOME=home, XDG_CACHE_HOME=os.path.join(home, ".cache"), LC_ALL="C.UTF-8", TZ="UTC",
                GOMAXPROCS="2", GOGC="50")
    kept.update(extra)
    return kept


def json_lines(text):
    """Lines end with a newline only: other separators may stand in names."""
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    return [json.loads(line) for line in lines]


class Result:
    """What a command did: its exit code and what it wrote, as text."""

    def __init__(self, argv, code, out, err):
        self.argv, self.code = argv, code
        self.out, self.err = (stream.decode("utf-8", "surrogateescape") for stream in (out, err))

    @property
    def text(self):
        return self.out + self.err

    def json(self):
        """The objects of --json, one a line; fails on a line that is none."""
        return json_lines(self.out)

    def __str__(self):
        words = " ".join(os.fsdecode(word) for word in self.argv)
        return f"$ {words}\nexit code {self.code}\n{self.out}\n-- standard error --\n{self.err}"


def run(argv, env, stdin=b"", cwd=None, timeout=TIMEOUT):
    done = subprocess.run(argv, env=env, input=stdin, cwd=cwd, timeout=timeout, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return Result(argv, done.returncode, done.stdout, done.stderr)


def wait_for(condition, what, seconds=60):
    """Returns the first true value of condition()."""
    end = time.monotonic() + seconds
    pause = threading.Event()
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s in vain: {what}")
        pause.wait(0.002)
    return value


class Running:
    """A command that goes on while the test does something to it."""

    def __init__(self, argv, env, cwd=None):
        self.argv = argv
        self.out, self.err = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        self.process = subprocess.Popen(argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL,
                                        stdout=self.out, stderr=self.err)

    def alive(self):
        return self.process.poll() is None

    def send(self, number):
        if self.alive():
            self.process.send_signal(number)

    def freeze(self):
        """Stops it where it is, until SIGCONT; False when it has ended instead."""
        self.send(signal.SIGSTOP)
        wait_for(lambda: not self.alive() or self.states() == {"T"}, "it stands still")
        return self.alive()

    def states(self):
        """Of its threads: R, S, T, …; nothing when it has just ended."""
        found = set()
        try:
            folder = f"/proc/{self.process.pid}/task"
            for thread in os.listdir(folder):
                with open(f"{folder}/{thread}/stat", encoding="utf-8", errors="replace") as file:
                    found.add(file.read().rpartition(")")[2].split()[0])
        except (FileNotFoundError, ProcessLookupError):
            return set()
        return found

    def finish(self, timeout=TIMEOUT):
        self.process.wait(timeout)
        texts = []
        for stream in (self.out, self.err):
            stream.seek(0)
            texts.append(stream.read())
        return Result(self.argv, self.process.returncode, *texts)

    def stop(self):
        if self.alive():
            self.process.kill()
        self.process.wait()
        self.out.close()
        self.err.close()


_removals = []


def remove_meanwhile(folder):
    """Removes a folder while the next tests run: the 256 folders of each repository take seconds."""
    _removals.append(subprocess.Popen(["rm", "-rf", "--", folder], stderr=subprocess.DEVNULL))


def wait_for_removals():
    while _removals:
        _removals.pop().wait()


class Case(unittest.TestCase):
    """A test with its folder and its home; needs root, as disks, owners and devices do."""
    maxDiff = None
    needs_root = True

    def setUp(self):
        if self.needs_root and os.geteuid() != 0:
            self.fail("this test needs root: it makes devices, owners and small disks; "
                      "run ./test as root or in a container")
        self.dir = tempfile.mkdtemp(prefix="sevenfold-")
        os.chmod(self.dir, 0o755)
        self.addCleanup(remove_meanwhile, self.dir)
        self.home = self.folder("home")
        self.env = environment(self.home)

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def folder(self, *parts):
        path = self.path(*parts)
        os.makedirs(path, exist_ok=True)
        return path

    def write(self, path, content=b""):
        """A file below the test's folder, or anywhere when the path is absolute."""
        path = os.path.join(self.dir, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
        return path

    def read(self, path):
        with open(os.path.join(self.dir, path), "rb") as file:
            return file.read()

    def secret(self, name, text):
        """A password file, for the owner only."""
        path = self.write(name, text + "\n")
        os.chmod(path, 0o600)
        return path

    # Commands ---------------------------------------------------------------------------------

    def sevenfold(self, *arguments, code=0, env=None, **options):
        """Runs it and checks the exit code; code=None takes any."""
        result = run([binary(), *arguments], {**self.env, **(env or {})}, **options)
        self.assertCode(result, code)
        return result

    def start(self, *arguments, env=None, **options):
        running = Running([binary(), *arguments], {**self.env, **(env or {})}, **options)
        self.addCleanup(running.stop)
        return running

    # Assertions -------------------------------------------------------------------------------

    def assertCode(self, result, code):
        crashed = result.code < 0 and -result.code not in (signal.SIGKILL,)
        if crashed or "Sanitizer" in result.err or "runtime error:" in result.err:
            self.fail(f"it crashed\n{result}")
        if code is not None and result.code != code:
            self.fail(f"exit code {result.code} instead of {code}\n{result}")

    def assertSays(self, result, *patterns):
        """Each pattern (a regular expression, any case) is in what the command wrote."""
        for pattern in patterns:
            self.assertRegex(result.text, "(?is)" + pattern, str(result))

    def assertFailsWell(self, result, code, *patterns, hint=True):
        """The exit code, the message, and a hint on a line of its own."""
        self.assertCode(result, code)
        self.assertSays(result, *patterns)
        if hint:
            self.assertRegex(result.text, r"(?m)^\s*(hint:|.*\"hint\":\")", str(result))
