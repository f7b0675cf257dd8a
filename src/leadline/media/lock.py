"""Closes a process in for good: no_new_privs, resource limits, Landlock, seccomp. Never opens anything again.

By ctypes and by hand, so that no library has to be found on the machine: the BPF program is forty words. Sources:
linux/seccomp.h, linux/filter.h, linux/landlock.h, the syscall tables of x86-64 and arm64, prctl(2), landlock(7).
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import struct
import sys
from dataclasses import dataclass

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_SECCOMP = 22
PR_SET_NO_NEW_PRIVS = 38
PR_SET_MDWE = 65
SECCOMP_MODE_FILTER = 2
KILL_PROCESS, ALLOW, FAIL = 0x80000000, 0x7FFF0000, 0x00050000
SIGKILL = 9
PROT_EXEC = 4
_NOBODY = 65534

# What a decoder needs once everything is loaded and every file is open: its memory, its socket's messages, and reading
# a container's descriptor at a position. Not here, on purpose: anything that takes a path, makes a descriptor, a
# process, a signal or a timer, and stat, which Landlock does not cover.
_X86_64 = {
    **{"read": 0, "write": 1, "close": 3, "mmap": 9, "mprotect": 10, "munmap": 11, "brk": 12},
    **{"rt_sigprocmask": 14, "rt_sigreturn": 15, "pread64": 17, "sched_yield": 24, "mremap": 25, "madvise": 28},
    **{"exit": 60, "futex": 202, "restart_syscall": 219, "clock_gettime": 228, "exit_group": 231},
    **{"clone": 56, "clone3": 435, "set_robust_list": 273, "rseq": 334},
}
_AARCH64 = {
    **{"read": 63, "write": 64, "close": 57, "mmap": 222, "mprotect": 226, "munmap": 215, "brk": 214},
    **{"rt_sigprocmask": 135, "rt_sigreturn": 139, "pread64": 67, "sched_yield": 124, "mremap": 216, "madvise": 233},
    **{"exit": 93, "futex": 98, "restart_syscall": 128, "clock_gettime": 113, "exit_group": 94},
    **{"clone": 220, "clone3": 435, "set_robust_list": 99, "rseq": 293},
}
# Only where a decoder cannot do without a thread of its own (libde265): clone with exactly the flags of a thread.
# clone3 hides its flags behind a pointer, so it "does not exist", and libc turns to clone.
_FOR_THREADS = {"clone": "thread", "clone3": "absent", "set_robust_list": "allow", "rseq": "allow"}
_GUARDED = {"mmap": "data", "mprotect": "data"}  # never executable
_THREAD_FLAGS = 0x3D0F00  # VM FS FILES SIGHAND THREAD SYSVSEM SETTLS PARENT_SETTID CHILD_CLEARTID
_X32_BIT = 0x40000000


@dataclass(frozen=True, slots=True)
class Machine:
    """What differs between processors: the audit number of the ABI, and the numbers of the system calls."""

    audit_arch: int
    calls: dict[str, int]


MACHINES = {"x86_64": Machine(0xC000003E, _X86_64), "aarch64": Machine(0xC00000B7, _AARCH64)}

# struct sock_filter: code, jump if true, jump if false, operand. Offsets are those of struct seccomp_data.
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NR, _ARCH, _ARG0, _ARG2 = 0, 4, 16, 32


def assemble_filter(machine: Machine, *, threads: bool) -> bytes:
    """The seccomp program: the listed calls, no executable memory, and all else kills the process."""
    rules = {name: _GUARDED.get(name, "allow") for name in machine.calls if name not in _FOR_THREADS}
    rules |= _FOR_THREADS if threads else {}
    # (label, code, label if true, label if false, operand); "" is the next line
    lines = [("", _LOAD, "", "", _ARCH), ("", _EQUAL, "", "kill", machine.audit_arch)]
    lines += [("", _LOAD, "", "", _NR), ("", _AT_LEAST, "kill", "", _X32_BIT)]
    lines += [("", _EQUAL, label, "", machine.calls[name]) for name, label in rules.items()]
    lines += [("kill", _RETURN, "", "", KILL_PROCESS), ("allow", _RETURN, "", "", ALLOW)]
    lines += [("data", _LOAD, "", "", _ARG2), ("", _ANY_BIT, "no", "", PROT_EXEC), ("", _RETURN, "", "", ALLOW)]
    lines += [("thread", _LOAD, "", "", _ARG0), ("", _EQUAL, "", "no", _THREAD_FLAGS), ("", _RETURN, "", "", ALLOW)]
    lines += [("absent", _RETURN, "", "", FAIL | errno.ENOSYS), ("no", _RETURN, "", "", KILL_PROCESS)]
    at = {line[0]: number for number, line in enumerate(lines) if line[0]}

    def jump(label: str, here: int) -> int:
        return at[label] - here - 1 if label else 0

    return b"".join(
        struct.pack("=HBBI", code, jump(yes, here), jump(no, here), operand)
        for here, (_, code, yes, no, operand) in enumerate(lines)
    )


_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
_LIBC.syscall.restype = ctypes.c_long
_LIBC.capset.argtypes = [ctypes.c_char_p, ctypes.c_char_p]  # names it now: a child would search fifty libraries for it


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))

    @classmethod
    def of(cls, code: bytes) -> _Program:
        return cls(len(code) // 8, code)


_SPARE_TASKS = 256  # beyond those that run now: others may start some meanwhile

_LANDLOCK_CREATE, _LANDLOCK_RESTRICT = 444, 446  # the same numbers on every architecture
_RULESET_VERSION = 1
# First kernel ABI that knows each right; a ruleset that handles a right and allows it nowhere denies it everywhere.
_FS_RIGHTS = ((1, 0x1FFF), (2, 0x2000), (3, 0x4000), (5, 0x8000))
_NET_RIGHTS_ABI, _NET_RIGHTS = 4, 3  # bind and connect TCP
_SCOPES_ABI, _SCOPES = 6, 3  # abstract unix sockets and signals to outside


class Lock:
    """Prepared once in the zygote; `apply` costs a child about ten system calls.

    Raises OSError where the machine or its kernel lacks seccomp filters. Landlock is applied as far as the kernel
    knows it (`landlock_abi`, 0 = not at all); whether that is enough is for the self-test's probes to say.
    """

    def __init__(self, memory_bytes: int) -> None:
        machine = MACHINES.get(os.uname().machine)
        if sys.platform != "linux" or machine is None or sys.maxsize < 1 << 32:
            raise OSError(errno.ENOSYS, "no seccomp filter for this machine")
        self._programs = [_Program.of(assemble_filter(machine, threads=threads)) for threads in (False, True)]
        self._tasks = 0
        self._address_space_bytes = memory_bytes + _mapped_bytes()
        self.landlock_abi = ask_landlock_abi()

    def _restrict_files(self) -> None:
        abi = self.landlock_abi
        handled = sum(bits for since, bits in _FS_RIGHTS if abi >= since)
        attribute = struct.pack("=Q", handled)
        attribute += struct.pack("=Q", _NET_RIGHTS) if abi >= _NET_RIGHTS_ABI else b""
        attribute += struct.pack("=Q", _SCOPES) if abi >= _SCOPES_ABI else b""
        ruleset = _LIBC.syscall(_LANDLOCK_CREATE, attribute, ctypes.c_size_t(len(attribute)), 0)
        if ruleset < 0 or _LIBC.syscall(_LANDLOCK_RESTRICT, ruleset, 0) != 0:
            raise OSError(ctypes.get_errno(), "Landlock")
        os.close(ruleset)

    def apply(self, cpu_s: int, *, threads: bool = False) -> None:
        """Lock this process for ever. Raises OSError when a part that must hold does not; then leave at once."""
        self._prctl(PR_SET_NO_NEW_PRIVS, 1)
        _LIBC.prctl(PR_SET_MDWE, 1, 0, 0, 0)  # refused by kernels before 6.3; seccomp says the same
        if self.landlock_abi:
            self._restrict_files()
        for limit, value in (
            (resource.RLIMIT_AS, self._address_space_bytes),
            (resource.RLIMIT_CPU, cpu_s),
            (resource.RLIMIT_FSIZE, 0),
            (resource.RLIMIT_NOFILE, 0),
            (resource.RLIMIT_NPROC, self._tasks + _SPARE_TASKS if threads else 0),
            (resource.RLIMIT_CORE, 0),
        ):
            resource.setrlimit(limit, (value, value))
        self._prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(self._programs[threads]))

    def count_tasks(self) -> None:
        """Before a child that may start threads is forked: the kernel's bound is on all tasks of a user together."""
        with open("/proc/loadavg", encoding="ascii") as loadavg:
            self._tasks = int(loadavg.read().split()[3].partition("/")[2])

    def _prctl(self, option: int, *values: int) -> None:
        if _LIBC.prctl(option, *(*values, 0, 0, 0)[:4]) != 0:
            raise OSError(ctypes.get_errno(), f"prctl {option}")


