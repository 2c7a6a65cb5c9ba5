"""An application that is protected: a source, two places that are folders, a configuration."""
import os
import shutil
import signal
import tempfile

import program
import restic
import trees

_templates = {}


def _template(case, count, real_keys):
    """A folder made by `init`, with `count` places that are folders; once for each test program."""
    if (count, real_keys) not in _templates:
        holder = tempfile.TemporaryDirectory(prefix="sevenfold-template-")
        os.chmod(holder.name, 0o755)
        os.mkdir(os.path.join(holder.name, "source"))
        places = []
        for name in PLACES[:count]:
            places += ["--place", f"{name}@vendor-{name}={holder.name}/{name}"]
        case.sevenfold("-c", f"{holder.name}/sevenfold.toml", "init", "-y", "--name", "shop",
                       "--source", f"uploads={holder.name}/source", *places)
        for name in PLACES[:count] if not real_keys else ():
            program.make_key_cheap(case, f"{holder.name}/{name}",
                                   f"{holder.name}/secrets/{name}.password")
        _templates[count, real_keys] = holder
    return _templates[count, real_keys].name


PLACES = ["near", "far", "third"]


class App:
    """real_keys: the keys that `init` made, where they are the subject; else ones that open at
    once."""

    def __init__(self, case, places=2, name="app", real_keys=False):
        self.case = case
        self.dir = case.path(name)
        template = _template(case, places, real_keys)
        shutil.copytree(template, self.dir)
        self.config = os.path.join(self.dir, "sevenfold.toml")
        self.source = os.path.join(self.dir, "source")
        self.edit(template, self.dir)
        self.places = PLACES[:places]

    def edit(self, old, new):
        """Replaces a text in the configuration."""
        with open(self.config, encoding="utf-8") as file:
            text = file.read()
        self.case.assertIn(old, text, "in the configuration")
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(text.replace(old, new))

    def set(self, place, line):
        """Adds a line to a place's section."""
        self.edit(f'name = "{place}"\n', f'name = "{place}"\n{line}\n')

    def set_source(self, line):
        self.edit('name = "uploads"\n', f'name = "uploads"\n{line}\n')

    def add_database(self, server, *lines, name="main"):
        """A narrow account on the server, and a [[database]] that uses it over the socket."""
        server.sql("CREATE USER IF NOT EXISTS backup@localhost; GRANT SELECT, SHOW VIEW, TRIGGER, "
                   "EVENT, RELOAD, LOCK TABLES ON *.* TO backup@localhost")
        with open(self.config, "a", encoding="utf-8") as file:
            file.write("\n".join(["", "[[database]]", f'name = "{name}"',
                                  f'socket = "{server.socket}"', 'user = "backup"', *lines, ""]))

    def start_stream(self, server):
        """Running, and the server waits for its word; stopped when the test ends."""
        stream = self.start("--json", "stream", "run")
        self.case.addCleanup(stream.stop)
        program.wait_for(lambda: server.sql("SHOW STATUS LIKE 'Rpl_semi_sync_master_clients'")
                         .endswith("\t1"), "the stream to connect")
        return stream

    def url(self, place, url):
        """Moves a place; what is there stays."""
        self.edit(f'url = "{self.repository(place)}"', f'url = "{url}"')

    def repository(self, place):
        return os.path.join(self.dir, place)

    def password_file(self, place):
        return os.path.join(self.dir, "secrets", place + ".password")

    def restic(self, place, **env):
        return restic.Restic(self.case, self.repository(place), self.password_file(place), **env)

    def __call__(self, *arguments, **options):
        return self.case.sevenfold("-c", self.config, *arguments, **options)

    def start(self, *arguments, **options):
        return self.case.start("-c", self.config, *arguments, **options)

    def backup(self, *arguments, code=0, **options):
        """The summaries by place."""
        result = self("--json", "backup", *arguments, code=code, **options)
        return {line["place"]: line for line in result.json()
                if line.get("message_type") == "summary"}

    def snapshots(self, place, code=0):
        """Oldest first."""
        return [line for line in self("--json", "snapshots", "--place", place, code=code).json()
                if line.get("type") == "snapshot"]

    def restore(self, place, *arguments, target=None, code=0):
        """Into a new folder, from one place only."""
        target = target or self.case.path(f"back-{place}")
        shutil.rmtree(target, ignore_errors=True)
        self("restore", "uploads", "--place", place, "--target", target, *arguments, code=code)
        return target

    def assert_restores(self, expected=None, places=None):
        """Every place gives back the source (or `expected`, a description) exactly."""
        expected = expected or trees.describe(self.source)
        for place in places or self.places:
            trees.assert_same(self.case, expected, self.restore(place), f"source and {place}")

    def copies(self, code=0):
        """place -> what `status --json` says of it."""
        lines = self("--json", "status", code=code).json()
        sources = [line for line in lines if line.get("type") == "source"]
        self.case.assertEqual(len(sources), 1, lines)
        return {copy["place"]: copy for copy in sources[0]["copies"]}

    def check(self, places=None):
        for place in places or self.places:
            self.restic(place).check()


def main():
    """Of each test program: its tests, and the templates removed at the end."""
    program.binary()
    program.cheap_key()
    # Where a shell started us in the background, Ctrl-C is ignored, and so it would be by commands.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        import unittest
        unittest.main(verbosity=2)
    finally:
        program.wait_for_removals()
        for holder in _templates.values():
            holder.cleanup()
