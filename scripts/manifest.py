#!/usr/bin/env python3
"""What a folder holds, byte for byte, one entry a line, for comparing it with what comes back.

usage: manifest.py make DIR            prints the manifest
       manifest.py compare BEFORE AFTER    says what differs; exit code 1 if anything does

An entry: type, mode, owner (as root only: others cannot give files away), size, mtime in ns,
SHA-256 or link target, extended attributes and ACLs, and which names are one file. Sockets and
device nodes are left out, as a restore leaves them out unless it is told otherwise."""
import hashlib
import json
import os
import stat
import sys

KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "link", stat.S_IFIFO: "fifo"}


def attributes(path):
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError:
        return {}
    wanted = [n for n in sorted(names)
              if n.startswith(("user.", "system.posix_acl_")) or n == "security.capability"]
    return {n: os.getxattr(path, n, follow_symlinks=False).hex() for n in wanted}


def entries(root):
    pending, found = [b""], []
    while pending:
        folder = pending.pop()
        for item in os.scandir(os.path.join(root, folder) if folder else root):
            name = os.path.join(folder, item.name)
            found.append(name)
            if item.is_dir(follow_symlinks=False):
                pending.append(name)
    return sorted(found)


def make(root):
    root = os.fsencode(root)
    first_name = {}
    for name in entries(root):
        path = os.path.join(root, name)
        st = os.lstat(path)
        kind = KINDS.get(stat.S_IFMT(st.st_mode))
        if kind is None:
            continue
        entry = {"name": os.fsdecode(name), "kind": kind, "mtime": st.st_mtime_ns}
        if kind != "link":
            entry["mode"] = oct(stat.S_IMODE(st.st_mode))
        if os.geteuid() == 0:
            entry["owner"] = f"{st.st_uid}:{st.st_gid}"
        if kind == "link":
            entry["target"] = os.fsdecode(os.readlink(path))
        if kind == "file":
            entry["size"] = st.st_size
            same = first_name.setdefault((st.st_dev, st.st_ino), entry["name"])
            if same != entry["name"]:
                entry["same file as"] = same
            with open(path, "rb") as content:
                entry["sha256"] = hashlib.file_digest(content, "sha256").hexdigest()
        if found := attributes(path):
            entry["attributes"] = found
        print(json.dumps(entry))


def load(path):
    with open(path, encoding="utf-8") as lines:
        return {entry["name"]: entry for entry in map(json.loads, lines)}


def compare(before, after):
    old, new = load(before), load(after)
    lines = []
    for name in sorted(old.keys() | new.keys()):
        if name not in new:
            lines.append(f"missing: {ascii(name)}")
        elif name not in old:
            lines.append(f"was not there before: {ascii(name)}")
        else:
            for key in old[name].keys() | new[name].keys():
                a, b = old[name].get(key), new[name].get(key)
                if a != b:
                    lines.append(f"{key} of {ascii(name)}: {a} before, {b} now")
    for line in lines[:20]:
        print(line)
    if len(lines) > 20:
        print(f"and {len(lines) - 20} more differences")
    if not lines:
        size = sum(entry.get("size", 0) for entry in old.values())
        print(f"{len(old)} entries, {size / 1e6:.1f} MB: every one is as it was")
    return 1 if lines else 0


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "make":
        make(sys.argv[2])
        return 0
    if len(sys.argv) == 4 and sys.argv[1] == "compare":
        return compare(sys.argv[2], sys.argv[3])
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
