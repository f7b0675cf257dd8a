"""Real servers for the tests, started by the tests themselves on loopback. Never used by the product.

`python tests/servers.py install` installs the Debian packages that are missing, where that may be done (Debian, root).
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PACKAGES = {
    "postgresql": lambda: postgresql_programs() is not None,
    "dovecot-imapd": lambda: shutil.which("dovecot", path=f"{os.environ['PATH']}:/usr/sbin") is not None,
    "chromium": lambda: shutil.which("chromium") is not None,
    "openssl": lambda: shutil.which("openssl") is not None,
}


def install() -> None:
    missing = [name for name, is_there in PACKAGES.items() if not is_there()]
    if not missing:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        print(f"not installed, so some tests will be skipped: {', '.join(missing)}", file=sys.stderr)
        return
    quiet = {"env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, "check": False}
    subprocess.run(["apt-get", "update", "-qq"], **quiet)
    subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing], **quiet)


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


@contextmanager
def postgresql(folder: Path, *, durable: bool = False) -> Iterator[str]:
    """A server of its own in an empty folder; yields its DATABASE_URL. `durable`: as slow as the disk makes it."""
    programs = postgresql_programs()
    assert programs is not None
    data, port, who = folder / "data", free_port(), _as_ordinary_user()
    data.mkdir()
    if who:
        os.chown(data, int(str(who["user"])), int(str(who["group"])))
        for parent in [folder, *folder.parents]:
            if parent.stat().st_uid == 0 and str(parent).startswith("/tmp/"):
                parent.chmod(parent.stat().st_mode | 0o011)
    common = {"cwd": data, "check": True, "stdout": subprocess.DEVNULL, **who}
    make = [programs / "initdb", "-D", data, "-U", "leadline", "--auth=trust", "--no-sync", "--locale=C", "-E", "UTF8"]
    subprocess.run(make, **common)  # type: ignore[call-overload]
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=''"
    options += f" -c fsync={'on' if durable else 'off'}"
    control = [programs / "pg_ctl", "-D", data, "-w", "-l", data / "log"]
    subprocess.run([*control, "-o", options, "start"], **common)  # type: ignore[call-overload]
    try:
        yield f"postgresql://leadline@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], **common)  # type: ignore[call-overload]


if __name__ == "__main__":
    install()
