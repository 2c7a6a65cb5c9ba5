#!/usr/bin/env python3
"""A real S3 server: Ceph's gateway over one monitor and one storage daemon that keeps everything in
memory, on free loopback ports, in a folder of its own.

As a module: Rgw(folder). As a program, for tests in other languages: rgw.py FOLDER prints
"ready PORT" and serves until its standard input ends. The daemons end with whoever started them,
also when that is killed (setpriv --pdeathsig)."""
import hashlib
import hmac
import http.client
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.parse
import uuid

# The owner of the buckets, and another user without any.
KEY, SECRET = "SFTESTKEY", "sftestsecret0123456789"
OTHER_KEY, OTHER_SECRET = "SFOTHERKEY", "sfothersecret0123456789"

CONF = """[global]
fsid = {fsid}
mon_host = [v2:127.0.0.1:{mon2},v1:127.0.0.1:{mon1}]
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
ms_bind_ipv6 = false
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
ms_mon_client_mode = crc
run_dir = {dir}/run
admin_socket =
pid_file =
log_file = {dir}/log/$name.log
crash_dir = {dir}/crash
osd_pool_default_size = 1
osd_pool_default_min_size = 1
mon_allow_pool_size_one = true
osd_crush_chooseleaf_type = 0
osd_pool_default_pg_num = 8
osd_pool_default_pg_autoscale_mode = off
mon_max_pg_per_osd = 1000
paxos_propose_interval = 0.05
paxos_min_wait = 0.01
mon_data_avail_crit = 1
[mon]
mon_data = {dir}/mon
[osd]
osd_data = {dir}/osd0
osd_objectstore = memstore
memstore_device_bytes = {memory}
[client.rgw.a]
rgw_data = {dir}/rgw
rgw_frontends = beast {endpoint}
rgw_gc_obj_min_wait = 1
"""


class Failed(Exception):
    pass


def free_ports(count):
    """Different ones: all are bound at once."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [sock.getsockname()[1] for sock in sockets]
    for sock in sockets:
        sock.close()
    return ports


def signed_headers(host, method, path, query, body, key, secret, more=()):
    """AWS Signature Version 4, as the documentation has it. path and query are escaped."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    headers = {"host": host, "x-amz-content-sha256": hashlib.sha256(body).hexdigest(),
               "x-amz-date": stamp, **dict(more)}
    names = ";".join(sorted(headers))
    canonical = "\n".join([method, path, query,
                           *(f"{name}:{headers[name]}" for name in sorted(headers)), "", names,
                           headers["x-amz-content-sha256"]])
    scope = f"{stamp[:8]}/us-east-1/s3/aws4_request"
    to_sign = "\n".join(["AWS4-HMAC-SHA256", stamp, scope,
                         hashlib.sha256(canonical.encode()).hexdigest()])
    digest = ("AWS4" + secret).encode()
    for part in [*scope.split("/"), to_sign]:
        digest = hmac.new(digest, part.encode(), hashlib.sha256).digest()
    headers["authorization"] = (f"AWS4-HMAC-SHA256 Credential={key}/{scope},SignedHeaders={names},"
                                f"Signature={digest.hex()}")
    return headers


