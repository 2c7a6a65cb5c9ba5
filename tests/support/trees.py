"""Making folders that hold everything a file system can hold, and comparing two of them.

A description is a dictionary: path below the root (bytes) -> what is there. Differences are a list
of sentences, empty when the folders are equal.
"""
import hashlib
import os
import random
import socket
import stat
import struct

ODD_NAMES = [
    b"new\nline", b"tab\there", b"bad\xff\xfename", b"we\"ird\\ na'me", "caf\u00e9".encode(),
    "cafe\u0301".encode(), "\U0001f600 smile".encode(), "\u202egnp.exe".encode(),
    "line\u2028sep".encode(), "soft\u00adhyphen".encode(), "zero\u200bwidth".encode(),
    "private\ue000use".encode(), "tag\U000e0001".encode(), "nbsp\u00a0".encode(), b" leading",
    b"trailing ", b"-rf", b"*?[x]{a,b}", b"a" * 255, b"ctl\x01\x7f\x1b[31m", b"<html>&amp;",
    b"$(touch pwned);`id`", b"~", b"...", b"C:\\windows", b"%s%n", b"\xc3\x28 broken", b"\xed\xa0\x80",
    b"#hash", b"\x80", b"latest", b"\\u0041\\x41",
]
USER_OBJECT, USER, GROUP_OBJECT, MASK, OTHER = 1, 2, 4, 16, 32


