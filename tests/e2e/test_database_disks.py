"""A database's base when a disk is full: at one place, and where a base is prepared."""
import os
import shutil

import app
import disks
import mariadb
import program

from test_database import SHOP

# Does not compress: 8 MiB.
MORE = """USE shop; CREATE TABLE picture (id INT PRIMARY KEY, data MEDIUMBLOB);
INSERT INTO picture SELECT seq, RANDOM_BYTES(1024) FROM seq_1_to_8192;
"""


class DatabaseDisksTest(program.Case):
    def setUp(self):
        super().setUp()
        self.server = mariadb.Mariadb(self)
        self.server.sql(SHOP + MORE)
        self.server.sql("CREATE USER backup@localhost; GRANT RELOAD, PROCESS, BINLOG MONITOR, "
                        "LOCK TABLES ON *.* TO backup@localhost")
        self.app = app.App(self)
        self.app.add_database(self.server, "prepare = false")

    def disk(self, folder, size):
        """What is there goes on on a small disk."""
        kept = folder + ".kept"
        if os.path.exists(folder):
            os.rename(folder, kept)
        disk = disks.SmallDisk(self, folder, size)
        if os.path.exists(kept):
            shutil.copytree(kept, folder, dirs_exist_ok=True)
        return disk

    def restored(self, name, place):
        """Checksums of what a place gives back."""
        self.app("db", "restore", "--data-dir", self.path(name), "--place", place)
        server = mariadb.Mariadb(self, name + "-server", data_dir=self.path(name))
        sums = server.checksums("shop")
        server.stop()
        return sums

    def test_a_full_place_keeps_no_other_from_its_base(self):
        disk = self.disk(self.app.repository("far"), "64m")
        for number, (method, leave) in enumerate((("logical", 0), ("logical", 3 << 20),
                                                  ("physical", 3 << 20), ("logical", 4096))):
            with self.subTest(method=method, leave=leave):
                self.server.sql("UPDATE shop.picture SET data = RANDOM_BYTES(1024)")
                before = {place: len(self.app.snapshots(place)) for place in self.app.places}
                disk.fill(leave)
                failed = self.app("backup", "main", "--method", method, code=1)
                self.assertFailsWell(failed, 1, "far[^\n]*no space left")
                self.assertSays(failed, "near")
                disk.release()
                after = {place: len(self.app.snapshots(place)) for place in self.app.places}
                self.assertEqual(after, {"near": before["near"] + 1, "far": before["far"]})
                sums = self.server.checksums("shop")
                self.assertEqual(self.restored(f"near-{number}", "near"), sums)
                self.assertSays(self.app("status", code=20), "main at far")
                self.app.restic("far")("check")
        disk.resize("128m")
        self.app("backup", "main", "--method", "physical")
        self.app("backup", "main", "--method", "logical")
        self.assertEqual(self.restored("far-at-last", "far"), self.server.checksums("shop"))
        self.app.check()
        self.assertSays(self.app("status", code=20), "rule 2 holds")  # but nothing of the uploads

    def test_no_room_to_prepare_a_base(self):
        state = self.path("app", "state")
        self.app.edit("prepare = false", "prepare = true")
        disk = self.disk(state, "400m")
        # Too small from the beginning: nothing is tried.
        disk.fill(100 << 20)
        said = self.app("backup", "main", "--method", "physical")
        self.assertSays(said, "the base is not prepared: preparing the base needs [^\n]*, which has")
        # Filled meanwhile: while the tool runs, and when a server is to start.
        disk.release()
        tool = self.path("tool")
        self.app.edit("prepare = true", f'backup_tool = "{tool}"')
        fill = f"head -c 1G /dev/zero >{state}/filler"
        for case in (fill, f'mariadb-backup "$@" || exit; {fill}; echo "completed OK!" >&2; exit'):
            self.write(tool, f'#!/bin/sh\ncase "$*" in *--prepare*) {case};; esac\n'
                       'exec mariadb-backup "$@"\n')
            os.chmod(tool, 0o755)
            said = self.app("backup", "main", "--method", "physical")
            self.assertSays(said, "the base is not prepared: [^\n]*no space")
            disk.release()
            self.assertEqual(os.listdir(os.path.join(state, "restore")), [], "nothing is left")
        self.app.edit(f'backup_tool = "{tool}"', "prepare = false")
        self.assertFalse([s for s in self.app.snapshots("near") if "prepared" in s["tags"]])
        self.assertEqual(len(self.app.snapshots("near")), 3)
        self.assertEqual(self.restored("far", "far"), self.server.checksums("shop"))
        self.app("db", "prepare")
        self.assertTrue([s for s in self.app.snapshots("near") if "prepared" in s["tags"]])

    def test_a_state_folder_that_is_full(self):
        """Nothing of a base lies there: it is stored, and what cannot be remembered is said."""
        disk = self.disk(self.path("app", "state"), "1m")
        disk.fill()
        said = self.app("backup", "main")
        self.assertSays(said, "not recorded")
        self.assertEqual(self.restored("far", "far"), self.server.checksums("shop"))
        self.app.check()


if __name__ == "__main__":
    app.main()
