"""The seccomp program, run by a small interpreter of classic BPF: every call number, both machines."""

from __future__ import annotations

import struct

import pytest

from leadline.media.lock import MACHINES, assemble_filter

KILL, ALLOW, NO_SUCH_CALL = 0x80000000, 0x7FFF0000, 0x00050000 | 38
EXEC = 4
# linux/audit.h; asm/unistd_64.h and asm-generic/unistd.h, of those calls that a test names
ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
READ = {"x86_64": 0, "aarch64": 63}
MMAP = {"x86_64": 9, "aarch64": 222}
MPROTECT = {"x86_64": 10, "aarch64": 226}
CLONE = {"x86_64": 56, "aarch64": 220}
CLONE3 = 435
OPENAT = {"x86_64": 257, "aarch64": 56}
FORBIDDEN = {
    # open stat connect socket sendmsg recvmsg fork vfork execve kill ptrace prctl ioctl dup shmat unshare openat bpf
    "x86_64": [2, 4, 5, 16, 30, 32, 41, 42, 46, 47, 57, 58, 59, 62, 101, 157, 257, 262, 272, 321, 322, 329, 425],
    "aarch64": [23, 24, 29, 56, 79, 80, 97, 117, 129, 167, 196, 198, 203, 211, 212, 221, 280, 281, 288, 425],
}
THREAD_FLAGS = 0x3D0F00  # what glibc's pthread_create passes to clone


def run(program: bytes, number: int, arch: int, arguments: tuple[int, ...] = (0,) * 6) -> int:
    data = struct.pack("=IIQ6Q", number, arch, 0, *arguments)
    lines = [struct.unpack_from("=HBBI", program, at) for at in range(0, len(program), 8)]
    at = accumulator = 0
    while True:
        code, if_true, if_false, operand = lines[at]
        at += 1
        if code == 0x20:
            (accumulator,) = struct.unpack_from("=I", data, operand)
        elif code == 0x06:
            return operand
        else:
            holds = {0x15: accumulator == operand, 0x35: accumulator >= operand, 0x45: bool(accumulator & operand)}
            at += if_true if holds[code] else if_false


@pytest.fixture(params=list(MACHINES))
def machine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_it_allows_few_calls_and_kills_all_others(machine: str) -> None:
    program = assemble_filter(MACHINES[machine], threads=False)
    answers = {number: run(program, number, ARCH[machine]) for number in range(1024)}
    assert set(answers.values()) == {KILL, ALLOW}
    allowed = [number for number, answer in answers.items() if answer == ALLOW]
    assert READ[machine] in allowed
    assert len(allowed) == 18
    assert not set(allowed) & {*FORBIDDEN[machine], CLONE[machine], CLONE3, OPENAT[machine]}


@pytest.mark.parametrize("threads", [False, True])
def test_it_kills_what_calls_by_another_machines_numbers(machine: str, threads: bool) -> None:
    program = assemble_filter(MACHINES[machine], threads=threads)
    for arch in (0x40000003, 0x40000028, *(set(ARCH.values()) - {ARCH[machine]})):
        assert {run(program, number, arch) for number in range(600)} == {KILL}


def test_it_kills_x32_calls_which_have_the_same_architecture(machine: str) -> None:
    program = assemble_filter(MACHINES[machine], threads=False)
    for number in (READ[machine], MMAP[machine], 1):
        assert run(program, 0x40000000 | number, ARCH[machine]) == KILL


@pytest.mark.parametrize("threads", [False, True])
def test_it_lets_no_memory_become_executable(machine: str, threads: bool) -> None:
    program = assemble_filter(MACHINES[machine], threads=threads)
    for call in (MMAP[machine], MPROTECT[machine]):
        for protection in range(16):
            wanted = KILL if protection & EXEC else ALLOW
            assert run(program, call, ARCH[machine], (0, 0, protection, 0, 0, 0)) == wanted


def test_where_threads_are_allowed_nothing_but_a_thread_is(machine: str) -> None:
    program = assemble_filter(MACHINES[machine], threads=True)
    clone = CLONE[machine]
    assert run(program, clone, ARCH[machine], (THREAD_FLAGS, 0, 0, 0, 0, 0)) == ALLOW
    for other in (0, 17, THREAD_FLAGS | 0x10000000, THREAD_FLAGS & ~0x10000, THREAD_FLAGS | 0x20000000):
        assert run(program, clone, ARCH[machine], (other, 0, 0, 0, 0, 0)) == KILL
    assert run(program, CLONE3, ARCH[machine]) == NO_SUCH_CALL
    assert {run(program, number, ARCH[machine]) for number in FORBIDDEN[machine]} == {KILL}
