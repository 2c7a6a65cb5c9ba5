"""init and config: a new application, and every mistake in a configuration."""
import os
import re
import stat

import app
import program
import trees


class Setup(program.Case):
    def init(self, *arguments, code=0, **options):
        return self.sevenfold("-c", self.path("shop.toml"), "init", "-y", *arguments, code=code,
                              **options)

    def two_places(self):
        return ["--place", f"near@office={self.path('near')}",
                "--place", f"far@vendor={self.path('far')}"]

    def test_init_makes_everything_and_says_what_to_keep(self):
        source = self.folder("up loads")
        result = self.init("--name", "shop", "--source", f"files={source}", "--every", "15m",
                           "--team", "dev@example.com", *self.two_places())
        for place in ("near", "far"):
            password = self.path("secrets", place + ".password")
            self.assertEqual(stat.S_IMODE(os.stat(password).st_mode), 0o600)
            with open(password, encoding="ascii") as file:
                secret = file.read().strip()
            self.assertGreaterEqual(len(secret), 24)
            self.assertNotIn(secret, result.text)
            self.assertIn(password, result.out)
            self.assertTrue(os.path.isfile(self.path(place, "config")))
        self.assertEqual(stat.S_IMODE(os.stat(self.path("shop.toml")).st_mode), 0o600)
        self.assertSays(result, "keep these", "restic -r")
        self.sevenfold("-c", self.path("shop.toml"), "config", "check")
        shown = self.sevenfold("-c", self.path("shop.toml"), "config", "show").out
        for text in ("shop", "15m", "dev@example.com", "office", "vendor", source):
            self.assertIn(text, shown)

    def test_init_never_replaces_what_is_there(self):
        arguments = ["--name", "shop", "--source", f"files={self.folder('source')}",
                     *self.two_places()]
        self.init(*arguments)
        before = {name: self.read(name) for name in
                  ("shop.toml", "secrets/near.password", "near/config")}
        self.assertFailsWell(self.init(*arguments, code=1), 1, "exists already")
        self.init("--force", *arguments)
        for name in ("secrets/near.password", "near/config"):
            self.assertEqual(self.read(name), before[name], name)

    def test_init_repositories_makes_the_missing_ones_alike(self):
        shop = app.App(self, real_keys=True)
        os.rename(shop.repository("far"), self.path("lost"))
        self.assertFailsWell(shop("backup", code=1), 1, "far", "no repository", "init --repositories")
        shop("init", "--repositories")
        shop.backup()
        cuts = {place: re.search('"chunker_polynomial": "(\\w+)"',
                                 shop.restic(place)("cat", "config").out)[1]
                for place in shop.places}
        self.assertEqual(cuts["near"], cuts["far"], "new places follow those there are")

    def test_init_repositories_makes_a_new_place_with_its_password(self):
        shop = app.App(self, real_keys=True)
        trees.make_small(shop.source, count=4)
        shop.backup()
        with open(shop.config, "a", encoding="utf-8") as file:
            file.write(f'\n[[place]]\nname = "third"\nurl = "{shop.repository("third")}"\n'
                       'password_file = "secrets/third.password"\n')
        result = shop("init", "--repositories")
        self.assertIn(shop.password_file("third"), result.text)
        self.assertEqual(stat.S_IMODE(os.stat(shop.password_file("third")).st_mode), 0o600)
        secret = self.read(shop.password_file("third")).decode().strip()
        self.assertGreaterEqual(len(secret), 24)
        self.assertNotIn(secret, result.text)
        shop.backup()
        shop.check(["third"])
        shop.assert_restores(places=["third"])

    def test_init_repositories_makes_no_password_for_a_repository_that_is_there(self):
        shop = app.App(self, real_keys=True)
        before = {place: self.read(shop.password_file(place)) for place in shop.places}
        os.unlink(shop.password_file("far"))
        result = shop("init", "--repositories", code=None)
        self.assertNotEqual(result.code, 0, str(result))
        self.assertSays(result, "far", r"far\.password")
        self.assertFalse(os.path.exists(shop.password_file("far")))
        self.assertEqual(self.read(shop.password_file("near")), before["near"])

    def test_init_without_answers_says_what_is_missing(self):
        self.assertFailsWell(self.init("--name", "shop", code=2), 2, "no folder to protect")
        self.assertFailsWell(self.init("--source", f"a={self.folder('a')}", code=2), 2, "no place")
        self.assertFailsWell(self.init("--source", f"a={self.folder('a')}", "--place", "nonsense",
                                       code=2), 2, "nonsense")
        self.assertFalse(os.path.exists(self.path("shop.toml")))

    def test_a_place_inside_a_source_is_refused(self):
        source = self.folder("source")
        result = self.init("--source", f"files={source}", "--place", f"near={source}/backup",
                           "--place", f"far={self.path('far')}", code=2)
        self.assertFailsWell(result, 2, "near", "inside|within|below|overlap|in itself")
        self.assertEqual(os.listdir(source), [])

    def test_a_source_inside_a_place_is_refused_also_through_a_link(self):
        self.folder("source")
        os.symlink(self.path("source"), self.path("link"))
        result = self.init("--source", f"files={self.path('link')}", "--place",
                           f"near={self.path('source')}/in", "--place", f"far={self.path('far')}",
                           code=2)
        self.assertFailsWell(result, 2, "near")


