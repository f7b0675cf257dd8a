"""The output folder of a scan: findings in walk order, state, and taking both up again. Never writes anywhere else."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from leadline.errors import ConfigError, ScanError
from leadline.scan.finding import Finding, decode_line, walk_path
from leadline.scan.sources import Names, Source, order_of

FINDINGS, REST, STATE = "findings.jsonl", "findings.rest.jsonl", "state.json"
FORMAT = 1
SYNC_BYTES = 64 << 20
Order = tuple[int, Names]


class ListState(msgspec.Struct):
    """One bank as a run met it and left it.

    identity  given to it when it was made: tells it from another of its name; "" in states of before
    """

    name: str
    kind: str
    entries: int
    list_version: int
    list_version_end: int | None = None
    identity: str = ""


class Run(msgspec.Struct):
    """One start of a scan: from the first, or after an interruption."""

    started: str
    seconds: float = 0.0
    files_done: int = 0
    bytes_read: int = 0
    resumed_findings: int = 0
    ended: str | None = None
    lists: list[ListState] = []
    version: str = ""


class State(msgspec.Struct):
    """state.json: what this output folder is the output of."""

    format: int
    sources: list[str]
    options: dict[str, Any]
    banks: list[str]
    runs: list[Run] = []
    finished: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """The findings of one file on disk, its members' included: bytes start..end of the findings file.

    size_bytes, mtime: of the file as its own line has them; that line is there where the group is whole
    """

    order: Order | None
    start: int
    end: int
    whole: bool
    findings: int
    verdicts: Counter[str]
    size_bytes: int = 0
    mtime: str | None = None


def write_atomic(path: Path, data: bytes) -> None:
    """All of it or nothing, also after a crash."""
    fresh = path.with_name(path.name + ".new")
    with open(fresh, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(fresh, path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    if not hasattr(os, "O_DIRECTORY"):
        return
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def load_state(out: Path) -> State | None:
    """None where there was no scan. Raises ScanError for a state that cannot be read or is of another format."""
    try:
        state = msgspec.json.decode((out / STATE).read_bytes(), type=State)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise ScanError(f"the scan's state cannot be read: {error}", where=str(out / STATE)) from None
    if state.format != FORMAT:
        raise ScanError("a scan of another version of Leadline", where=str(out), mend="scan into a new folder")
    return state


def save_state(out: Path, state: State) -> None:
    write_atomic(out / STATE, msgspec.json.format(msgspec.json.encode(state), indent=1) + b"\n")


def open_state(out: Path, wanted: State, *, resume: bool) -> State:
    """The state to go on from. Raises ConfigError where the folder is not empty, or is of another scan."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        old = load_state(out)
        if not (resume and old) and any(map(_is_foreign, out.iterdir())):
            raise ConfigError(
                "the output folder is not empty",
                where=str(out),
                mend="add --resume to go on with its scan, or name another" if old else "name another",
            )
    except OSError as error:
        what = f"the output folder cannot be used: {os.strerror(error.errno or 0)}"
        raise ConfigError(what, where=str(out), mend="choose another --out") from None
    if old is None:
        return wanted
    _refuse_other_scan(out, old, wanted)
    old.finished = False
    return old


def _is_foreign(path: Path) -> bool:
    """Whether a file may be of use to someone; what a scan killed in its first moment left is not."""
    return path.name != f"{STATE}.new" and not (path.name == FINDINGS and path.stat().st_size == 0)


def _refuse_other_scan(out: Path, old: State, wanted: State) -> None:
    for field in ("sources", "banks", "options"):
        before, now = getattr(old, field), getattr(wanted, field)
        if before != now:
            differs = _differing(before, now) if field == "options" else ""
            raise ConfigError(
                f"cannot resume with other {field}{differs}",
                where=str(out),
                mend="repeat the options of the first start, or scan into a new folder",
            )


def refuse_other_lists(out: Path, state: State, now: Sequence[ListState]) -> None:
    """Raise ConfigError where a bank is not the one that the last run matched against, nor what has become of it.

    A bank only gains versions: one of another identity, or one that has fewer, was put in its place.
    """
    before = {listed.name: listed for listed in state.runs[-1].lists} if state.runs else {}
    for bank in now:
        old = before.get(bank.name)
        if old is None:
            continue
        least = old.list_version if old.list_version_end is None else old.list_version_end
        same_version_other_content = bank.list_version == old.list_version and bank.entries != old.entries
        is_another = old.identity not in ("", bank.identity)
        if is_another or bank.list_version < least or same_version_other_content:
            raise ConfigError(
                "cannot resume: another list of that name than the scan began with",
                where=f"{bank.name}, for {out}",
                mend="scan into a new folder, or bring the findings to the new list with `leadline rematch`",
            )


