#!/usr/bin/env python3
"""Includes go down the levels of ARCHITECTURE.md and name files from src/. Internal headers stay in
their room, test support stays in tests, and headers that cost seconds stay out of headers."""
import os

import house

HEAVY = ("CLI/", "toml++/", "nlohmann/", "spdlog/", "boost/", "simdjson", "curl/", "pugixml", "sqlite3",
         "openssl/", "zstd", "benchmark/")
TEST_LIBRARIES = ("gtest/", "gmock/", "rapidcheck")


def is_test(path):
    return (path.endswith("_test.cc") or "/testing/" in path or
            path.startswith(("tests/", "fuzz/", "bench/")))


def main():
    levels = house.levels()
    problems, arrows = [], 0
    rooms = sorted(name for name in os.listdir(os.path.join(house.ROOT, "src")))
    for room in rooms:
        if room not in levels:
            problems.append(f"src/{room}: this room is not in the table of ARCHITECTURE.md")
    sources = house.files(".h", ".cc", ".inc")
    for path in sources:
        room = house.room_of(path)
        if room and path.endswith(".h") and "#pragma once" not in house.read(path):
            problems.append(f"{path}: no #pragma once")
        for line, quote, name in house.includes(path):
            at = f"{path}:{line}: "
            if quote == "<":
                if path.endswith(".h") and name.startswith(HEAVY):
                    problems.append(f"{at}<{name}> costs every includer; keep it in .cc files")
                if not is_test(path) and name.startswith(TEST_LIBRARIES):
                    problems.append(f"{at}<{name}> outside of tests")
                continue
            arrows += 1
            if not os.path.exists(os.path.join(house.ROOT, "src", name)):
                if not os.path.exists(os.path.join(house.ROOT, os.path.dirname(path), name)) \
                        or room is not None:
                    problems.append(f'{at}"{name}" is not a file of src/')
                continue
            target = name.split("/")[0]
            if "/testing/" in name and not is_test(path):
                problems.append(f'{at}"{name}" is test support')
            if room is None or target == room:
                continue
            if "/internal/" in name:
                problems.append(f'{at}"{name}" is internal to {target}')
            if target in levels and room in levels and levels[target] >= levels[room]:
                problems.append(f'{at}"{name}": {room} (level {levels[room]}) must not know '
                                f"{target} (level {levels[target]})")
    house.finish(problems, f"{len(sources)} files, {arrows} includes between them")


main()
