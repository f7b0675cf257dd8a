"""Proof at the start that a locked child cannot do what it must not: each probe tries it, under the real lock.

`attempt` runs inside the sandbox; `judge` outside. Decides on what happened, never on what the kernel claims to know.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import signal
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Any


class Attempt(IntEnum):
    """What a probe tries. A child that comes back from one answers its errno, or 0: it was not stopped."""

    NOTHING = 0  # the control: a child that dies here proves nothing about the others
    READ_A_FILE = 1
    WRITE_A_FILE = 2
    OPEN_A_SOCKET = 3
    RUN_A_PROGRAM = 4
    START_A_PROCESS = 5
    CLONE_A_PROCESS = 6  # the call that starts threads too
    TRACE_A_PROCESS = 7
    SIGNAL_THE_PARENT = 8
    MAKE_A_USER_NAMESPACE = 9
    USE_IO_URING = 10
    MAP_EXECUTABLE_MEMORY = 11
    MAKE_MEMORY_EXECUTABLE = 12
    TAKE_UNBOUNDED_MEMORY = 13
    SPIN_FOR_EVER = 14


# What the lock of a child that may start threads could have let through with them.
NEAR_THREADS = (
    *(Attempt.NOTHING, Attempt.READ_A_FILE, Attempt.RUN_A_PROGRAM, Attempt.START_A_PROCESS, Attempt.CLONE_A_PROCESS),
    Attempt.MAKE_A_USER_NAMESPACE,
)


@dataclass(frozen=True, slots=True)
class Probe:
    """One thing a locked child tried: whether it was stopped, and how (for people)."""

    name: str
    stopped: bool
    how: str


# Read before the lock closes: a probe must be stopped by what it tries, not by how it prepares.
_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
_MACHINE = os.uname().machine if hasattr(os, "uname") else ""
_ZYGOTE_PID = os.getpid()
_EXEC_ARGUMENTS = (ctypes.c_char_p * 3)(b"python", b"--version", None)  # surely there, and soon over
_IO_URING_SETUP, _CLONE3 = 425, 435
_AT_FDCWD, _CLONE_NEWUSER, _PTRACE_TRACEME, _SIGCHLD = -100, 0x10000000, 0, 17
_NUMBERS = {
    "x86_64": {"openat": 257, "socket": 41, "execve": 59, "fork": 57, "ptrace": 101, "kill": 62, "unshare": 272},
    "aarch64": {"openat": 56, "socket": 198, "execve": 221, "fork": 220, "ptrace": 117, "kill": 129, "unshare": 97},
}


def attempt(which: int, memory_bytes: int) -> int:
    """Try it; the errno it failed with, or 0. By bare system calls where one says it: no library may soften it."""
    tried = Attempt(which)
    if tried is Attempt.SPIN_FOR_EVER:
        while True:
            pass
    if tried in _IN_PYTHON:
        try:
            _IN_PYTHON[tried](memory_bytes)
        except MemoryError:
            return errno.ENOMEM
        except OSError as error:
            return error.errno or errno.EPERM
        return 0
    return _bare(tried) if tried is not Attempt.NOTHING else 0


def _bare(tried: Attempt) -> int:
    number = _NUMBERS[_MACHINE]
    calls: dict[Attempt, tuple[Any, ...]] = {
        Attempt.READ_A_FILE: (number["openat"], _AT_FDCWD, b"/proc/self/cmdline", os.O_RDONLY, 0),
        Attempt.WRITE_A_FILE: (number["openat"], _AT_FDCWD, b"/dev/null", os.O_WRONLY, 0),
        Attempt.OPEN_A_SOCKET: (number["socket"], 2, 1, 0),
        Attempt.RUN_A_PROGRAM: (number["execve"], b"/proc/self/exe", _EXEC_ARGUMENTS, None),
        Attempt.START_A_PROCESS: (number["fork"], _SIGCHLD, 0, 0, 0, 0),
        Attempt.CLONE_A_PROCESS: (_CLONE3, struct.pack("=11Q", *(0,) * 4, _SIGCHLD, *(0,) * 6), 88),
        Attempt.TRACE_A_PROCESS: (number["ptrace"], _PTRACE_TRACEME, 0, 0, 0),
        Attempt.SIGNAL_THE_PARENT: (number["kill"], _ZYGOTE_PID, 0),
        Attempt.MAKE_A_USER_NAMESPACE: (number["unshare"], _CLONE_NEWUSER),
        Attempt.USE_IO_URING: (_IO_URING_SETUP, 1, bytes(120)),
    }
    result = _LIBC.syscall(*calls[tried])
    if result == 0 and tried in (Attempt.START_A_PROCESS, Attempt.CLONE_A_PROCESS):
        os._exit(0)  # the grandchild that a working lock does not allow
    return ctypes.get_errno() or errno.EPERM if result < 0 else 0


def _map_executable(_: int) -> None:
    mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_EXEC)


def _make_executable(_: int) -> None:
    page = mmap.mmap(-1, mmap.PAGESIZE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    if _LIBC.mprotect(address, mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_EXEC):
        raise OSError(ctypes.get_errno(), "mprotect")


def _take_memory(memory_bytes: int) -> None:
    mmap.mmap(-1, memory_bytes + (64 << 20))


_IN_PYTHON = {
    Attempt.MAP_EXECUTABLE_MEMORY: _map_executable,
    Attempt.MAKE_MEMORY_EXECUTABLE: _make_executable,
    Attempt.TAKE_UNBOUNDED_MEMORY: _take_memory,
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a child that tried: it answered an errno, was killed by a signal, or overran its time."""

    answered_errno: int | None = None
    killed_by: int = 0
    overran: bool = False


def judge(tried: Attempt, outcome: Outcome) -> Probe:
    name = tried.name.lower().replace("_", " ")
    if tried is Attempt.NOTHING:
        return Probe("locked child answers", outcome.answered_errno == 0, _told(outcome))
    if tried is Attempt.SPIN_FOR_EVER:
        return Probe(name, outcome.overran, _told(outcome))
    stopped = outcome.killed_by == signal.SIGSYS or bool(outcome.answered_errno)
    return Probe(name, stopped, _told(outcome))


def _told(outcome: Outcome) -> str:
    if outcome.overran:
        return "killed at its time limit"
    if outcome.killed_by:
        return f"killed by {signal.Signals(outcome.killed_by).name}"
    if outcome.answered_errno:
        return f"refused: {os.strerror(outcome.answered_errno)}"
    return "done" if outcome.answered_errno == 0 else "ended without an answer"