def _differing(before: dict[str, Any], now: dict[str, Any]) -> str:
    names = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
    return f" ({', '.join(f'{name}: {before.get(name)} then, {now.get(name)} now' for name in names)})"


def read_groups(path: Path, sources: Sequence[Source]) -> Iterator[Group]:
    """The groups of a findings file in its order; a group is whole once the line of the file itself ends it."""
    start = end = count = 0
    order: Order | None = None
    verdicts: Counter[str] = Counter()
    for finding, line_start, line_end in read_findings(path):
        found = order_of(sources, walk_path(finding))
        if count and (found != order or line_start != end):
            yield Group(order, start, end, False, count, verdicts)
            count, verdicts = 0, Counter()
        if not count:
            start = line_start
        order, end, count = found, line_end, count + 1
        verdicts[finding.verdict] += 1
        if not isinstance(finding.container, str):
            members = finding.members if isinstance(finding.members, int) else 0
            whole = members == count - 1
            yield Group(order, start, end, whole, count, verdicts, finding.size, finding.times.mtime)
            count, verdicts = 0, Counter()
    if count:
        yield Group(order, start, end, False, count, verdicts)


def read_findings(path: Path) -> Iterator[tuple[Finding, int, int]]:
    """Findings, with the offsets at which each starts and ends. A line that is torn or no finding is passed over."""
    if not path.exists():
        return
    with open(path, "rb") as stream:
        end = 0
        for line in stream:
            start, end = end, end + len(line)
            if not line.endswith(b"\n"):
                return
            try:
                finding = decode_line(line)
            except (msgspec.DecodeError, ValueError):
                continue
            yield finding, start, end


def _lock(stream: BinaryIO) -> None:
    """For as long as it is open; the kernel takes the lock back from whoever dies."""
    try:
        import fcntl
    except ImportError:
        return  # no such locks on this system
    fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)


class Journal:
    """The one writer of findings.jsonl: each `append` is one write, so a kill leaves whole lines or one torn one."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._stream: BinaryIO = open(out / FINDINGS, "ab", buffering=0)
        self._unsynced = 0
        try:
            _lock(self._stream)
        except OSError:
            self._stream.close()
            raise ConfigError(
                "another scan is writing there", where=str(out), mend="wait until it ends, or name another --out"
            ) from None

    def append(self, lines: Sequence[bytes]) -> None:
        data = b"".join(lines)
        view = memoryview(data)
        while view:
            view = view[self._stream.write(view) :]
        self._unsynced += len(data)
        if self._unsynced >= SYNC_BYTES:
            self.sync()

    def sync(self) -> None:
        os.fsync(self._stream.fileno())
        self._unsynced = 0

    def copy_from(self, path: Path, group: Group) -> None:
        """Take over the lines of a group from another findings file."""
        with open(path, "rb") as stream:
            stream.seek(group.start)
            left = group.end - group.start
            while left:
                piece = stream.read(min(left, 1 << 20))
                if not piece:
                    raise ScanError("findings disappeared while they were taken over", where=str(path))
                self.append([piece])
                left -= len(piece)

    @property
    def size_bytes(self) -> int:
        return os.fstat(self._stream.fileno()).st_size

    def cut(self, end: int) -> None:
        self._stream.truncate(end)

    def close(self) -> None:
        self.sync()
        self._stream.close()


def carve_rest(out: Path, journal: Journal, keep_end: int) -> None:
    """Move what stands after `keep_end` of the findings aside, in front of what was aside already; nothing is lost.

    A kill in between leaves lines both here and aside; who reads on drops those aside that come too early.
    """
    fresh = out / (REST + ".new")
    with open(fresh, "wb") as aside:
        with open(out / FINDINGS, "rb") as stream:
            stream.seek(keep_end)
            shutil.copyfileobj(stream, aside, 1 << 20)
        aside.write(b"\n")  # ends a torn line, so that it cannot swallow the next
        if (out / REST).exists():
            with open(out / REST, "rb") as stream:
                shutil.copyfileobj(stream, aside, 1 << 20)
        aside.flush()
        os.fsync(aside.fileno())
    os.replace(fresh, out / REST)
    sync_folder(out)
    journal.cut(keep_end)
