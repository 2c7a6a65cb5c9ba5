"""What the house tests share: the files of the project and the levels of its rooms."""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SKIPPED = {"build", "quickstart.d", ".git", ".cache", "__pycache__"}


def files(*endings):
    """Paths from the root of all files with one of the endings, sorted; build output left out."""
    found = []
    for folder, below, names in os.walk(ROOT):
        below[:] = [name for name in below if name not in SKIPPED]
        for name in names:
            if name.endswith(endings):
                found.append(os.path.relpath(os.path.join(folder, name), ROOT))
    return sorted(found)


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as content:
        return content.read()


def includes(path):
    """(line number, "x" or <x>, the name) of each include."""
    for number, line in enumerate(read(path).splitlines(), 1):
        if match := re.match(r'\s*#\s*include\s+(["<])([^">]+)[">]', line):
            yield number, match[1], match[2]


def room_of(path):
    """"repository" for src/repository/…; None outside src."""
    parts = path.split("/")
    return parts[1] if parts[0] == "src" else None


def levels():
    """room -> level, from the table in ARCHITECTURE.md: rows of | level | `room`, `room` | … |"""
    table = {}
    for line in read("ARCHITECTURE.md").splitlines():
        if match := re.match(r"\|\s*(\d)\s*\|([^|]*)\|", line):
            for room in re.findall(r"`(\w+)`", match[2]):
                table[room] = int(match[1])
    return table


def finish(problems, what):
    for problem in problems:
        print(problem)
    print(f"{len(problems)} problems; {what}")
    sys.exit(1 if problems else 0)
