"""The machinery outside the wall: one zygote, a locked child and its spare, their shared memory and messages.

Loads no decoder. What a child says is untrusted until `wire` has unpacked it; what lies in the output memory may change
while it is read (the child shares it), so nothing may depend on it but pixels and member bytes themselves.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import select
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from leadline.errors import SandboxUnavailable, UntrustedMediaError
from leadline.media import wire
from leadline.media.limits import MIB, Limits
from leadline.media.selftest import Attempt, Outcome
from leadline.media.wire import Answer, Command, Needs, Op, Order, Request, Status

_MESSAGE_BYTES = 256
_KEEP_BYTES = 64 * MIB  # of each region; what only a larger picture needed is given back
_MIN_OUTPUT_BYTES = 16 * MIB
_START_TIMEOUT_S = 60.0
_REAP_TIMEOUT_S = 10.0
SPIN_S = 0.05  # how long the self-test lets a child spin

_KERNEL_HINT = "docs/sandbox.md says which kernels can; --unsafe-decode accepts the risk"
_START_HINT = "its own message is above; reinstall Leadline's dependencies, then run `leadline doctor`"

# `-I` ignores PYTHONPATH and the working folder, as it should; so the folder of this very package is named, and put
# behind all others once the package is found, so that nothing beside it can take the place of another module.
_BOOT = """import sys
root = sys.argv.pop(1)
sys.path.insert(0, root)
import leadline
sys.path.remove(root)
sys.path.append(root)
from leadline.media.worker import main
main(*map(int, sys.argv[1:]))
"""


class SandboxViolation(UntrustedMediaError):
    """The child died, overran or answered out of bounds: a file of a batch is to be redone in a child of its own."""

    code = "child-died"


def refusal(status: Status) -> UntrustedMediaError:
    """The error for a file that a child (or a limit) refused."""
    return UntrustedMediaError(f"not decoded, {status.code.replace('-', ' ')}", code=status.code)


class Wall:
    """Starts on construction; raises SandboxUnavailable. Not thread-safe."""

    def __init__(self, limits: Limits, *, unsafe: bool) -> None:
        if sys.platform != "linux":
            raise SandboxUnavailable(f"no sandbox on {sys.platform}", mend="decode on Linux")
        self.limits = limits
        self.versions: dict[str, str] = {}
        self._channel: socket.socket | None = None
        self._spare: tuple[socket.socket, Order] | None = None  # a locked child that has seen no file
        self.children_begun = 0  # tells a reader whether the child is still the one it began
        self._unreaped = 0
        self._input_used_bytes = 0
        input_bytes = _whole_pages(limits.max_file_bytes)
        output_bytes = _whole_pages(max(_MIN_OUTPUT_BYTES, limits.max_pixels * 3))
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        descriptors: list[int] = []
        try:
            self._input = _share("leadline-input", input_bytes, descriptors, readonly_for_child=True)
            self.output = _share("leadline-output", output_bytes, descriptors, readonly_for_child=False)
            self._zygote = _spawn([theirs.fileno(), *descriptors])
        except SandboxUnavailable:
            self._control.close()
            raise
        except OSError as error:
            self._control.close()
            raise SandboxUnavailable("no sandbox can be made", where=str(error), mend=_KERNEL_HINT) from None
        finally:
            theirs.close()
            for descriptor in descriptors:
                os.close(descriptor)
        self.pixels = np.frombuffer(self.output, np.uint8)
        self.pixels.flags.writeable = False
        self._hear_versions(wire.Start(limits, unsafe, os.getpid(), input_bytes, output_bytes))

    def _hear_versions(self, start: wire.Start) -> None:
        self._control.settimeout(_START_TIMEOUT_S)
        try:
            self._control.send(start.pack())
            while (line := self._control.recv(_MESSAGE_BYTES)) != wire.READY:
                name, version = wire.unpack_version(line)
                self.versions[name] = version
        except (OSError, wire.WireError) as error:
            self.close()
            raise SandboxUnavailable("the decoders did not start", where=str(error), mend=_START_HINT) from None

    def close(self) -> None:
        """End the child and the zygote; returns when both are gone. May be called twice."""
        for channel in (self._channel, self._spare and self._spare[0]):
            if channel is not None:
                channel.close()
        self._channel = self._spare = None
        self._control.close()  # the zygote's sign to end
        try:
            self._zygote.wait(timeout=_REAP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._zygote.kill()
            self._zygote.wait()

    # --- memory --------------------------------------------------------------------------------------------------

    def input(self, size_bytes: int) -> memoryview:
        """For a file of that size; of the file before it nothing is left."""
        kept_bytes = max(_KEEP_BYTES, size_bytes)
        if self._input_used_bytes > kept_bytes:
            _give_back(self._input, kept_bytes)
        if (left_bytes := min(self._input_used_bytes, kept_bytes) - size_bytes) > 0:
            self._input[size_bytes : size_bytes + left_bytes] = bytes(left_bytes)
        self._input_used_bytes = size_bytes
        return memoryview(self._input)[:size_bytes]

    def peek(self, size_bytes: int) -> bytes:
        return self._input[: min(size_bytes, self._input_used_bytes)]

    def give_back_output(self) -> None:
        """Return what lies beyond the pixels of an ordinary picture, whoever wrote it."""
        _give_back(self.output, _KEEP_BYTES)

    # --- the child -----------------------------------------------------------------------------------------------

    @property
    def has_child(self) -> bool:
        return self._channel is not None

    def begin_child(
        self,
        cpu_s: float,
        *,
        needs: Needs = Needs.NOTHING,
        container_fd: int | None = None,
        wipe_output: bool = False,
    ) -> None:
        """A fresh child in place of the last one, which is dead before the new one hears of a file.

        `wipe_output`: so that it cannot show what the last file's child has drawn.
        """
        self.end_child()
        order = Order(Command.FORK, needs, _whole_seconds(cpu_s))
        spare, self._spare = self._spare, None
        fits = spare is not None and container_fd is None and spare[1].needs is needs and spare[1].cpu_s == order.cpu_s
        if spare is not None and not fits:
            self._end(spare[0])
            spare = None
        try:
            self._collect_reaped()
            _give_back(self.output, 0 if wipe_output else _KEEP_BYTES)
        except OSError as error:
            raise self._zygote_gone(error) from None
        self._channel = spare[0] if spare is not None else self._fork(order, container_fd)
        self.children_begun += 1

    def prepare_spare(self, cpu_s: float, output_bytes: int) -> None:
        """Have the next child forked and locked while the present one works; it waits for a file of its own."""
        if self._spare is None:
            order = Order(Command.FORK, Needs.NOTHING, _whole_seconds(cpu_s), min(output_bytes, _KEEP_BYTES))
            self._spare = self._fork(order, None), order

    def _fork(self, order: Order, container_fd: int | None) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        descriptors = [theirs.fileno()] if container_fd is None else [theirs.fileno(), container_fd]
        try:
            socket.send_fds(self._control, [order.pack()], descriptors)
        except OSError as error:
            ours.close()
            raise self._zygote_gone(error) from None
        finally:
            theirs.close()
        return ours

    def _zygote_gone(self, why: object) -> SandboxUnavailable:
        return SandboxUnavailable("the decoders' process is gone", where=str(why), mend=_START_HINT)

    def end_child(self) -> None:
        """Have the child killed, if there is one. The zygote's answer is collected later, off the hot path."""
        if self._channel is not None:
            channel, self._channel = self._channel, None
            self._end(channel)

    def _end(self, channel: socket.socket) -> None:
        channel.close()
        try:
            self._control.send(Order(Command.END).pack())
            self._unreaped += 1
        except OSError:
            pass  # the zygote is gone, and its child with it; begin_child will say so

    def _collect_reaped(self) -> int:
        """Wait until every ended child is gone; the wait status of the last."""
        wait_status = 0
        while self._unreaped:
            self._unreaped -= 1
            message = self._control.recv(_MESSAGE_BYTES)
            if not message:
                raise OSError("no answer")
            _, wait_status = wire.unpack_waited(message)
        return wait_status

    def fail(self, status: Status, what: str) -> SandboxViolation:
        """End the child; the error to raise, which says how it died.

        Raises SandboxUnavailable where the zygote is gone: its children died with it, and of nothing in their files.
        """
        cause = self._cause_of_death(status)
        if (ended := self._zygote.poll()) is not None:
            raise self._zygote_gone(f"ended with {ended}")
        return SandboxViolation(what + cause, code=status.code)

    def _cause_of_death(self, status: Status) -> str:
        self.end_child()
        try:
            wait_status = self._collect_reaped()
        except OSError:
            return ""  # the zygote died too
        killed = status is Status.CHILD_DIED and os.WIFSIGNALED(wait_status)
        return f" (signal {os.WTERMSIG(wait_status)})" if killed else ""

    # --- messages ------------------------------------------------------------------------------------------------

    def ask(self, request: Request) -> None:
        if self._channel is None:
            raise self.fail(Status.CHILD_DIED, "no decoder to ask")
        try:
            self._channel.send(request.pack())
        except OSError:
            self.hear(0.0)  # one that could not be locked said so before it ended
            raise self.fail(Status.CHILD_DIED, "the decoder died") from None

    def hear(self, wait_s: float) -> tuple[Answer, float]:
        """The child's next answer, checked, and the seconds it took; SandboxViolation where none comes in time."""
        begun = time.monotonic()
        untrusted_message = self._receive(wait_s)
        try:
            answer = Answer.unpack(untrusted_message)
        except wire.WireError as error:
            raise self.fail(Status.OUT_OF_BOUNDS, f"the decoder answered out of bounds: {error}") from None
        if answer.status is Status.LOCK_FAILED:
            self.end_child()
            where = os.strerror(answer.count)
            raise SandboxUnavailable("a decoder could not be locked", where=where, mend=_KERNEL_HINT)
        return answer, time.monotonic() - begun

    def _receive(self, wait_s: float) -> bytes:
        if self._channel is None:
            raise self.fail(Status.CHILD_DIED, "no decoder to hear")
        poll = select.poll()
        poll.register(self._channel, select.POLLIN)
        if not poll.poll(max(0.0, wait_s) * 1000):
            raise self.fail(Status.TIMEOUT, "the decoder passed its time limit")
        try:
            untrusted_message = self._channel.recv(_MESSAGE_BYTES)
        except OSError:
            untrusted_message = b""
        if not untrusted_message:
            raise self.fail(Status.CHILD_DIED, "the decoder died")
        return untrusted_message

    def probe(self, tried: Attempt, needs: Needs = Needs.NOTHING) -> Outcome:
        """Have a fresh child try it."""
        self.begin_child(self.limits.timeout_s, needs=needs)
        self.ask(Request(Op.PROBE, tried, self.limits.memory_bytes))
        wait_s = SPIN_S if tried is Attempt.SPIN_FOR_EVER else self.limits.timeout_s
        try:
            answer, _ = self.hear(wait_s)
        except SandboxViolation as violation:
            if violation.code == Status.TIMEOUT.code:
                return Outcome(overran=True)
            signal_number = violation.what.partition("(signal ")[2].rstrip(")")
            return Outcome(killed_by=int(signal_number or 0))
        finally:
            self.end_child()
        return Outcome(answered_errno=answer.count)


