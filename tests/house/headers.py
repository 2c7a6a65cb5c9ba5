#!/usr/bin/env python3
"""Every header compiles alone. usage: headers.py COMPILER CACHE

CACHE remembers which headers compiled with which contents (their own and those of the headers of
src/ that they include), so that only what changed is compiled again."""
import concurrent.futures
import hashlib
import json
import os
import subprocess
import sys

import house

FLAGS = ["-std=c++20", "-march=x86-64-v2", "-fsyntax-only", "-Wall", "-Wextra", "-Werror",
         "-Wno-missing-field-initializers", "-D_FILE_OFFSET_BITS=64", '-DSEVENFOLD_VERSION="0"',
         "-x", "c++", "-"]


def closure(path, seen):
    """The header and everything of src/ that it includes."""
    if path not in seen:
        seen.add(path)
        for _, quote, name in house.includes(path):
            if quote == '"' and os.path.exists(os.path.join(house.ROOT, "src", name)):
                closure("src/" + name, seen)
    return seen


def digest(path, compiler):
    total = hashlib.sha256(repr((compiler, FLAGS)).encode())
    for part in sorted(closure(path, set())):
        total.update(part.encode() + b"\0" + house.read(part).encode())
    return total.hexdigest()


def compile_alone(path, compiler):
    run = subprocess.run([compiler, "-I" + os.path.join(house.ROOT, "src"), *FLAGS],
                         input=f'#include "{path[len("src/"):]}"\n', text=True,
                         stderr=subprocess.PIPE, check=False)
    return None if run.returncode == 0 else f"{path} does not compile alone:\n{run.stderr[:2000]}"


def main():
    compiler, cache_path = sys.argv[1], sys.argv[2]
    try:
        with open(cache_path, encoding="utf-8") as cache:
            known = json.load(cache)
    except (OSError, ValueError):
        known = {}
    headers = [path for path in house.files(".h") if path.startswith("src/")]
    wanted = {path: digest(path, compiler) for path in headers}
    changed = [path for path in headers if known.get(path) != wanted[path]]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(lambda path: compile_alone(path, compiler), changed))
    problems = [problem for problem in results if problem]
    failed = {path for path, problem in zip(changed, results) if problem}
    with open(cache_path, "w", encoding="utf-8") as cache:
        json.dump({path: wanted[path] for path in headers if path not in failed}, cache)
    house.finish(problems, f"{len(headers)} headers, {len(changed)} compiled")


main()
