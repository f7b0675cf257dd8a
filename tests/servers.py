"""Real servers for the tests, started by the tests themselves on loopback. Never used by the product.

`python tests/servers.py install` installs the Debian packages that are missing, where that may be done (Debian, root);
`python tests/servers.py photos` those with benign photographs, for demo and tests.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from leadline.media import photos

PACKAGES = {
    "postgresql": lambda: postgresql_programs() is not None,
    "dovecot-imapd": lambda: shutil.which("dovecot", path=f"{os.environ['PATH']}:/usr/sbin") is not None,
    "chromium": lambda: shutil.which("chromium") is not None,
    # The same without its windows: pages for half the work.
    "chromium-headless-shell": lambda: shutil.which("chromium-headless-shell") is not None,
    "openssl": lambda: shutil.which("openssl") is not None,
    "wrk": lambda: shutil.which("wrk") is not None,  # bench.service alone asks by it
}


def install() -> None:
    missing = [name for name, is_there in PACKAGES.items() if not is_there()]
    if missing and not install_packages(missing):
        print(f"not installed, so some tests will be skipped: {', '.join(missing)}", file=sys.stderr)


def install_photos() -> None:
    missing = [name for name, (folder, names) in photos.PACKAGES.items() if not (folder / next(iter(names))).exists()]
    if missing and not install_packages(missing):
        todo = f"as root on Debian: apt-get install {' '.join(missing)}"
        print(f"not installed, so demo and tests use the project's own drawings; {todo}", file=sys.stderr)
    print(f"{len(photos.find_photos())} photographs for demo and tests")


def install_packages(missing: list[str]) -> bool:
    """Whether that may be done here."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return False
    quiet = {"env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, "check": False}
    subprocess.run(["apt-get", "update", "-qq"], **quiet)
    subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing], **quiet)
    return True


def skip_without(name: str) -> None:
    """Skip with the reason; in CI that is a failure."""
    if not PACKAGES[name]():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{name} is not installed: its tests must not be skipped in CI")
        pytest.skip(f"{name} is not installed (Debian package {name})")


def postgresql_programs() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _as_ordinary_user() -> dict[str, object]:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("postgres" if _has_user("postgres") else "nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _has_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


class Postgresql:
    """A server of its own: it can be taken away while others work, and brought back.

    Its folder is not below pytest's: each run of pytest that begins closes those to every other user, and a server
    that cannot reach its own folder ends at the next checkpoint.
    """

    def __init__(self, *, durable: bool = False) -> None:
        programs = postgresql_programs()
        assert programs is not None
        self._folder = tempfile.TemporaryDirectory(prefix="leadline-postgresql-")
        folder, port, who = Path(self._folder.name), free_port(), _as_ordinary_user()
        data = self._data = folder / "data"
        data.mkdir()
        if who:
            folder.chmod(0o711)
            os.chown(data, int(str(who["user"])), int(str(who["group"])))
        self._common = {"cwd": data, "check": True, "stdout": subprocess.DEVNULL, **who}
        make = [programs / "initdb", "-D", data, "-U", "leadline", "--auth=trust", "--no-sync", "--locale=C"]
        subprocess.run([*make, "-E", "UTF8"], **self._common)  # type: ignore[call-overload]
        self._options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=''"
        self._options += f" -c fsync={'on' if durable else 'off'}"
        self._control = [programs / "pg_ctl", "-D", data, "-w", "-l", data / "log"]
        self.url = f"postgresql://leadline@127.0.0.1:{port}/postgres"

    def __enter__(self) -> Postgresql:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def start(self) -> None:
        subprocess.run([*self._control, "-o", self._options, "start"], **self._common)  # type: ignore[call-overload]

    def stop(self) -> None:
        """At once: whoever is connected is cut off in the middle."""
        number = int((self._data / "postmaster.pid").read_text().split()[0])
        os.kill(number, signal.SIGQUIT)
        for _ in range(600):
            if not Path(f"/proc/{number}").exists():
                return
            time.sleep(0.05)
        raise RuntimeError("PostgreSQL does not end")

    def log(self) -> str:
        return (self._data / "log").read_text()

    def end(self) -> None:
        """Stopped and its folder removed; a server that has ended by itself says so in an error."""
        try:
            self.stop()
        except FileNotFoundError as missing:
            raise RuntimeError(f"PostgreSQL had ended by itself: {self.log()[-2000:]}") from missing
        finally:
            self._folder.cleanup()


@contextmanager
def postgresql(*, durable: bool = False) -> Iterator[str]:
    """A server of its own; yields its DATABASE_URL. `durable`: as slow as the disk makes it."""
    with Postgresql(durable=durable) as server:
        yield server.url


def fresh_database(url: str, *, like: str = "") -> str:
    """The URL of a new database on a server that runs: empty, or a copy of another at which nobody is just now."""
    import psycopg

    name, template = f"made_{secrets.token_hex(8)}", like.rpartition("/")[2] or "template1"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
    return f"{url.rpartition('/')[0]}/{name}"


if __name__ == "__main__":
    install_photos() if sys.argv[1:] == ["photos"] else install()