def acl(*entries):
    """The bytes of system.posix_acl_*: entries of (tag, permissions, id)."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def with_reader(user):
    none = 0xFFFFFFFF
    return acl((USER_OBJECT, 7, none), (USER, 4, user), (GROUP_OBJECT, 5, none), (MASK, 5, none),
               (OTHER, 0, none))


def random_bytes(size, seed):
    return random.Random(seed).randbytes(size)


def words(size, seed):
    """Text that compresses about as prose does."""
    rng = random.Random(seed)
    vocabulary = [rng.randbytes(rng.randint(1, 5)).hex() for _ in range(400)]
    out = []
    length = 0
    while length < size:
        out.append(rng.choice(vocabulary))
        length += len(out[-1]) + 1
    return " ".join(out).encode()[:size]


def write(path, content, mode=None):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)
    if mode is not None:
        os.chmod(path, mode)


def write_sparse(path, size, islands):
    """A file of holes with some bytes at the given offsets."""
    with open(path, "wb") as file:
        file.truncate(size)
        for offset, content in islands:
            file.seek(offset)
            file.write(content)


def make_small(root, seed=1, count=40):
    """Ordinary files only: count of them, about 3 MB."""
    rng = random.Random(seed)
    root = os.fsencode(root)
    os.makedirs(root, exist_ok=True)
    for number in range(count):
        folder = os.path.join(root, b"d%d" % (number % 5))
        size = rng.choice([0, 10, 500, 5000, 70000, 300000])
        content = random_bytes(size, rng.random()) if number % 2 else words(size, rng.random())
        write(os.path.join(folder, b"f%03d" % number), content)
    return root


def make_everything(root, bad_link_targets=True):
    """One of everything: names, kinds, modes, owners, times, attributes, links, holes."""
    root = os.fsencode(root)
    superuser = os.geteuid() == 0
    j = os.path.join
    os.makedirs(root)
    for number, name in enumerate(ODD_NAMES):
        write(j(root, b"names", name), b"content %d of an odd name\n" % number)
    os.makedirs(j(root, b"names", b"folder\n\xff"))
    write(j(root, b"names", b"folder\n\xff", b"in\tside"), b"x")

    write(j(root, b"sizes", b"empty"), b"")
    write(j(root, b"sizes", b"one"), b"1")
    write(j(root, b"sizes", b"random"), random_bytes(3 << 20, 7))
    write(j(root, b"sizes", b"text"), words(1 << 20, 8))
    write(j(root, b"sizes", b"zeros"), bytes(1 << 20))
    write(j(root, b"sizes", b"edge"), random_bytes(512 * 1024, 9))
    write(j(root, b"sizes", b"copy of text"), words(1 << 20, 8))
    write_sparse(j(root, b"sizes", b"sparse"), 12 << 20,
                 [(0, b"begin"), (5 << 20, random_bytes(70000, 10)), ((12 << 20) - 3, b"end")])
    write_sparse(j(root, b"sizes", b"only hole"), 3 << 20, [])

    modes = [0o000, 0o400, 0o600, 0o644, 0o755, 0o777, 0o4755, 0o2755, 0o6711, 0o1666]
    for mode in modes:
        write(j(root, b"modes", b"%o" % mode), b"m", mode)
    os.mkdir(j(root, b"modes", b"sticky"))
    os.chmod(j(root, b"modes", b"sticky"), 0o1777)
    os.mkdir(j(root, b"modes", b"setgid"))
    os.chmod(j(root, b"modes", b"setgid"), 0o2750)

    links = j(root, b"links")
    os.mkdir(links)
    write(j(links, b"first"), random_bytes(40000, 11))
    os.mkdir(j(root, b"z"))
    os.link(j(links, b"first"), j(links, b"second"))
    os.link(j(links, b"first"), j(root, b"z", b"third"))
    for name, target in [(b"relative", b"../sizes/one"), (b"dangling", b"/no/such/thing"),
                         (b"folder", b"../names"), (b"itself", b"itself"), (b"up", b".."),
                         (b"long", b"x" * 900), (b"utf8", "ziel-\u00e9".encode())]:
        os.symlink(target, j(links, name))
    if bad_link_targets:
        os.symlink(b"bad\xfftarget", j(links, b"bad target"))

    kinds = j(root, b"kinds")
    os.mkdir(kinds)
    os.mkfifo(j(kinds, b"fifo"), 0o640)
    make_socket(j(kinds, b"socket"))
    if superuser:
        os.mknod(j(kinds, b"null"), stat.S_IFCHR | 0o666, os.makedev(1, 3))
        os.mknod(j(kinds, b"disk"), stat.S_IFBLK | 0o660, os.makedev(259, 70000))
        os.chown(j(kinds, b"disk"), 0, 6)

    attributes = j(root, b"attributes")
    write(j(attributes, b"user"), b"x")
    os.setxattr(j(attributes, b"user"), b"user.comment", b"bytes \xff\x00 in it")
    os.setxattr(j(attributes, b"user"), b"user.empty", b"")
    write(j(attributes, b"acl"), b"x", 0o640)
    os.setxattr(j(attributes, b"acl"), b"system.posix_acl_access", with_reader(1234))
    os.mkdir(j(attributes, b"inherits"))
    os.setxattr(j(attributes, b"inherits"), b"system.posix_acl_default", with_reader(1235))
    os.setxattr(j(attributes, b"inherits"), b"user.folder", b"yes")
    if superuser:
        write(j(attributes, b"capable"), b"x", 0o755)
        os.setxattr(j(attributes, b"capable"), b"security.capability",
                    struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0))
        owners = [(1234, 5678), (65534, 65534), (0, 4), (2000000000, 2000000001)]
        for uid, gid in owners:
            path = j(root, b"owners", b"%d-%d" % (uid, gid))
            write(path, b"o")
            os.chown(path, uid, gid)
        os.symlink(b"x", j(root, b"owners", b"link"))
        os.lchown(j(root, b"owners", b"link"), 1234, 5678)

    deep = root
    for level in range(40):
        deep = j(deep, b"level%d" % level)
    os.makedirs(deep)
    write(j(deep, b"bottom"), b"deep")
    os.makedirs(j(root, b"empty", b"very"))
    for number in range(120):
        write(j(root, b"many", b"%03d" % number), b"%d\n" % number)

    times = j(root, b"times")
    for name, seconds, nanoseconds in [
            (b"epoch", 0, 0), (b"one", 1, 1), (b"before", -1000000000, 123456789),
            (b"summer", 1657886400, 120000000), (b"winter", 1642248000, 999999999),
            (b"dst", 1635642000, 100), (b"after2038", 4102444800, 5), (b"far", 7258118400, 0)]:
        write(j(times, name), name)
        set_time(j(times, name), seconds, nanoseconds)
    os.symlink(b"epoch", j(times, b"link"))
    set_time(j(times, b"link"), 1500000000, 987654321)
    for folder, seconds in [(b"times", 1111111111), (b"links", 1222222222), (b"empty", 1),
                            (b"kinds", 1333333333)]:
        set_time(j(root, folder), seconds, 333)
    return root


def make_socket(path):
    """Socket paths are short: bound from within the folder."""
    before = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.chdir(os.path.dirname(path))
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(os.path.basename(path))
    finally:
        os.fchdir(before)
        os.close(before)


def set_time(path, seconds, nanoseconds=0):
    moment = seconds * 10**9 + nanoseconds
    os.utime(path, ns=(moment, moment), follow_symlinks=False)


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def attributes_of(path):
    return {name: os.getxattr(path, name, follow_symlinks=False)
            for name in os.listxattr(path, follow_symlinks=False)}


def describe(root):
    """Everything below root, and root itself as b""."""
    root = os.fsencode(root)
    found, names_of = {}, {}

    def add(path, name):
        info = os.lstat(path)
        kind = stat.S_IFMT(info.st_mode)
        entry = {"kind": kind, "mode": oct(info.st_mode & 0o7777), "uid": info.st_uid,
                 "gid": info.st_gid, "mtime": info.st_mtime_ns, "xattrs": attributes_of(path)}
        if kind == stat.S_IFREG:
            entry.update(size=info.st_size, sha256=digest(path))
        elif kind == stat.S_IFLNK:
            entry.update(target=os.readlink(path))
            del entry["mode"]
        elif kind in (stat.S_IFCHR, stat.S_IFBLK):
            entry.update(device=info.st_rdev)
        if kind != stat.S_IFDIR and info.st_nlink > 1:
            names = names_of.setdefault((info.st_dev, info.st_ino), set())
            names.add(name)
            entry["links"] = names
        found[name] = entry

    def walk(folder, prefix):
        for name in os.listdir(folder):
            path = os.path.join(folder, name)
            add(path, prefix + name)
            if stat.S_ISDIR(os.lstat(path).st_mode):
                walk(path, prefix + name + b"/")

    add(root, b"")
    walk(root, b"")
    return found


def below(root):
    """A folder or description without the root itself: where a part of a snapshot is restored to a
    folder, that folder keeps what it has."""
    description = describe(root) if isinstance(root, (str, bytes)) else root
    return {path: entry for path, entry in description.items() if path}


def without(description, *, kinds=(), paths=(), fields=()):
    """A description that leaves out kinds (stat.S_IF…), paths with what is below, and fields."""
    out = {}
    for path, entry in description.items():
        left_out = any(path == p or path.startswith(p + b"/") for p in paths)
        if not left_out and entry["kind"] not in kinds:
            out[path] = {name: value for name, value in entry.items() if name not in fields}
    return out


def differences(expected, found, most=20):
    out = []
    for path in sorted(set(expected) | set(found)):
        if path not in found:
            out.append(f"{path!r} is missing")
        elif path not in expected:
            out.append(f"{path!r} is there but should not be")
        else:
            for field in sorted(set(expected[path]) | set(found[path])):
                want, have = expected[path].get(field), found[path].get(field)
                if want != have:
                    out.append(f"{path!r}: {field} is {have!r} instead of {want!r}")
    return out[:most] + ([f"… {len(out) - most} more"] if len(out) > most else [])


def assert_same(case, expected, found, what=""):
    """Both may be folders or descriptions."""
    pair = [describe(side) if isinstance(side, (str, bytes)) else side
            for side in (expected, found)]
    wrong = differences(*pair)
    if wrong:
        case.fail(f"{what or 'the folders'} differ:\n  " + "\n  ".join(wrong))
