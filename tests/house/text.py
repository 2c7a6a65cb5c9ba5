#!/usr/bin/env python3
"""No file is overlong, unfinished, or tied to one machine; tests wait for conditions, not times."""
import os
import re

import house

MOST_LINES = 600
UNFINISHED = re.compile(r"\b(?:TODO|FIXME|XXX)\b")
SLEEPS = re.compile(r"\bsleep_for\b|\bsleep_until\b|\busleep\s*\(|\bnanosleep\s*\(|^\s*sleep\s+[0-9]|"
                    r"\btime\.sleep\b")
EXEMPT = {"tests/house/text.py"}  # its subject is these very words
COMMON = {"/", "/root", "/home", "/tmp", "/srv", "/opt", "/usr/src", "/builds"}


def machine_paths():
    """Where this checkout lies, and the folder around it: neither belongs into the sources."""
    around = os.path.dirname(house.ROOT)
    paths = [house.ROOT + "/"] + ([around + "/"] if around not in COMMON else [])
    return re.compile(r"(?<![\w.])(?:" + "|".join(map(re.escape, paths)) + ")")


def main():
    problems, ours = [], machine_paths()
    paths = house.files(".h", ".cc", ".inc", ".py", ".sh", ".cmake", ".txt", ".json", ".toml",
                        ".md") + ["quickstart", "test", ".ci/run"]
    for path in paths:
        lines = house.read(path).splitlines()
        code = path.endswith((".h", ".cc", ".inc", ".py", ".sh"))
        if code and len(lines) > MOST_LINES:
            problems.append(f"{path}: {len(lines)} lines; is there a second subject in it?")
        if path in EXEMPT:
            continue
        testing = path.endswith("_test.cc") or "/testing/" in path or path.startswith("tests/")
        for number, line in enumerate(lines, 1):
            at = f"{path}:{number}: "
            if UNFINISHED.search(line):
                problems.append(at + "unfinished: " + line.strip())
            if ours.search(line):
                problems.append(at + "a path of one machine: " + line.strip())
            if testing and SLEEPS.search(line):
                problems.append(at + "waits for a time: " + line.strip())
            if line != line.rstrip() and not path.endswith(".md"):
                problems.append(at + "white space at the end")
    house.finish(problems, f"{len(paths)} files")


main()
