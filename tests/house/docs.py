#!/usr/bin/env python3
"""The documents are true: links lead somewhere, and every `sevenfold …` line that they quote names
a command and options that the program has. usage: docs.py [BINARY]"""
import functools
import os
import re
import shlex
import subprocess
import sys

import house


def anchors(text):
    """GitHub's anchors of the headings."""
    found = set()
    for line in text.splitlines():
        if match := re.match(r"#+\s+(.*)", line):
            title = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", match[1]).strip().lower()
            found.add(re.sub(r"[^\w\- ]", "", title).replace(" ", "-"))
    return found


def links(path, text):
    outside_code = re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.S)
    for target in re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", outside_code):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        full = os.path.normpath(os.path.join(os.path.dirname(path), file)) if file else path
        if not os.path.exists(os.path.join(house.ROOT, full)):
            yield f"{path}: link to {target}, which does not exist"
        elif anchor and full.endswith(".md") and anchor not in anchors(house.read(full)):
            yield f"{path}: link to {target}, which has no such heading"


def command_lines(text):
    """Lines of code blocks that call sevenfold, continued ones joined, and such code in the text."""
    for block in re.findall(r"```[a-z]*\n(.*?)```", text, flags=re.S):
        for line in re.sub(r"\\\n\s*", " ", block).splitlines():
            line = re.sub(r"^(\$|#) ", "", line.strip())
            if re.match(r"(\w+=\S+ )*(\S*/)?sevenfold( |$)", line):
                yield line
    outside_blocks = re.sub(r"```.*?```", "", text, flags=re.S)
    for line in re.findall(r"`(sevenfold [^`]+)`", outside_blocks):
        yield " ".join(line.split())


class Program:
    def __init__(self, binary):
        self.binary = binary

    @functools.lru_cache(maxsize=None)
    def help(self, *command):
        run = subprocess.run([self.binary, *command, "--help"], text=True, check=False,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return run.stdout if run.returncode == 0 else None

    @functools.lru_cache(maxsize=None)
    def commands(self, *command):
        listed = (self.help(*command) or "").partition("Commands:\n")[2].partition("\n\n")[0]
        return set(re.findall(r"^  ([a-z][\w-]*)", listed, flags=re.M))

    @functools.lru_cache(maxsize=None)
    def options(self, *command):
        """option -> whether a value follows it"""
        listed = (self.help(*command) or "").partition("Options:\n")[2].partition("\n\n")[0]
        found = {"-h": False, "--help": False}
        for line in listed.splitlines():
            if match := re.match(r"  (-\w)?(?:, )?(--[a-z][\w-]*)?( [^\sa-z]\S*)?(?:\s|$)", line):
                found |= {name: match[3] is not None for name in match.groups()[:2] if name}
        return found

    def is_hidden_command(self, *command):
        text = self.help(*command)
        return text is not None and text != self.help(*command[:-1])

    def wrong_with(self, line):
        """What is wrong with a quoted line, or nothing."""
        if "…" in line or re.search(r"\b(COMMAND|CMD)\b", line):
            return None
        line = re.split(r" {2,}| [|>&;#]", line)[0]  # a remark or the rest of a pipeline
        words = iter(shlex.split(line))
        while "=" in next(words):
            pass  # variables before the program
        path, known = (), dict(self.options())
        for word in words:
            if word == "--":
                break
            name, has_value, _ = word.partition("=")
            if re.match(r"-\D", word):
                if name not in known:
                    return f"{' '.join(path) or 'sevenfold'} has no option {name}"
                if known[name] and not has_value and next(words, None) is None:
                    return f"nothing follows {name}"
            elif self.is_hidden_command(*path, word):
                path += (word,)
                known |= self.options(*path)
            elif self.commands(*path):
                return f"{' '.join(path) or 'sevenfold'} has no command {word}"
        return None


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else None
    program = Program(binary) if binary and os.path.exists(binary) else None
    problems, quoted = [], 0
    documents = house.files(".md")
    for path in documents:
        text = house.read(path)
        problems += links(path, text)
        for line in command_lines(text) if program else ():
            quoted += 1
            if wrong := program.wrong_with(line):
                problems.append(f"{path}: `{line}`: {wrong}")
    house.finish(problems, f"{len(documents)} documents, {quoted} quoted command lines")


main()
