"""The sandboxed side of the wall: a zygote that loads every decoder once, and the locked children it forks.

The zygote never looks at hostile bytes; it reads commands of fixed size and ends when its parent does. A child closes
every descriptor but its own, locks itself for good, and only then answers requests.
"""

from __future__ import annotations

import os

# Before numpy is loaded: a zygote with threads could not fork safely.
os.environ.update({"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"})

import array
import ctypes
import errno
import gc
import importlib
import io
import logging
import mmap
import select
import signal
import socket
import sys
import warnings
from collections.abc import Callable
from typing import Any, BinaryIO, NoReturn

import numpy as np

from leadline.media import lock, pictures, renditions, selftest, wire
from leadline.media.canvas import Canvas
from leadline.media.wire import Answer, Command, Kind, Needs, Op, Refused, Request, Skipped, Status

_MESSAGE_BYTES = 256
_CHANNEL, _CONTAINER = 0, 1  # a child's only descriptors
_MADV_POPULATE_READ = 22
_POPULATE_FROM_BYTES = 1 << 16


class Memory:
    """The two regions shared with the parent, mapped once in the zygote: input read-only, output writable."""

    def __init__(self, input_fd: int, output_fd: int, start: wire.Start) -> None:
        self.input = mmap.mmap(input_fd, start.input_bytes, prot=mmap.PROT_READ)
        self.output = mmap.mmap(output_fd, start.output_bytes)
        self.pixels = np.frombuffer(self.output, np.uint8)
        self._address = self.pixels.ctypes.data
        self._populated_bytes = 0
        self._madvise = ctypes.CDLL(None).madvise
        self._madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]

    def read_input(self, size_bytes: int, at: int) -> bytes:
        return self.input[at : at + size_bytes]

    def reserve(self, size_bytes: int) -> None:
        """Page in so much of the output at once: a fault per page costs a tenth of a small picture.

        By reading: of pages that are there the kernel then maps sixteen at a time, writable since they are shared.
        """
        start, end = self._populated_bytes, -(-size_bytes // mmap.PAGESIZE) * mmap.PAGESIZE
        if end - start > _POPULATE_FROM_BYTES:
            self._madvise(self._address + start, end - start, _MADV_POPULATE_READ)  # a hint: older kernels refuse
            self._populated_bytes = end


class Child:
    """Answers one request after the other, until its channel is closed."""

    def __init__(self, memory: Memory, start: wire.Start) -> None:
        self._memory, self._limits = memory, start.limits
        self._canvas = Canvas(memory.pixels, memory.reserve)

    def run(self) -> NoReturn:
        request = self.receive()
        while True:
            request = self._serve(request)

    def _serve(self, request: Request) -> Request:
        """Answer `request` to its end; the request after it (a new file may cut short what is left of this one)."""
        try:
            if request.op is Op.DECODE:
                return self._decode(request)
            if request.op is Op.UNPACK:
                self._unpack(request)
            elif request.op is Op.RENDER:
                self._render(request)
            elif request.op is Op.PROBE:
                self.send(Answer(Kind.END, count=selftest.attempt(request.flag, request.size_bytes)))
            else:
                self.send(Answer(Kind.END))  # NEXT or SKIP with nothing left
        except Refused as refused:
            self.send(Answer(Kind.END, refused.status))
        except MemoryError:
            self.send(Answer(Kind.END, Status.OUT_OF_MEMORY))
        except (ImportError, NameError):
            self.send(Answer(Kind.END, Status.WORKER_FAULT))
        except Exception:
            self.send(Answer(Kind.END, Status.UNDECODABLE))
        return self.receive()

    def _decode(self, request: Request) -> Request:
        data = memoryview(self._memory.input)[: request.size_bytes]
        grey = bool(request.flag)
        for answer in pictures.decode(data, grey=grey, limits=self._limits, canvas=self._canvas):
            self.send(answer)
            if answer.kind is Kind.VIEW and (request := self.receive()).op is not Op.NEXT:
                return request
        return self.receive()

    def _render(self, request: Request) -> None:
        data = memoryview(self._memory.input)[: request.size_bytes]
        for answer in renditions.render(data, request.reduction, self._limits, self._canvas):
            self.send(answer)

    def _unpack(self, request: Request) -> None:
        read_at = _read_container if request.flag else self._memory.read_input
        source: BinaryIO = io.BufferedReader(ContainerFile(request.size_bytes, read_at), 1 << 20)
        containers = sys.modules["leadline.media.containers"]  # loaded by the zygote before this child was forked
        outlet, mime = WireOutlet(self, self._memory.output), wire.CONTAINERS[request.container]
        self.send(Answer(Kind.END, containers.unpack(source, request.size_bytes, self._limits, outlet, mime)))

    def send(self, answer: Answer) -> None:
        os.write(_CHANNEL, answer.pack())

    def receive(self) -> Request:
        message = os.read(_CHANNEL, _MESSAGE_BYTES)
        if not message:
            os._exit(0)
        return Request.unpack(message)


class ContainerFile(io.RawIOBase):
    """The container's bytes as a file that needs no system call but pread: io's own would ask for its status."""

    def __init__(self, size_bytes: int, read_at: Callable[[int, int], bytes]) -> None:
        self._size_bytes, self._read_at, self._at = size_bytes, read_at, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        data = self._read_at(min(len(buffer), max(0, self._size_bytes - self._at)), self._at)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        at = offset + (0, self._at, self._size_bytes)[whence]
        if at < 0:
            raise OSError(errno.EINVAL, "before the start")  # as a file does: zipfile counts on it
        self._at = at
        return at


def _read_container(size_bytes: int, at: int) -> bytes:
    return os.pread(_CONTAINER, size_bytes, at)


class WireOutlet:
    """Members of a container, told by messages, their bytes by the output memory; one answer for each."""

    def __init__(self, child: Child, output: mmap.mmap) -> None:
        self._child, self._output, self._filled = child, output, 0

    def begin(self, name: bytes, size_bytes: int, status: Status, facts: bytes) -> bool:
        self._filled = 0
        self._output[: len(name) + len(facts)] = name + facts
        told = Answer(Kind.MEMBER, status, count=len(name), size_bytes=size_bytes, facts_bytes=len(facts))
        self._child.send(told)
        return self._child.receive().op is Op.NEXT

    def write(self, data: bytes | bytearray | memoryview) -> None:
        rest = memoryview(data)
        while rest:
            piece = rest[: wire.CHUNK_BYTES - self._filled]
            self._output[self._filled : self._filled + len(piece)] = piece
            self._filled += len(piece)
            rest = rest[len(piece) :]
            if self._filled == wire.CHUNK_BYTES:
                self._flush()

    def _flush(self) -> None:
        filled, self._filled = self._filled, 0
        self._child.send(Answer(Kind.CHUNK, count=filled))
        if self._child.receive().op is not Op.NEXT:
            raise Skipped

    def end(self, status: Status) -> None:
        try:
            if self._filled:
                self._flush()
        except Skipped:
            return
        self._child.send(Answer(Kind.MEMBER_END, status))


class Zygote:
    """Forks children on command, and reaps the oldest on command, so that no process id is ever stale.

    There are two at most: the one at work, and a spare, locked and paged in, that has seen no file yet.
    """

    def __init__(self, control: socket.socket, memory: Memory, start: wire.Start) -> None:
        self._control, self._memory, self._start = control, memory, start
        self._lock = None if start.unsafe else lock.Lock(start.limits.memory_bytes)
        self._children: list[int] = []  # oldest first
        self._loaded = Needs.NOTHING

    def run(self) -> None:
        parent = os.pidfd_open(self._start.parent_pid)
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(parent, select.POLLIN)
        while True:
            if any(descriptor == parent for descriptor, _ in poll.poll()):
                return
            message, descriptors = _receive_with_descriptors(self._control)
            if not message:
                return
            order = wire.Order.unpack(message)
            if order.command is Command.FORK:
                self._load(order.needs)
                self._fork(descriptors, order)
            else:
                try:
                    self._control.send(wire.pack_waited(*self.end_child()))
                except BrokenPipeError:
                    return  # the parent closed without waiting for the answer

    def _load(self, needs: Needs) -> None:
        if new := needs & ~self._loaded:
            if Needs.HEIF in new:
                pictures.prepare_heif()
            if Needs.CONTAINERS in new:
                importlib.import_module("leadline.media.containers").prepare()
            self._loaded |= new
            _settle()

    def _fork(self, descriptors: list[int], order: wire.Order) -> None:
        if self._lock and Needs.THREADS in order.needs:
            self._lock.count_tasks()
        zygote_pid = os.getpid()
        child = os.fork()
        if child == 0:
            try:
                self._become_child(descriptors, order, zygote_pid)
            finally:
                os._exit(1)  # nothing of the zygote's may run in a child, whatever was raised
        self._children.append(child)
        for descriptor in descriptors:
            os.close(descriptor)

    def _become_child(self, descriptors: list[int], order: wire.Order, zygote_pid: int) -> None:
        if self._lock:
            lock.leave_root()
        lock.die_with_parent(zygote_pid)  # after it: a change of user forgets this
        # No path leads to a module any more: a forgotten import is an ImportError, not a forbidden system call.
        sys.meta_path.clear()
        _keep_only(descriptors)
        child = Child(self._memory, self._start)
        if self._lock:
            try:
                self._lock.apply(order.cpu_s, threads=Needs.THREADS in order.needs)
            except OSError as error:
                child.send(Answer(Kind.END, Status.LOCK_FAILED, count=error.errno or 0))
                os._exit(1)
        self._memory.reserve(order.output_bytes)
        child.run()

    def end_child(self) -> tuple[int, int]:
        """Kill the oldest child if it lives, and wait for it; its id and wait status, or (0, 0)."""
        if not self._children:
            return 0, 0
        child = self._children.pop(0)
        os.kill(child, signal.SIGKILL)
        return os.waitpid(child, 0)

    def end_all(self) -> None:
        while self._children:
            self.end_child()


def _keep_only(descriptors: list[int]) -> None:
    """Close everything but the channel and, where there is one, the container, which become 0 and 1."""
    for place, descriptor in enumerate(descriptors):  # 0 to 2 are taken in the zygote, so none is overwritten
        os.dup2(descriptor, place)
    os.closerange(len(descriptors), 1 << 16)


def _receive_with_descriptors(control: socket.socket) -> tuple[bytes, list[int]]:
    try:
        message, ancillary, _, _ = control.recvmsg(_MESSAGE_BYTES, socket.CMSG_SPACE(2 * 4))
    except ConnectionResetError:  # the parent went without reading our last word: the end, as when it closes
        return b"", []
    descriptors = array.array("i")
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
    return message, list(descriptors)


def main(control_fd: int, input_fd: int, output_fd: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    control = socket.socket(fileno=control_fd)
    start = wire.Start.unpack(control.recv(_MESSAGE_BYTES))
    lock.hide_from_neighbours()
    warnings.simplefilter("ignore")
    logging.disable()
    pictures.prepare(start.limits)
    renditions.prepare(start.limits)
    zygote = Zygote(control, Memory(input_fd, output_fd, start), start)
    for name, version in versions(zygote).items():
        control.send(wire.pack_version(name, version))
    control.send(wire.READY)
    _settle()
    try:
        zygote.run()
    finally:
        zygote.end_all()


def versions(zygote: Zygote) -> dict[str, str]:
    abi = zygote._lock.landlock_abi if zygote._lock else lock.ask_landlock_abi()  # of the kernel, not of this zygote
    return {**pictures.versions(), "landlock-abi": str(abi)}


def _settle() -> None:
    """Move all that was loaded out of the collector's sight, so that a child's collection does not copy its pages."""
    _sort_once: Callable[..., None] = ctypes.CDLL(None).qsort  # its first big sort asks the kernel for memory sizes
    compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(lambda one, two: 0)
    _sort_once((ctypes.c_int * 4096)(), ctypes.c_size_t(4096), ctypes.c_size_t(4), compare)
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:4]))
