"""A place on an SFTP server: the daily work, lost connections, a server that is down or is another."""
import os
import re
import signal
import socket

import app
import program
import servers
import trees

HOPELESS = 90  # seconds after which a command must have given up on a server that does not answer


class Sftp(program.Case):
    def setUp(self):
        super().setUp()
        self.app = app.App(self)
        self.sshd = servers.Sshd(self)
        self.proxy = None

    def use(self, cut_after=None):
        """Puts "far" on the server; through a proxy if its connections are to be cut."""
        if cut_after is not None:
            self.proxy = servers.Proxy(self, self.sshd.port, cut_after)
        self.sshd.use(self.app, "far", self.proxy.port if self.proxy else None)

    def test_the_daily_work(self):
        self.use()
        trees.make_small(self.app.source)
        self.app.backup()
        self.write("app/source/new", "new")
        summary = self.app.backup()
        self.assertEqual(summary["far"]["data_blobs"], 1)
        self.app("status")
        self.assertSays(self.app("ping"), r"far\s+\S+\s+good")
        self.app.assert_restores()
        self.app.check()
        far = self.app.repository("far")
        restic = self.app.restic("far")
        restic.repository = "sftp:vault.test:" + far
        restic.env["RESTIC_REPOSITORY"] = restic.repository
        self.assertEqual(len(restic.json("-o", self.sshd.restic_option(), "snapshots")), 2)

    def test_init_over_sftp(self):
        options = self.sshd.ssh_options()
        config = self.path("new.toml")
        url = f"sftp://{self.env.get('USER', 'root')}@127.0.0.1:{self.sshd.port}/{self.path('new')}"
        self.sevenfold("repo", "-r", url, "-p", self.app.password_file("far"), "-o",
                       "sftp.args=" + " ".join(options), "init")
        self.assertTrue(os.path.isfile(self.path("new", "config")))
        self.assertFalse(os.path.exists(config))

    def test_connections_cut_while_uploading(self):
        self.use(cut_after=[("up", 40_000), ("up", 700_000), ("down", 8_000), ("up", 2_500_000),
                            ("up", 3_000_000), ("up", 100_000)])
        trees.write(self.app.source + "/random", trees.random_bytes(12 << 20, 1))
        trees.make_small(self.app.source + "/small")
        self.app.backup()
        self.assertGreaterEqual(self.proxy.cuts, 3)
        self.app.check()
        self.app.assert_restores()

    def test_connections_cut_while_restoring(self):
        trees.write(self.app.source + "/random", trees.random_bytes(12 << 20, 1))
        trees.make_small(self.app.source + "/small")
        self.app.backup()
        self.use(cut_after=[("down", 30_000), ("down", 900_000), ("up", 9_000), ("down", 3_000_000),
                            ("down", 2_000_000)])
        target = self.app.restore("far")
        self.assertGreaterEqual(self.proxy.cuts, 3)
        trees.assert_same(self, self.app.source, target)

    def test_the_server_is_down(self):
        """The other place gets its snapshot without the wait taking hours; then it catches up."""
        trees.make_small(self.app.source)
        self.app.backup()
        self.use()
        self.sshd.stop()
        self.write("app/source/new", "new")
        result = self.app("backup", code=None, timeout=HOPELESS)
        self.assertFailsWell(result, 1, "far[^\n]*refused")
        self.assertEqual(len(self.app.snapshots("near")), 2)
        copies = self.app.copies(code=20)
        self.assertEqual((copies["near"]["state"], copies["far"]["state"]), ("good", "unreachable"))
        self.assertFailsWell(self.app("ping", code=1, timeout=HOPELESS), 1, "far[^\n]*refused")
        result = self.app("restore", "uploads", "--place", "far", "--target", self.path("x"),
                          code=None, timeout=HOPELESS)
        self.assertFailsWell(result, 1, "refused")
        # Without naming a place it comes from the one that works, wherever that is in the list.
        self.app("restore", "uploads", "--target", self.path("y"), timeout=HOPELESS)
        self.sshd.start()
        self.app.backup()
        self.app("status")
        self.app.assert_restores()

    def test_the_host_key_has_changed(self):
        trees.make_small(self.app.source, count=4)
        self.use()
        self.app.backup()
        self.sshd.stop()
        self.sshd.make_key("host")
        self.sshd.start()
        for command in (["backup"], ["ping"]):
            result = self.app(*command, code=None, timeout=HOPELESS)
            self.assertFailsWell(result, 1, "far[^\n]*host key", "ssh-keygen -R")
        self.assertEqual(self.app.copies(code=20)["far"]["state"], "unreachable")
        self.sshd.trust_host()
        self.app.backup()
        self.app("status")

    def test_an_unknown_host_and_a_refused_key(self):
        trees.make_small(self.app.source, count=4)
        self.use()
        os.unlink(self.sshd.file("known_hosts"))
        self.assertFailsWell(self.app("ping", code=1), 1, "far[^\n]*host key[^\n]*not known")
        self.sshd.trust_host()
        self.write(self.sshd.file("authorized_keys"), "")
        self.assertFailsWell(self.app("ping", code=1), 1, "far[^\n]*does not accept our key")
        self.assertFailsWell(self.app("backup", code=1, timeout=HOPELESS), 1,
                             "far[^\n]*does not accept our key")

    def test_the_connection_is_cut_for_good_in_the_middle(self):
        """The server goes away during an upload: interrupted, the other place is not harmed, and
        what had arrived is not sent again."""
        self.use(cut_after=[])
        self.app.set("far", 'upload_limit = "4MiB"')
        trees.write(self.app.source + "/random", trees.random_bytes(40 << 20, 1))
        packs = os.path.join(self.app.repository("far"), "data")
        running = self.app.start("backup")
        program.wait_for(lambda: any(names for _, _, names in os.walk(packs)), "a pack arrives")
        self.proxy.refusing = True
        self.proxy.cut_all()
        near = os.path.join(self.app.repository("near"), "snapshots")
        running.send(2)
        self.assertCode(running.finish(), 130)
        self.proxy.refusing = False
        before = sum(len(names) for _, _, names in os.walk(packs))
        self.app.edit('upload_limit = "4MiB"', 'upload_limit = "0"')
        self.app.backup()
        self.assertGreater(before, 0)
        self.assertTrue(os.listdir(near))
        self.app.check()
        self.app.assert_restores()

    def assert_ends_soon(self, running):
        """SIGTERM, as a service gets it: nothing is waited for any more."""
        running.send(signal.SIGTERM)
        program.wait_for(lambda: not running.alive(), "the backup ends", seconds=10)
        self.assertFailsWell(running.finish(), 130, "interrupted", hint=False)

    def test_terminated_while_the_server_is_down(self):
        self.use(cut_after=[])
        trees.write(self.app.source + "/random", trees.random_bytes(20 << 20, 1))
        with self.subTest("from the beginning"):
            self.proxy.refusing = True
            running = self.app.start("backup")
            program.wait_for(lambda: self.proxy.refused or not running.alive(), "it is refused")
            self.assert_ends_soon(running)
        with self.subTest("in the middle of an upload"):
            self.proxy.refusing, self.proxy.refused = False, 0
            self.app.set("far", 'upload_limit = "2MiB"')
            running = self.app.start("backup")
            locks = os.path.join(self.app.repository("far"), "locks")
            program.wait_for(lambda: os.listdir(locks) or not running.alive(), "the place is locked")
            self.proxy.refusing = True
            self.proxy.cut_all()
            program.wait_for(lambda: self.proxy.refused or not running.alive(), "it is refused")
            self.assert_ends_soon(running)
        self.proxy.refusing = False
        self.app.edit('upload_limit = "2MiB"', 'upload_limit = "0"')
        self.app.backup()
        self.app.check()
        self.app.assert_restores()

    def test_terminated_while_the_server_does_not_answer(self):
        trees.make_small(self.app.source, count=4)
        with socket.create_server(("127.0.0.1", 0)) as silent:
            silent.settimeout(60)
            self.sshd.use(self.app, "far", silent.getsockname()[1])
            running = self.app.start("backup")
            client, _ = silent.accept()
            with client:
                self.assert_ends_soon(running)

    def test_secrets_are_not_shown(self):
        self.app.edit(f'url = "{self.app.repository("far")}"',
                      'url = "sftp://user:hunter2@vault.test/dir"')
        for command in (["ping"], ["backup"], ["status"], ["config", "show"], ["config", "check"]):
            result = self.app("-v", "-v", *command, code=None, timeout=HOPELESS)
            self.assertIsNone(re.search("hunter2", result.text), str(result))


if __name__ == "__main__":
    app.main()