def ask_landlock_abi() -> int:
    """What the running kernel knows of Landlock: its ABI version, 0 where it is absent or switched off."""
    if sys.platform != "linux":
        return 0
    return max(0, int(_LIBC.syscall(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), _RULESET_VERSION)))


def die_with_parent(parent_pid: int) -> None:
    """Be killed when the process that forked us ends, also when it already has."""
    _LIBC.prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:
        os._exit(0)


def hide_from_neighbours() -> None:
    """No core dumps, and no ptrace or /proc memory by processes of the same user: the memory holds evidence, and keys.

    Both, because a core that is piped to a collector is not bound by the limit on its size.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":  # elsewhere nothing is decoded, and commands that decode nothing still work
        _LIBC.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def leave_root() -> None:
    """In case Leadline runs as root: become nobody, or where that cannot be, give up every capability.

    A worker needs no right over anything, and the bound on tasks does not hold for root.
    """
    if os.geteuid() == 0:
        try:
            os.setgroups([])
            os.setresgid(_NOBODY, _NOBODY, _NOBODY)
            os.setresuid(_NOBODY, _NOBODY, _NOBODY)
        except OSError:
            pass  # a user namespace without that number; root's uid alone is of no use behind the lock
    header = struct.pack("=Ii", 0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this process
    _LIBC.capset(header, bytes(24))


def _mapped_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[0]) * resource.getpagesize()
