"""restic, the real peer. It must be installed: tests fail without it."""
import datetime
import json
import os
import shutil

import program


class Restic:
    """Runs restic on one repository, for a test case. Where it makes one whose password is not
    the subject, opening it costs no time afterwards (real_keys: it costs what it costs)."""

    def __init__(self, case, repository, password_file, real_keys=False, **env):
        if shutil.which("restic") is None:
            case.fail("restic is not installed; ./test installs it (Debian package restic)")
        self.case, self.repository, self.real_keys = case, repository, real_keys
        self.env = {**case.env, "RESTIC_REPOSITORY": repository,
                    "RESTIC_PASSWORD_FILE": password_file,
                    "RESTIC_CACHE_DIR": case.folder("restic-cache"), **env}

    def __call__(self, *arguments, code=0, env=None, cwd=None, stdin=b""):
        result = program.run(["restic", *arguments], {**self.env, **(env or {})}, cwd=cwd,
                             stdin=stdin)
        if code is not None and result.code != code:
            self.case.fail(f"restic ended with {result.code} instead of {code}\n{result}")
        if arguments[0] == "init" and result.code == 0 and not self.real_keys:
            program.make_key_cheap(self.case, self.repository, self.env["RESTIC_PASSWORD_FILE"])
        return result

    def json(self, *arguments, **options):
        return json.loads(self("--json", *arguments, **options).out)

    def lines(self, *arguments, **options):
        return program.json_lines(self("--json", *arguments, **options).out)

    def locks(self):
        """The names of the locks; the repository is a folder."""
        folder = os.path.join(self.repository, "locks")
        return [name for name in os.listdir(folder) if len(name) == 64]

    def stopped_with_its_lock(self):
        """A check, whose lock is exclusive, that goes no further until SIGCONT."""
        self.case.assertEqual(self.locks(), [], "somebody else has a lock")
        for _ in range(20):
            checking = program.Running(["restic", "check", "--read-data", "--no-cache"], self.env)
            self.case.addCleanup(checking.stop)
            program.wait_for(lambda: self.locks() or not checking.alive(), "restic's lock")
            if checking.freeze() and self.locks():
                return checking
            checking.stop()
            for name in self.locks():
                os.unlink(os.path.join(self.repository, "locks", name))
        self.case.fail("restic was never caught while it had its lock")

    def check(self):
        """Every byte of the repository is read; fails unless all is right."""
        result = self("check", "--read-data", "--no-cache")
        self.case.assertIn("no errors were found", result.text, str(result))

    def snapshots(self):
        """Oldest first. As text, times of several zones would not sort."""
        return sorted(self.json("snapshots") or [],
                      key=lambda snapshot: datetime.datetime.fromisoformat(snapshot["time"]))

    def restore(self, snapshot="latest", target=None):
        target = target or os.path.join(self.case.dir, "restic-restore")
        shutil.rmtree(target, ignore_errors=True)
        self("restore", snapshot, "--target", target)
        return target

    def tree(self, tree):
        """The nodes of a tree, as they are stored."""
        return json.loads(self("cat", "blob", tree).out)["nodes"]

    def tree_below(self, tree, names):
        """The nodes of a tree; the folders called `names`, one below the other, are replaced by
        their content: their times change while others work in them."""
        nodes = self.tree(tree)
        if names:
            for number, node in enumerate(nodes):
                if node["name"] == names[0] and node["type"] == "dir":
                    nodes[number] = {"name": names[0],
                                     "subtree": self.tree_below(node["subtree"], names[1:])}
        return nodes
