"""A PostgreSQL server of one's own that is stopped, restarted and killed, and a proxy before it."""

import os
import pwd
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import psycopg

from faults.rows import SkippedRowError

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin")) if os.name == "posix" else []
ACCOUNT = "postgres"
"""PostgreSQL refuses to run as root; then this account of Debian's package runs it."""
SETTINGS = """
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = '{folder}'
fsync = off
max_connections = 40
"""


class Server:
    """A server in a folder of its own, on a free port of this machine."""

    def __init__(self) -> None:
        if not BINARIES:
            raise SkippedRowError("needs PostgreSQL (apt-get install postgresql)")
        self._bin = BINARIES[-1]
        self._account = _account()
        # Another account must reach it, so it is not below a folder of this one's alone.
        self._folder = Path(tempfile.mkdtemp(prefix="faults-postgres-"))
        if self._account:
            shutil.chown(self._folder, self._account)
        self.port = free_port()
        data = self._folder / "data"
        self._run("initdb", "-D", str(data), "-A", "trust", "-U", ACCOUNT)
        with (data / "postgresql.conf").open("a") as file:
            file.write(SETTINGS.format(port=self.port, folder=self._folder))
        self.start()
        self._count = 0

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._bin / program), *arguments]
        if self._account:
            command = ["setpriv", "--reuid", self._account, "--regid", self._account,
                       "--clear-groups", *command]  # fmt: skip
        done = subprocess.run(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False
        )
        if done.returncode and program == "initdb":
            raise SkippedRowError(f"initdb fails: {done.stderr.decode().strip()[-200:]}")

    def _control(self, *arguments: str) -> None:
        log = str(self._folder / "log")
        self._run("pg_ctl", "-D", str(self._folder / "data"), "-l", log, "-w", *arguments)

    def start(self) -> None:
        """Start the server and wait until it answers."""
        self._control("start")

    def stop(self, mode: str) -> None:
        """Stop the server: fast, or immediate."""
        self._control("-m", mode, "stop")

    def close(self) -> None:
        """Stop the server and remove its folder."""
        self.stop("immediate")
        shutil.rmtree(self._folder, ignore_errors=True)

    def kill(self) -> None:
        """Kill the server's first process, and wait until its sessions have ended."""
        pid_file = self._folder / "data" / "postmaster.pid"
        pid = int(pid_file.read_text().split()[0])
        os.kill(pid, signal.SIGKILL)
        end = time.monotonic() + 10
        while Path(f"/proc/{pid}").exists() and time.monotonic() < end:
            time.sleep(0.02)
        time.sleep(0.3)

    def url(self, port: int | None = None) -> str:
        """The URL of a new database, through a proxy if its port is given."""
        self._count += 1
        name = f"study_{self._count}"
        with psycopg.connect(self.address(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"postgresql://{ACCOUNT}@127.0.0.1:{port or self.port}/{name}"

    def address(self, name: str = ACCOUNT) -> str:
        """Where psycopg finds a database."""
        return f"postgresql://{ACCOUNT}@127.0.0.1:{self.port}/{name}"

    def end_sessions(self) -> int:
        """End every session of bakeoff, and return their number."""
        query = (
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE application_name LIKE 'bakeoff%'"
        )
        with psycopg.connect(self.address(), autocommit=True) as connection:
            return len(connection.execute(query).fetchall())


def _account() -> str:
    """The account that runs the server; empty for one's own."""
    if os.getuid():
        return ""
    with suppress(KeyError):
        return pwd.getpwnam(ACCOUNT).pw_name
    raise SkippedRowError(f"needs the account {ACCOUNT!r} to run PostgreSQL")


def free_port() -> int:
    """A port of this machine that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Proxy:
    """Passes bytes between clients and a server, until it holds them or resets the connections."""

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._is_closed = False
        self.holds = False
        """While it is true nothing passes, and nobody is told: a black hole."""
        threading.Thread(target=self._serve, daemon=True).start()

        self.refuses = False
        """While it is true, every new connection is closed at once."""

    def reset(self) -> None:
        """Break every connection."""
        for one in list(self._pairs):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Stop passing bytes."""
        self._is_closed = True

    def _serve(self) -> None:
        while not self._is_closed:
            waiting = [] if self.holds else [self._listener, *self._pairs]
            ready = select.select(waiting, [], [], 0.02)[0] if waiting else time.sleep(0.02) or []
            for one in ready:
                if one is self._listener:
                    self._accept()
                elif one in self._pairs:
                    self._pass_on(one)
        for one in (self._listener, *self._pairs):
            one.close()

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        if self.refuses:
            client.close()
            return
        try:
            server = socket.create_connection(("127.0.0.1", self._server_port), timeout=5)
        except OSError:
            client.close()
            return
        self._pairs[client], self._pairs[server] = server, client

    def _pass_on(self, one: socket.socket) -> None:
        other = self._pairs[one]
        try:
            data = one.recv(1 << 16)
            if data:
                other.sendall(data)
                return
        except OSError:
            pass
        for end in (one, other):
            self._pairs.pop(end, None)
            end.close()
