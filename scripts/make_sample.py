#!/usr/bin/env python3
"""Makes a folder such as a web application's users fill: videos, pictures, PDFs, text, and what
file systems can hold besides: odd names, links, a sparse file, attributes, modes. The same bytes
every time, about 300 MB. usage: make_sample.py DIR (which must not exist)"""
import json
import os
import random
import struct
import sys
import zlib

MIB = 1 << 20
EPOCH = 1_700_000_000  # times of the files count from here
WORDS = ("the invoice was sent to our customer on monday and paid within two weeks while "
         "delivery of spare parts took until the end of may because of a late ship").split()


class Sample:
    def __init__(self, root):
        self.root = os.fsencode(root)
        self.random = random.Random(7)
        self.age = 0

    def path(self, name):
        path = os.path.join(self.root, os.fsencode(name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path

    def file(self, name, *parts, mode=0o644):
        path = self.path(name)
        with open(path, "wb") as out:
            for part in parts:
                out.write(part)
        os.chmod(path, mode)
        self.age += 1
        at = (EPOCH - self.age * 4711) * 1_000_000_000 + self.age * 123_457
        os.utime(path, ns=(at, at))
        return path

    def noise(self, size):
        """Bytes like those of compressed media."""
        return self.random.randbytes(size)

    def prose(self, size):
        words = self.random.choices(WORDS, k=size // 5 + 1)
        lines = [" ".join(words[i:i + 12]) for i in range(0, len(words), 12)]
        return "\n".join(lines).encode()[:size]


def png(sample, width, height):
    """A valid picture: grey noise that compresses a little."""
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(
            ">I", zlib.crc32(kind + body))
    rows = b"".join(b"\0" + sample.noise(width) for _ in range(height))
    return (b"\x89PNG\r\n\x1a\n" +
            chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b""))


def pdf(sample, pages):
    """A valid document of text, one compressed stream a page."""
    out, offsets = b"%PDF-1.4\n", []
    kids = " ".join(f"{3 + 2 * i} 0 R" for i in range(pages))
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>",
               f"<< /Type /Pages /Count {pages} /Kids [{kids}] >>".encode()]
    for i in range(pages):
        text = b"BT /F1 10 Tf 40 800 Td 12 TL\n" + b"".join(
            b"(" + line + b") Tj T*\n" for line in sample.prose(3000).splitlines()) + b"ET"
        body = zlib.compress(text)
        objects.append(b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font "
                       b"<< /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> "
                       b"/Contents %d 0 R >>" % (4 + 2 * i))
        objects.append(b"<< /Length %d /Filter /FlateDecode >>\nstream\n" % len(body) + body +
                       b"\nendstream")
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return out + b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1) + table + (
        b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" %
        (len(objects) + 1, len(out)))


def media(sample):
    ftyp = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom"
    for name, size in ("product tour.mp4", 88), ("webinar-2023-11.mp4", 56), ("clip.mov", 17):
        body = sample.noise(size * MIB - 4321)
        sample.file("videos/" + name, ftyp, struct.pack(">I", len(body) + 8) + b"mdat", body)
    jfif = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
    for i in range(60):
        picture = (jfif, sample.noise(sample.random.randrange(200_000, 2_200_000)), b"\xff\xd9")
        sample.file(f"images/2023/{i % 12 + 1:02}/IMG_{4000 + i}.jpg", *picture)
        if i % 20 == 0:  # uploaded twice
            sample.file(f"images/avatars/copy of IMG_{4000 + i}.jpg", *picture)
    for i in range(12):
        sample.file(f"images/avatars/user{i}.png", png(sample, 128, 128))
    sample.file("images/chart.png", png(sample, 1600, 1200))


def documents(sample):
    for i in range(40):
        sample.file(f"documents/invoices/2023-{i:04}.pdf", pdf(sample, 1 + i % 7), mode=0o640)
    sample.file("documents/handbook.pdf", pdf(sample, 300))
    for i in range(300):
        record = {"id": i, "title": f"note {i}", "text": sample.prose(200 + 37 * (i % 50)).decode()}
        sample.file(f"documents/notes/{i % 10}/{i}.json", json.dumps(record, indent=1).encode())
    sample.file("documents/export.csv", b"".join(
        b"%d,%s,%d.%02d\n" % (i, sample.random.choice(WORDS).encode(), i * 7 % 900, i % 100)
        for i in range(400_000)))
    sample.file("documents/mail.txt", sample.prose(9 * MIB))


def oddities(sample):
    for name in ("odd/with space ", "odd/line\nbreak", 'odd/"quotes" and \\ backslash',
                 "odd/-rf", "odd/\u00fcml\u00e4ut \U0001f600", "odd/<tag> & co", "odd/" + "n" * 255,
                 b"odd/not utf-8 \xff\xfe", "odd/tab\tand\x01control", "odd/.hidden"):
        sample.file(name, b"a file named " + os.path.basename(os.fsencode(name)) + b"\n")
    sample.file("empty/nothing", b"")
    os.mkdir(sample.path("empty/folder"))
    sample.file("modes/read-only", b"r\n", mode=0o444)
    sample.file("modes/private", b"p\n", mode=0o600)
    sample.file("modes/script.sh", b"#!/bin/sh\necho hello\n", mode=0o755)
    sample.file("modes/setgid", b"s\n", mode=0o2755)
    os.mkdir(sample.path("modes/shared"))
    os.chmod(sample.path("modes/shared"), 0o1777)
    os.mkfifo(sample.path("modes/fifo"), 0o640)
    with open(sample.file("sparse/disk.img", b"boot"), "r+b") as image:
        for at in 5 * MIB + 17, 40 * MIB:
            image.seek(at)
            image.write(sample.noise(100_000))
        image.truncate(96 * MIB)
    os.utime(sample.path("sparse/disk.img"), ns=(EPOCH * 10**9 + 1, EPOCH * 10**9 + 1))
    os.link(sample.path("documents/handbook.pdf"), sample.path("links/same handbook.pdf"))
    os.symlink("../videos/clip.mov", sample.path("links/clip"))
    os.symlink("/nowhere/at all", sample.path("links/dangling"))
    os.symlink(b"\xff not utf-8", sample.path("links/odd target"))
    os.utime(sample.path("links/clip"), ns=(10**18, 10**18 + 5), follow_symlinks=False)
    tagged = sample.file("modes/with attributes", b"x\n")
    try:
        os.setxattr(tagged, "user.checksum", b"\x00\x01binary\xff")
        os.setxattr(tagged, "user.comment", "gepr\u00fcft".encode())
    except OSError:
        pass  # this file system has none


def main():
    sample = Sample(sys.argv[1])
    os.mkdir(sample.root)
    for part in media, documents, oddities:
        part(sample)
    # Folders last: what was made in them changed their times.
    for folder, _, _ in os.walk(sample.root, topdown=False):
        os.utime(folder, ns=((EPOCH + 1) * 10**9, (EPOCH + 1) * 10**9 + 987_654_321))


if __name__ == "__main__":
    main()
