"""The daily commands on an application that is well: backup, status, snapshots, ping, --json."""
import os
import re
import shutil

import app
import program
import trees


class Daily(program.Case):
    def setUp(self):
        super().setUp()
        self.app = app.App(self)
        trees.make_small(self.app.source)

    def test_from_nothing_to_two_good_copies(self):
        first = self.app("status", code=20)
        self.assertSays(first, "near", "far", "missing", "rule 1 does not hold", "backup")
        self.assertSays(self.app("snapshots"), "no snapshots yet")
        summaries = self.app.backup()
        for place in ("near", "far"):
            self.assertTrue(summaries[place]["saved"])
            self.assertEqual(summaries[place]["files_new"], 40)
        self.assertSays(self.app("status"), "rule 1 holds")
        self.assertEqual({place: copy["state"] for place, copy in self.app.copies().items()},
                         {"near": "good", "far": "good"})
        again = self.app.backup()
        for place in ("near", "far"):
            self.assertEqual(again[place]["files_unmodified"], 40)
            self.assertEqual(again[place]["data_blobs"], 0)
            self.assertEqual(len(self.app.snapshots(place)), 2)
        self.app.check()
        self.app.assert_restores()

    def test_nothing_is_complained_about_when_all_is_well(self):
        for command in (["backup"], ["status"], ["snapshots"], ["ping"], ["config", "check"]):
            result = self.app(*command)
            self.assertNotRegex(result.text, "(?i)warning|error", str(result))

    def test_one_domain_does_not_make_two_places(self):
        self.app.edit('domain = "vendor-far"', 'domain = "vendor-near"')
        self.app.backup()
        self.assertSays(self.app("status", code=20), "1 of 2 failure domains")

    def test_a_source_in_one_place_only(self):
        self.app.set_source('places = ["far"]')
        self.assertEqual(list(self.app.backup()), ["far"])
        self.app("status", code=20)
        self.assertEqual(self.app.snapshots("near"), [])

    def test_only_changes_are_stored(self):
        self.app.backup()
        trees.write(os.path.join(self.app.source, "d1", "added"), trees.random_bytes(100_000, 5))
        shutil.copy(os.path.join(self.app.source, "d1", "f001"),
                    os.path.join(self.app.source, "d1", "copy of f001"))
        os.unlink(os.path.join(self.app.source, "d2", "f002"))
        for place, summary in self.app.backup().items():
            self.assertEqual((summary["files_new"], summary["files_changed"]), (2, 0), place)
            self.assertEqual(summary["data_blobs"], 1, "the copy needs no space")
        self.app.assert_restores()

    def test_excludes_of_the_configuration(self):
        for name in ("a.tmp", "keep", "cache/x", "deep/b.tmp"):
            self.write(f"app/source/{name}", name)
        self.app.set_source(f'exclude = ["*.tmp", "{self.app.source}/cache"]')
        self.app.backup()
        found = trees.describe(self.app.restore("near"))
        self.assertIn(b"keep", found)
        for name in (b"a.tmp", b"deep/b.tmp", b"cache"):
            self.assertNotIn(name, found)

    def test_dry_run_stores_nothing(self):
        before = trees.describe(self.app.repository("near"))
        summary = self.app.backup("--dry-run")["near"]
        self.assertTrue(summary["dry_run"])
        self.assertEqual(summary["files_new"], 40)
        after = trees.describe(self.app.repository("near"))
        trees.assert_same(self, trees.without(before, fields={"mtime"}),
                          trees.without(after, fields={"mtime"}), "the repository")

    def test_ping_says_how_each_place_is(self):
        self.app.backup()
        self.assertSays(self.app("ping"), "near", "far", "good")
        places = {line["name"]: line for line in self.app("--json", "ping").json()}
        self.assertTrue(all(places[name]["ok"] and places[name]["writable"] for name in places))
        os.rename(self.app.repository("far"), self.path("away"))
        result = self.app("ping", code=10)
        self.assertFailsWell(result, 10, "far.*no repository", "init --repositories")
        self.assertSays(result, r"near\s+\S+\s+good")

    def test_every_line_of_json_is_an_object(self):
        for command in (["backup"], ["status"], ["snapshots"], ["ping"], ["config", "show"],
                        ["config", "check"], ["--version"],
                        ["restore", "uploads", "--target", self.path("back")]):
            result = self.app("--json", *command)
            lines = result.json()
            self.assertTrue(lines and all(isinstance(line, dict) for line in lines), str(result))
        for command, code in ((["restore", "uplaods", "--target", "x"], 2), (["bakcup"], 2),
                              (["restore", "uploads", "--target", self.path("back")], 1)):
            lines = self.app("--json", *command, code=code).json()
            self.assertEqual((lines[-1]["type"], lines[-1]["exit_code"]), ("error", code), lines)
            self.assertIn("hint", lines[-1])

    def test_wrong_use_is_explained(self):
        for arguments, pattern in ((["bakcup"], "backup"), (["backup", "uplaods"], "uploads"),
                                   (["backup", "--forse"], "--force"),
                                   (["restore", "uploads"], "--target"),
                                   (["snapshots", "--place", "fra"], "far")):
            self.assertFailsWell(self.app(*arguments, code=2), 2, re.escape(pattern))

    def test_help_and_version_work_everywhere(self):
        self.assertSays(self.sevenfold("--help"), "backup", "restore", "status")
        self.assertRegex(self.sevenfold("--version").out, r"\d+\.\d+\.\d+")
        for command in ("init", "config", "backup", "status", "snapshots", "restore", "ping", "repo"):
            self.assertSays(self.sevenfold(command, "--help"), "usage:", "examples:")

    def test_wrong_password(self):
        self.app = app.App(self, name="locked", real_keys=True)
        trees.make_small(self.app.source, count=5)
        self.app.backup()
        self.write(self.app.password_file("far"), "wrong\n")
        os.chmod(self.app.password_file("far"), 0o600)
        result = self.app("backup", code=1)
        self.assertFailsWell(result, 1, "far", "password")
        self.assertEqual(len(self.app.snapshots("near", code=None)), 2)
        self.assertEqual(self.app.copies(code=20)["far"]["state"], "unreachable")
        self.assertFailsWell(self.app("restore", "uploads", "--place", "far", "--target",
                                      self.path("x"), code=12), 12, "password")
        # The other place still gives everything back.
        self.app.assert_restores(places=["near"])
        self.sevenfold("repo", "-r", self.app.repository("near"), "-p",
                       self.app.password_file("far"), "restore", "latest", "--target",
                       self.path("x"), code=12)

    def test_no_repository(self):
        for url in (self.path("nothing"), self.folder("empty folder")):
            result = self.sevenfold("repo", "-r", url, "-p", self.app.password_file("near"),
                                    "backup", self.app.source, code=10)
            self.assertFailsWell(result, 10, "no repository", re.escape(url))


if __name__ == "__main__":
    app.main()
