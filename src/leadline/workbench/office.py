"""The office as a whole: making its folder and keys ready, starting its processes, watching over them.

Refuses to start rather than run without its key, on a foreign address without TLS, or with a folder others can read.
"""

from __future__ import annotations

import ipaddress
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from leadline.custody.storage import check_place
from leadline.errors import ConfigError
from leadline.media.lock import hide_from_neighbours

_STOP_TIMEOUT_S = 20
_RESTART_AFTER_S = 2.0


def prepare_office(say: Callable[[str], None]) -> None:
    """Folders, keys, tables. ConfigError where starting would be unsafe. Django must be set up."""
    from django.conf import settings

    from leadline.workbench.running import refuse_half_restored
    from leadline.workbench.tables import bring_up_to_date

    check_addresses(settings)
    check_place(settings.LEADLINE_VAULT)
    settings.LEADLINE_HOME.mkdir(parents=True, exist_ok=True, mode=0o700)
    _check_home()
    refuse_half_restored()
    check_secret()
    is_new = not _has_tables()
    prepare_keys(settings, is_new=is_new)
    say("preparing the database")
    bring_up_to_date()


def begin_work() -> None:
    """What a server or worker does first, whoever starts it. It makes nothing; ConfigError or WrongState says why not.

    Its memory, which holds media and keys, can be dumped by nobody; until it ends no restore and no `forget-key` begin.
    """
    from leadline.workbench.running import stay_at_work

    hide_from_neighbours()
    stay_at_work()
    check_office()


def check_office() -> None:
    """All that `leadline up` asks of an office which is there already."""
    from django.conf import settings

    from leadline.workbench.running import refuse_half_restored

    check_addresses(settings)
    check_place(settings.LEADLINE_VAULT)
    _check_home()
    refuse_half_restored()
    check_secret()
    prepare_keys(settings, is_new=False)
    if not _has_tables():
        raise ConfigError("there is no office here yet", where="database", mend="start `leadline up` once")


def check_secret() -> None:
    """ConfigError where `settings` had to make a new django.key although people have signed in here before."""
    from django.conf import settings

    if settings.LEADLINE_SECRET_IS_NEW and _has_tables():
        path = settings.LEADLINE_HOME / "keys" / "django.key"
        path.unlink(missing_ok=True)  # else the next start would take it for the one that was lost
        mend = "put it back; if it is lost, write 64 random characters there, mode 600: everybody signs in anew"
        raise ConfigError("the key that signs sessions is missing", where=str(path), mend=mend)


def _check_home() -> None:
    from django.conf import settings

    if settings.LEADLINE_HOME.stat().st_mode & 0o077:
        raise ConfigError("others can read this folder", where=str(settings.LEADLINE_HOME), mend="chmod 700 it")


def check_addresses(settings: object) -> None:
    tls, proxy = all(settings.LEADLINE_TLS), settings.LEADLINE_PROXY  # type: ignore[attr-defined]
    for name in ("LEADLINE_ADDRESS", "LEADLINE_PUBLIC_ADDRESS"):
        address = getattr(settings, name)
        if address == "off":
            continue
        is_near = all([_is_loopback(name, one.strip()) for one in address.split(",")])
        if not is_near and not tls and not proxy:
            mend = "give LEADLINE_TLS_CERTIFICATE and LEADLINE_TLS_KEY, or name your TLS proxy in LEADLINE_PROXY"
            raise ConfigError("an address beyond this machine needs TLS", where=f"{name}={address}", mend=mend)


def _is_loopback(name: str, address: str) -> bool:
    """Read as gunicorn reads it before it listens there: a name that only begins like this machine's is another's."""
    from gunicorn.util import parse_address

    try:
        listens_at = parse_address(address)
    except RuntimeError:
        raise ConfigError("not an address", where=f"{name}={address}", mend="write HOST:PORT") from None
    if not isinstance(listens_at, tuple):  # a socket in the file system, or one that is open already
        return False
    try:
        return ipaddress.ip_address(listens_at[0]).is_loopback
    except ValueError:
        return bool(listens_at[0] == "localhost")


def _has_tables() -> bool:
    from django.db import connection

    return "django_migrations" in connection.introspection.table_names()


def prepare_keys(settings: object, *, is_new: bool) -> None:
    """On the very first start keys are made. Later a missing key is a loud fault: a new one would open nothing.

    A key management service makes its own: it is tried instead.
    """
    from leadline.custody.keys import InstanceKey, SigningKey
    from leadline.workbench import sealing

    if settings.LEADLINE_KEY_SLOT:  # type: ignore[attr-defined]
        sealing.key_slot()
    for path, kind in (
        (settings.LEADLINE_KEY_FILE, InstanceKey),  # type: ignore[attr-defined]
        (settings.LEADLINE_SIGNING_KEY_FILE, SigningKey),  # type: ignore[attr-defined]
    )[bool(settings.LEADLINE_KEY_SLOT) :]:  # type: ignore[attr-defined]
        if is_new and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            kind.create(path)
        kind.load(path)


def setup_link() -> str | None:
    """Where the first administrator is made; None once anyone is there."""
    from django.conf import settings

    from leadline.workbench.accounts import access, actions

    if access.is_set_up():
        return None
    return f"{address_of(settings.LEADLINE_ADDRESS)}/join/{actions.make_setup_link()}/"


def address_of(address: str) -> str:
    from django.conf import settings

    scheme = "https" if all(settings.LEADLINE_TLS) else "http"
    return f"{scheme}://{address.replace('127.0.0.1', 'localhost')}"


class Supervisor:
    """Starts the processes, restarts one that falls over, ends all of them in order."""

    def __init__(self, commands: dict[str, list[str]], say: Callable[[str], None]) -> None:
        self._commands, self._say = commands, say
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._stopping = False

    def run(self) -> None:
        """Until SIGINT or SIGTERM."""
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        for name in self._commands:
            self._start(name)
        try:
            while not self._stopping:
                self._revive()
                time.sleep(0.2)
        finally:
            self._end_all()

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def _start(self, name: str) -> None:
        self._running[name] = subprocess.Popen(self._commands[name], start_new_session=True)  # noqa: S603

    def _revive(self) -> None:
        for name, process in list(self._running.items()):
            if process.poll() is not None and not self._stopping:
                self._say(f"{name} ended with code {process.returncode}; starting it again")
                time.sleep(_RESTART_AFTER_S)
                self._start(name)

    def _end_all(self) -> None:
        for process in self._running.values():
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + _STOP_TIMEOUT_S
        for process in self._running.values():
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def commands(*, public: bool) -> dict[str, list[str]]:
    server = [sys.executable, "-m", "leadline.workbench.server"]
    found = {"web": [*server, "staff"], "worker": [sys.executable, "-m", "leadline.workbench.worker"]}
    return found | ({"public form": [*server, "public"]} if public else {})


def home_folder() -> Path:
    from django.conf import settings

    return Path(settings.LEADLINE_HOME)
