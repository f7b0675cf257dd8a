from __future__ import annotations

import itertools
import json
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from leadline.errors import ConfigError, ScanError
from leadline.scan.finding import encode_line, make_finding
from leadline.scan.hashing import FileFacts
from leadline.scan.journal import (
    FINDINGS,
    REST,
    Journal,
    ListState,
    State,
    carve_rest,
    load_state,
    open_state,
    refuse_other_lists,
    save_state,
)
from leadline.scan.journal import Run as RunState
from leadline.scan.resume import Merge
from leadline.scan.sources import PathSource
from leadline.scan.verdict import judge

SIZE_BYTES, MTIME_NS = 10, 0  # as the facts of conftest say
NAMES = [f"{folder}/{number:02d}" for folder in "abc" for number in range(6)]
ZIP = "b/03"  # this one is a container of three members


def write(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * SIZE_BYTES)
    os.utime(path, ns=(0, MTIME_NS))


@pytest.fixture
def source(tmp_path: Path) -> PathSource:
    for name in NAMES:
        write(tmp_path / "source" / name)
    return PathSource(os.fsencode(tmp_path / "source"))


@pytest.fixture
def lines_of(facts: Callable[..., FileFacts]) -> Callable[[bytes], list[bytes]]:
    """What a lane would answer for a path: the members' lines first, then its own."""

    def make(path: bytes) -> list[bytes]:
        status = os.lstat(path) if os.path.lexists(path) else None
        as_listed = {"size_bytes": status.st_size, "mtime_ns": status.st_mtime_ns} if status else {}
        if not path.endswith(ZIP.encode()):
            return [encode_line(make_finding(facts(path, **as_listed), judge([])))]
        members = [encode_line(make_finding(facts(path, member=b"m%d" % n), judge([]))) for n in range(3)]
        return [*members, encode_line(make_finding(facts(path, **as_listed), judge([]), members=3))]

    return make


class Run:
    """A scan without lanes: what has to be done is done at once; stops (is killed) after so many lines."""

    def __init__(self, out: Path, source: PathSource, lines_of: Callable[[bytes], list[bytes]]) -> None:
        self.out, self.source, self.lines_of = out, source, lines_of
        self.done: list[bytes] = []

    def run(self, lines: int | None = None) -> None:
        left = itertools.count() if lines is None else iter(range(lines))
        journal = Journal(self.out)
        for step in Merge(self.out, [self.source], journal).steps(self.source.walk()):
            if step.kept is not None:
                if step.copy:
                    journal.copy_from(self.out / REST, step.kept)
                continue
            assert step.listed is not None
            self.done.append(step.listed.path)
            for line in self.lines_of(step.listed.path):
                if next(left, None) is None:
                    journal.close()
                    return
                journal.append([line])
        journal.close()
        (self.out / REST).unlink(missing_ok=True)


@pytest.fixture
def run(tmp_path: Path, source: PathSource, lines_of: Callable[[bytes], list[bytes]]) -> Run:
    out = tmp_path / "out"
    out.mkdir()
    return Run(out, source, lines_of)


@pytest.fixture
def full(source: PathSource, lines_of: Callable[[bytes], list[bytes]]) -> list[bytes]:
    return [line for listed in source.walk() for line in lines_of(listed.path)]


def found(run: Run) -> list[bytes]:
    return (run.out / FINDINGS).read_bytes().splitlines(keepends=True)


def test_it_writes_everything_in_walk_order(run: Run, full: list[bytes]) -> None:
    run.run()
    assert found(run) == full


@pytest.mark.parametrize("killed_after", range(22))
def test_it_ends_equal_wherever_it_was_killed(run: Run, full: list[bytes], killed_after: int) -> None:
    run.run(killed_after)
    with open(run.out / FINDINGS, "ab") as stream:
        stream.write(full[killed_after if killed_after < len(full) else 0][:57])  # a torn line
    run.run()
    assert found(run) == full
    again = [path for path in set(run.done) if run.done.count(path) > 1]
    assert len(again) <= 1  # only the file whose lines were not all there


def test_it_repeats_nothing_of_a_finished_scan(run: Run, full: list[bytes]) -> None:
    run.run()
    run.done.clear()
    run.run()
    assert (run.done, found(run)) == ([], full)


@pytest.mark.parametrize("missing", [[0], [5], [5, 6, 7], [20], [10], [9, 10, 11, 12], [12], list(range(1, 20, 2))])
def test_it_does_what_is_missing_in_the_middle_and_keeps_the_rest(
    run: Run, full: list[bytes], missing: list[int]
) -> None:
    run.run()
    run.done.clear()
    (run.out / FINDINGS).write_bytes(b"".join(line for n, line in enumerate(full) if n not in missing))
    run.run()
    assert found(run) == full
    paths = [json.loads(full[n])["path"].split("!")[0] for n in missing]
    lacking = {path[-4:] for path in paths}
    assert {os.fsdecode(path)[-4:] for path in run.done} == lacking


def test_it_passes_over_a_line_that_was_damaged(run: Run, full: list[bytes]) -> None:
    run.run()
    run.done.clear()
    (run.out / FINDINGS).write_bytes(b"".join([*full[:4], b'{"path": damaged}\n', *full[5:]]))
    run.run()
    assert found(run) == full
    assert len(run.done) == 1


def test_it_does_files_that_came_since_and_keeps_findings_of_files_that_went(
    run: Run, full: list[bytes], tmp_path: Path
) -> None:
    run.run()
    run.done.clear()
    (tmp_path / "source/b/02").unlink()
    write(tmp_path / "source/a/00-new")
    run.run()
    new = run.lines_of(os.fsencode(tmp_path / "source/a/00-new"))
    assert found(run) == [full[0], *new, *full[1:]]
    assert run.done == [os.fsencode(tmp_path / "source/a/00-new")]