class Rgw:
    """Started by the constructor; stop() ends it. With `certificate` (a file with certificate and
    key) it speaks TLS."""

    def __init__(self, folder, certificate=None, memory=2 << 30):
        self.dir, self.certificate, self.memory = folder, certificate, memory
        self.path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
        for tool in ("radosgw", "radosgw-admin", "ceph-mon", "ceph-osd", "monmaptool"):
            if shutil.which(tool, path=self.path) is None:
                raise Failed(f"{tool} is not installed; ./test installs it (packages radosgw, "
                             "ceph-mon, ceph-osd)")
        self.env = {"PATH": self.path, "HOME": folder, "LC_ALL": "C.UTF-8",
                    "CEPH_CONF": os.path.join(folder, "ceph.conf")}
        self.daemons = {}
        self.port = None
        for attempt in range(3):
            try:
                self._start()
                return
            except Failed:
                self.stop()
                if attempt == 2:
                    raise

    def _start(self):
        shutil.rmtree(self.dir, ignore_errors=True)
        for name in ("mon", "osd0", "rgw", "log", "run", "crash"):
            os.makedirs(os.path.join(self.dir, name))
        mon2, mon1, self.port = free_ports(3)
        fsid = str(uuid.uuid4())
        with open(self.env["CEPH_CONF"], "w", encoding="ascii") as conf:
            conf.write(CONF.format(fsid=fsid, mon1=mon1, mon2=mon2, dir=self.dir, memory=self.memory,
                                   endpoint=self._endpoint()))
        monmap = os.path.join(self.dir, "monmap")
        self.tool("monmaptool", "--create", "--fsid", fsid, "--addv", "a",
                  f"[v2:127.0.0.1:{mon2},v1:127.0.0.1:{mon1}]", "--clobber", monmap)
        self.tool("ceph-mon", "-i", "a", "--mkfs", "--monmap", monmap)
        self._spawn("ceph-mon", "-i", "a")
        osd = str(uuid.uuid4())
        self.tool("ceph", "--connect-timeout", "30", "osd", "new", osd)
        self.tool("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd)
        self._spawn("ceph-osd", "-i", "0")
        self._spawn("radosgw", "-n", "client.rgw.a")
        users = [threading.Thread(target=self.add_user, args=user) for user in
                 (("owner", KEY, SECRET), ("other", OTHER_KEY, OTHER_SECRET))]
        self._wait_until_it_answers()
        for thread in users:
            thread.start()
        for thread in users:
            thread.join()

    def _endpoint(self):
        if self.certificate:
            return f"ssl_endpoint=127.0.0.1:{self.port} ssl_certificate={self.certificate}"
        return f"endpoint=127.0.0.1:{self.port}"

    def tool(self, *argv):
        done = subprocess.run(argv, env=self.env, stdin=subprocess.DEVNULL, timeout=60,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        if done.returncode != 0:
            raise Failed(f"{' '.join(argv)}: {done.stdout.decode(errors='replace')}")
        return done.stdout.decode()

    def _spawn(self, name, *arguments):
        with open(os.path.join(self.dir, "log", name + ".out"), "ab") as out:
            self.daemons[name] = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", name, "-f", *arguments], env=self.env,
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)

    def _wait_until_it_answers(self):
        end = time.monotonic() + 60
        pause = threading.Event()
        while True:
            for name, process in self.daemons.items():
                if process.poll() is not None:
                    raise Failed(f"{name} ended: {self.said(name)}")
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=5):
                    return
            except OSError:
                if time.monotonic() > end:
                    raise Failed("radosgw does not answer: " + self.said("radosgw")) from None
            pause.wait(0.02)

    def said(self, name):
        with open(os.path.join(self.dir, "log", name + ".out"), encoding="utf-8",
                  errors="replace") as out:
            return out.read()[-2000:]

    def add_user(self, name, key, secret):
        self.tool("radosgw-admin", "user", "create", f"--uid={name}", f"--display-name={name}",
                  f"--access-key={key}", f"--secret-key={secret}")

    def request(self, method, bucket, name="", query="", body=b"", key=KEY, secret=SECRET,
                headers=()):
        """(status, body). `query` is escaped and sorted already: "prefix=x".
        `headers`: more, by lower-case name."""
        path = urllib.parse.quote(f"/{bucket}/{name}" if name else f"/{bucket}")
        host = f"127.0.0.1:{self.port}"
        if self.certificate:
            connection = http.client.HTTPSConnection(host, timeout=60,
                                                     context=ssl._create_unverified_context())
        else:
            connection = http.client.HTTPConnection(host, timeout=60)
        try:
            connection.request(method, path + ("?" + query if query else ""), body,
                               signed_headers(host, method, path, query, body, key, secret,
                                              headers))
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def make_bucket(self, name, lock=False):
        """With `lock`: one with versions and Object Lock."""
        status, text = self.request("PUT", name, headers={
            "x-amz-bucket-object-lock-enabled": "true"} if lock else {})
        if status != 200:
            raise Failed(f"bucket {name}: HTTP {status}: {text.decode(errors='replace')}")

    def names(self, bucket, prefix=""):
        """Of at most 1000 objects."""
        status, text = self.request("GET", bucket, query="list-type=2&prefix=" +
                                    urllib.parse.quote(prefix, safe=""))
        if status != 200:
            raise Failed(f"listing {bucket}: HTTP {status}")
        return [part.split("</Key>")[0] for part in text.decode().split("<Key>")[1:]]

    def stop_gateway(self):
        """As a server that is switched off; what it stored stays."""
        self._end("radosgw")

    def start_gateway(self):
        """On the port it had before."""
        self._spawn("radosgw", "-n", "client.rgw.a")
        self._wait_until_it_answers()

    def _end(self, name):
        process = self.daemons.pop(name, None)
        if process is not None:
            process.kill()
            process.wait(30)

    def stop(self):
        for name in list(self.daemons):
            self._end(name)


def main():
    server = Rgw(sys.argv[1])
    try:
        print("ready", server.port, flush=True)
        sys.stdin.read()
    finally:
        server.stop()


if __name__ == "__main__":
    main()
