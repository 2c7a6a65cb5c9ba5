#!/usr/bin/env python3
"""Every C++ source is as clang-format 14 writes it."""
import os
import subprocess

import house


def main():
    sources = house.files(".h", ".cc", ".inc")
    program = os.environ.get("CLANG_FORMAT", "clang-format-14")
    run = subprocess.run([program, "--dry-run", "--ferror-limit=1", *sources], cwd=house.ROOT,
                         stderr=subprocess.PIPE, text=True, check=False)
    if run.returncode != 0:
        house.finish([f"{program}: exit code {run.returncode}", run.stderr], "")
    wrong = sorted({line.split(":")[0] for line in run.stderr.splitlines()
                    if "-Wclang-format-violations" in line})
    house.finish([f"{path}: run {program} -i on it" for path in wrong], f"{len(sources)} files")


main()