@pytest.mark.parametrize("changed", [["a/00"], [ZIP], ["c/05"], ["a/02", "a/03", "c/01"], NAMES])
@pytest.mark.parametrize("killed_after", [None, 0, 1, 4, 9])
def test_it_does_files_again_that_have_changed_since(
    run: Run, tmp_path: Path, changed: list[str], killed_after: int | None
) -> None:
    run.run()
    run.done.clear()
    for number, name in enumerate(changed):
        path = tmp_path / "source" / name
        path.write_bytes(b"y" * (SIZE_BYTES + number % 2))  # of some the time only
        os.utime(path, ns=(0, MTIME_NS + 1_000_000_000))
    if killed_after is not None:
        run.run(killed_after)
    run.run()
    assert found(run) == [line for listed in run.source.walk() for line in run.lines_of(listed.path)]
    assert {os.fsdecode(path)[-4:] for path in run.done} == set(changed)
    run.done.clear()
    run.run()
    assert run.done == []


def test_it_survives_kills_while_it_takes_up_a_file_with_holes(run: Run, full: list[bytes]) -> None:
    dice = random.Random(11)
    for _ in range(40):
        kept = [line for line in full if dice.random() < 0.7]
        (run.out / FINDINGS).write_bytes(b"".join(kept))
        (run.out / REST).unlink(missing_ok=True)
        for _ in range(dice.randrange(4)):
            run.run(dice.randrange(6))
        run.run()
        assert found(run) == full


def test_it_survives_a_kill_between_putting_aside_and_cutting(
    run: Run, full: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    (run.out / FINDINGS).write_bytes(b"".join(full[:3] + full[5:]))

    def killed(self: Journal, end: int) -> None:
        raise KeyboardInterrupt

    journal = Journal(run.out)
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "cut", killed)
        with pytest.raises(KeyboardInterrupt):
            carve_rest(run.out, journal, len(b"".join(full[:3])))
    journal.close()
    run.run()
    assert found(run) == full


def state(**changes: object) -> State:
    given = {"format": 1, "sources": ["/e"], "options": {"radius_bits": 31}, "banks": ["B"], **changes}
    return State(**given)  # type: ignore[arg-type]


def test_it_refuses_an_output_folder_that_is_not_empty(tmp_path: Path) -> None:
    (tmp_path / "something").touch()
    with pytest.raises(ConfigError, match="not empty"):
        open_state(tmp_path, state(), resume=False)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"options": {"radius_bits": 20}}, "radius_bits: 31 then, 20 now"),
        ({"sources": ["/f"]}, "sources"),
        ({"banks": ["B", "C"]}, "banks"),
    ],
)
def test_it_refuses_to_resume_another_scan(tmp_path: Path, changes: dict[str, object], told: str) -> None:
    save_state(tmp_path, state())
    with pytest.raises(ConfigError, match=told):
        open_state(tmp_path, state(**changes), resume=True)


def listed(**changes: object) -> ListState:
    given = {"name": "B", "kind": "illegal", "entries": 7, "list_version": 3, "identity": "a" * 32, **changes}
    return ListState(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (listed(), listed(identity="b" * 32)),
        (listed(), listed(identity="b" * 32, list_version=9)),
        (listed(), listed(list_version=2)),
        (listed(list_version_end=5), listed(list_version=4)),
        (listed(), listed(entries=8)),
    ],
)
def test_it_refuses_to_resume_with_another_list_of_the_same_name(
    tmp_path: Path, before: ListState, now: ListState
) -> None:
    with pytest.raises(ConfigError, match="another list of that name") as caught:
        refuse_other_lists(tmp_path, state(runs=[RunState(started="", lists=[before])]), [now])
    assert "rematch" in caught.value.mend


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (listed(), listed()),
        (listed(), listed(list_version=9, entries=2, kind="other")),
        (listed(list_version_end=5), listed(list_version=5, entries=8)),
        (listed(identity=""), listed()),
        (listed(name="C", identity="c" * 32), listed()),
    ],
)
def test_it_resumes_with_a_list_that_has_grown(tmp_path: Path, before: ListState, now: ListState) -> None:
    refuse_other_lists(tmp_path, state(runs=[RunState(started="", lists=[before])]), [now])
    refuse_other_lists(tmp_path, state(), [now])


def test_it_resumes_the_same_scan_and_starts_one_where_there_was_none(tmp_path: Path) -> None:
    assert open_state(tmp_path / "new", state(), resume=True) == state()
    save_state(tmp_path, state(finished=True))
    assert open_state(tmp_path, state(), resume=True) == state(finished=False)


@pytest.mark.parametrize("data", [b"", b"{}", b'{"format":99,"sources":[],"options":{},"banks":[]}'])
def test_it_refuses_a_state_it_cannot_read(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "state.json").write_bytes(data)
    with pytest.raises(ScanError):
        load_state(tmp_path)


def test_it_does_not_resume_where_no_scan_was(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_bytes(b"dear")
    with pytest.raises(ConfigError, match="not empty"):
        open_state(tmp_path, state(), resume=True)


def test_it_begins_anew_after_a_kill_in_its_first_moment(tmp_path: Path) -> None:
    (tmp_path / FINDINGS).touch()
    (tmp_path / "state.json.new").write_bytes(b"{")
    assert open_state(tmp_path, state(), resume=True) == state()


def test_it_lets_one_scan_write_at_a_time(tmp_path: Path) -> None:
    first = Journal(tmp_path)
    with pytest.raises(ConfigError, match="another scan"):
        Journal(tmp_path)
    first.close()
    Journal(tmp_path).close()
