"""A Python that has the libraries loaded and forks for each program that a test runs: that spares most of a start.

What is run has arguments, environment, folder and streams of its own and ends as any program ends; settings and models
are loaded by itself. A program that a test talks to, or kills from outside, is started by `subprocess`.
"""

from __future__ import annotations

import atexit
import functools
import gc
import importlib
import json
import os
import pkgutil
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import leadline

ROOT = Path(__file__).parents[1]
_LARGEST = 1 << 20  # bytes of what is asked
# What offices load and what asks for no settings while it is loaded.
_LIBRARIES = (
    *("django.contrib.auth.hashers", "django.core.handlers.wsgi", "django.core.mail", "django.core.management"),
    *("django.core.paginator", "django.db.models", "django.forms", "django.template.loader", "django.views.generic"),
    *("django.db.backends.sqlite3.base", "django.db.backends.postgresql.base", "django.test.client"),
    *("argon2", "fido2.server", "prometheus_client", "pydantic.main", "pydantic.type_adapter", "pymisp", "requests"),
)
_NOT_LOADED = ("leadline.service", "leadline.workbench")


def run(
    arguments: list[str], *, env: Mapping[str, str], cwd: Path = ROOT, timeout_s: float = 180
) -> subprocess.CompletedProcess[str]:
    """As `subprocess.run([sys.executable, *arguments], capture_output=True, text=True)`, of -m MODULE or -c CODE."""
    asked = json.dumps([arguments, dict(env), str(cwd)]).encode()
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as told:
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                handed = [theirs.fileno(), said.fileno(), told.fileno()]
                socket.send_fds(_forker(os.getpid()), [asked], handed)
            ours.settimeout(timeout_s)
            try:
                answer = ours.recv(16)
            except TimeoutError:  # and with our end closed it is killed
                raise subprocess.TimeoutExpired(arguments, timeout_s) from None
        texts = [file.seek(0) or file.read().decode() for file in (said, told)]
    return subprocess.CompletedProcess(arguments, int(answer), *texts)


@functools.cache
def _forker(_: int) -> socket.socket:
    """One for each process of a run; it ends when that does."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        command = [sys.executable, "-m", "tests.forking", str(theirs.fileno())]
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("LEADLINE_", "DJANGO_"))}
        process = subprocess.Popen(
            command, cwd=ROOT, env=kept, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
    threading.Thread(target=process.wait, daemon=True).start()
    atexit.register(ours.close)
    return ours


# --- in the process that forks ---------------------------------------------------------------------------------------


def load() -> None:
    for name in _LIBRARIES:
        importlib.import_module(name)
    for module in pkgutil.walk_packages(leadline.__path__, "leadline."):
        if not module.name.startswith(_NOT_LOADED) and not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    gc.collect()
    gc.freeze()  # what is shared stays shared


def serve(channel: socket.socket) -> list[str]:
    """Fork for each that is asked for. Returns in the fork: the arguments of what it is to run."""
    waiting = selectors.DefaultSelector()
    waiting.register(channel, selectors.EVENT_READ)
    running: dict[int, tuple[int, socket.socket]] = {}
    while True:
        key, _ = waiting.select()[0]
        if key.fileobj is channel:
            asked, handed, _, _ = socket.recv_fds(channel, _LARGEST, 3)
            if not asked:
                sys.exit()
            arguments, environment, folder = json.loads(asked)
            pid = os.fork()
            if not pid:
                waiting.close()
                channel.close()
                _become(environment, folder, handed)
                return list(arguments)
            asker, watch = socket.socket(fileno=handed[0]), os.pidfd_open(pid)
            for file in handed[1:]:
                os.close(file)
            running[watch] = pid, asker
            waiting.register(watch, selectors.EVENT_READ)
            waiting.register(asker, selectors.EVENT_READ, watch)
        elif key.data:  # whoever asked waits no longer
            waiting.unregister(key.fileobj)
            signal.pidfd_send_signal(key.data, signal.SIGKILL)
        else:
            waiting.unregister(key.fd)
            pid, asker = running.pop(key.fd)
            os.close(key.fd)
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            with asker:
                if asker in waiting.get_map():
                    waiting.unregister(asker)
                    asker.send(str(code).encode())


def _become(environment: dict[str, str], folder: str, handed: list[int]) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for file, stream in zip(handed[1:], (1, 2), strict=True):
        os.dup2(file, stream)
    for file in handed:
        os.close(file)


def main() -> None:
    load()
    how, what, *more = serve(socket.socket(fileno=int(sys.argv[1])))
    sys.path[0] = os.getcwd() if how == "-m" else ""
    if how == "-m":
        sys.argv = [what, *more]
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        sys.argv = ["-c", *more]
        sys.modules["__main__"] = ModuleType("__main__")
        exec(compile(what, "<string>", "exec"), vars(sys.modules["__main__"]))


if __name__ == "__main__":
    main()
