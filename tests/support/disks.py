"""Small disks: file systems in memory that can be filled, and emptied again."""
import errno
import os
import subprocess


class SmallDisk:
    """A tmpfs of `size` bytes at `path`; unmounted at the end of the test. Needs root."""

    def __init__(self, case, path, size):
        self.case, self.path = case, path
        os.makedirs(path, exist_ok=True)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "sevenfold-test",
                               path], capture_output=True, check=False)
        if done.returncode != 0:
            case.fail("a small disk cannot be mounted (needs root, in a container CAP_SYS_ADMIN): " +
                      done.stderr.decode())
        case.addCleanup(self.unmount)

    def unmount(self):
        subprocess.run(["umount", "-l", self.path], check=True)

    def free(self):
        state = os.statvfs(self.path)
        return state.f_bavail * state.f_frsize

    def fill(self, leave=0):
        """Takes all space but `leave` bytes (rounded to whole pages)."""
        filler = os.path.join(self.path, "filler")
        with open(filler, "ab", buffering=0) as file:
            size = max(0, self.free() - leave)
            try:
                os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), max(size, 1))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise

    def release(self):
        filler = os.path.join(self.path, "filler")
        if os.path.exists(filler):
            os.unlink(filler)

    def resize(self, size):
        subprocess.run(["mount", "-o", f"remount,size={size}", self.path], check=True)