class Config(program.Case):
    def setUp(self):
        super().setUp()
        self.app = app.App(self)

    def line_of(self, text):
        with open(self.app.config, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if text in line:
                    return number
        self.fail(f"{text} is not in the configuration")

    def assert_refused(self, *patterns):
        """By every command that needs a configuration, before anything is touched."""
        for command in (["config", "check"], ["backup"], ["status"],
                        ["restore", "uploads", "--target", self.path("never")]):
            self.assertFailsWell(self.app(*command, code=2), 2, *patterns)
        self.assertFalse(os.path.exists(self.path("never")))
        self.assertEqual(os.listdir(os.path.join(self.app.repository("near"), "snapshots")), [])

    def test_an_unknown_key_is_named_with_its_line_and_the_nearest(self):
        self.app.set_source('excldue = ["*.tmp"]')
        self.assert_refused(rf"sevenfold\.toml:{self.line_of('excldue')}", "excldue", "`?exclude`?")

    def test_an_unknown_section(self):
        self.app.edit("[[place]]\n# A short name, used in commands and reports.\nname = \"far\"",
                      "[[palce]]\nname = \"far\"")
        self.assert_refused(rf"sevenfold\.toml:{self.line_of('palce')}", "palce", "place")

    def test_a_wrong_type_and_a_wrong_value(self):
        self.app.edit('every = "1h"', "every = true")
        self.assert_refused(rf":{self.line_of('every = true')}", "every")
        self.app.edit("every = true", 'every = "1 fortnight"')
        self.assert_refused(rf":{self.line_of('fortnight')}", "every")

    def test_an_unknown_place_of_a_source(self):
        self.app.set_source('places = ["near", "fra"]')
        self.assert_refused("fra", "did you mean `far`")

    def test_a_truncated_file(self):
        with open(self.app.config, "rb") as file:
            whole = file.read()
        for keep in (len(whole) // 3, whole.index(b'url = "') + 10, whole.index(b"[[files]]")):
            with self.subTest(keep=keep):
                with open(self.app.config, "wb") as file:
                    file.write(whole[:keep])
                self.assert_refused("sevenfold.toml")

    def test_no_configuration_at_all(self):
        result = self.sevenfold("backup", code=2, cwd=self.folder("empty"))
        self.assertFailsWell(result, 2, "no configuration found", "init")
        result = self.sevenfold("-c", self.path("no.toml"), "status", code=None)
        self.assertFailsWell(result, 2, r"no\.toml", hint=False)

    def test_several_mistakes_are_all_reported(self):
        self.app.set_source("first_mistake = 1")
        self.app.set("far", "second_mistake = 2")
        self.assertFailsWell(self.app("config", "check", code=2), 2, "first_mistake",
                             "second_mistake", hint=False)
        lines = self.app("--json", "config", "check", code=2).json()
        problems = [line for line in lines if line.get("type") == "problem"]
        self.assertEqual(len(problems), 2, lines)
        self.assertTrue(all(problem["line"] > 0 for problem in problems))

    def test_a_missing_password_file(self):
        os.unlink(self.app.password_file("far"))
        self.assertFailsWell(self.app("config", "check", code=2), 2, "far", "password")
        trees.make_small(self.app.source, count=4)
        result = self.app("backup", code=1)
        self.assertFailsWell(result, 1, "far", r"far\.password")
        self.assertEqual(len(self.app.snapshots("near", code=None)), 1, "the other place is fed")

    def test_a_password_file_for_others_to_read_is_warned_about(self):
        os.chmod(self.app.password_file("far"), 0o644)
        self.assertSays(self.app("backup"), r"warning: .*far\.password", "chmod 600")


if __name__ == "__main__":
    app.main()