def _whole_seconds(cpu_s: float) -> int:
    return min(int(cpu_s) + 2, (1 << 31) - 1)


def _whole_pages(size_bytes: int) -> int:
    return -(-size_bytes // mmap.PAGESIZE) * mmap.PAGESIZE


def _share(name: str, size_bytes: int, descriptors: list[int], *, readonly_for_child: bool) -> mmap.mmap:
    """Sparse memory of fixed size: no one can shrink it, which would kill whoever reads it by a bus error.

    Appends the descriptor for the zygote. Read-only means that no child can change a file's bytes while they are
    hashed outside: the kernel lets no one write through a mapping of a read-only opening.
    """
    writable_fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.truncate(writable_fd, size_bytes)
        fcntl.fcntl(writable_fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL)
        if readonly_for_child:
            descriptors.append(os.open(f"/proc/self/fd/{writable_fd}", os.O_RDONLY | os.O_CLOEXEC))
        else:
            descriptors.append(os.dup(writable_fd))
        return mmap.mmap(writable_fd, size_bytes)
    finally:
        os.close(writable_fd)


def _give_back(region: mmap.mmap, keep_bytes: int) -> None:
    if len(region) > keep_bytes:
        start = _whole_pages(keep_bytes)
        region.madvise(mmap.MADV_REMOVE, start, len(region) - start)


def _spawn(descriptors: list[int]) -> subprocess.Popen[bytes]:
    if not sys.executable:
        raise SandboxUnavailable("no Python interpreter to start", mend="run Leadline with a plain `python`")
    arguments = [str(Path(__file__).resolve().parents[2]), *map(str, descriptors)]
    return subprocess.Popen(  # noqa: S603 (our own interpreter, our own code)
        [sys.executable, "-I", "-c", _BOOT, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env={"LC_ALL": "C.UTF-8"},  # no secret of the environment comes within a decoder's reach
        cwd="/",
        pass_fds=descriptors,
        start_new_session=True,  # Ctrl-C is for the parent, which ends its children in order
    )
