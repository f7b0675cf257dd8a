"""An old scan against new lists, without the disk: the hashes in its findings are matched again. Opens no source."""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from os import PathLike
from pathlib import Path

import msgspec

import leadline
from leadline.errors import ConfigError, InputError, Interrupted, LeadlineError
from leadline.match.bank import Bank
from leadline.match.matcher import MatchAnswer, Matcher
from leadline.media.limits import Limits
from leadline.scan import wire
from leadline.scan.clusters import CLUSTERS
from leadline.scan.export import CSV_NAME, VICS_NAME
from leadline.scan.finding import Finding, decode_line, encode_line, finding_fingerprints, rejudged
from leadline.scan.finish import REPORT, SUMMARY, finish_output
from leadline.scan.journal import FINDINGS, FORMAT, STATE, Journal, Run, State, load_state, open_state, save_state
from leadline.scan.names import show_name
from leadline.scan.run import Progress, ProgressEvent, list_state, utc_now
from leadline.scan.summary import Summary
from leadline.scan.verdict import judge, match_reasons

BATCH = 512


def rematch(
    findings: str | PathLike[str],
    banks: Sequence[Bank | str | PathLike[str]],
    out: str | PathLike[str],
    *,
    radius_bits: int | None = None,
    progress: Progress | None = None,
    csv: bool = False,
    vics: bool = False,
) -> Summary:
    """Match the findings of a scan (its folder, or its findings.jsonl) against `banks`; write a new output folder.

    Turned and mirrored copies are found too: findings hold the hashes of all eight transforms. One that fails or is
    stopped leaves nothing; what one that was killed left is taken away by the next.
    Raises InputError for lines that are no findings, ConfigError, BankError; Interrupted on Ctrl-C (start again).
    """
    source = Path(findings)
    source = source / FINDINGS if source.is_dir() else source
    if not source.is_file():
        raise InputError("no findings there", where=str(source), mend="name a scan's folder or its findings.jsonl")
    opened = [bank if isinstance(bank, Bank) else Bank.open(Path(bank)) for bank in banks]
    config = wire.LaneConfig([os.fsencode(bank.path) for bank in opened], Limits(), radius_bits)
    folder = Path(out)
    matcher = Matcher(opened, radius_bits=radius_bits)  # refuses what it cannot match before anything is written
    wanted = _state(source, opened, radius_bits)
    was_there = _make_room(folder)
    state = open_state(folder, wanted, resume=False)
    state.runs.append(Run(started=utc_now(), version=leadline.__version__, lists=[list_state(bank) for bank in opened]))
    try:
        _rematch(source, folder, matcher, state, progress)
        state.finished = True
        summary = finish_output(folder, state, config, csv=csv, vics=vics)
        save_state(folder, state)
    except BaseException as fault:
        _remove_made(folder, keep_folder=was_there)
        if isinstance(fault, KeyboardInterrupt):
            raise Interrupted("rematch interrupted", where=str(folder), mend="start it again") from None
        raise
    return summary


def _make_room(folder: Path) -> bool:
    """Take away what a killed rematch left; whether the folder was there. ConfigError where it holds anything else."""
    if not folder.is_dir():
        return False
    if _is_unfinished(folder):
        _remove_made(folder, keep_folder=True)
    if any(folder.iterdir()):
        raise ConfigError("the output folder is not empty", where=str(folder), mend="name another --out, or empty it")
    return True


def _is_unfinished(folder: Path) -> bool:
    """Whether its state says that a rematch, not a scan, was at work there and did not come to its end."""
    try:
        state = load_state(folder)
    except LeadlineError:
        return False
    return state is not None and "rematch_of" in state.options and not state.finished


def _remove_made(folder: Path, *, keep_folder: bool) -> None:
    """What a rematch writes, and nothing else."""
    for name in (FINDINGS, CLUSTERS, SUMMARY, REPORT, CSV_NAME, VICS_NAME, STATE):  # the state, which says whose, last
        for path in (folder / name, folder / f"{name}.new"):
            path.unlink(missing_ok=True)
    if not keep_folder:
        with contextlib.suppress(OSError):  # somebody put something there meanwhile
            folder.rmdir()


def _state(source: Path, banks: Sequence[Bank], radius_bits: int | None) -> State:
    try:
        old = load_state(source.parent)
    except LeadlineError:
        old = None
    options = dict(old.options) if old else {}
    options |= {"radius_bits": radius_bits, "rematch_of": show_name(str(source).encode("utf-8", "surrogateescape"))}
    return State(FORMAT, old.sources if old else [], options, [bank.name for bank in banks])


def _rematch(source: Path, out: Path, matcher: Matcher, state: State, progress: Progress | None) -> None:
    started_s, done = time.monotonic(), 0
    journal = Journal(out)
    run = state.runs[-1]
    try:
        for batch in _batches(_findings(source)):
            journal.append([encode_line(f) for f in _judge_again(batch, matcher)])
            done += len(batch)
            if progress is not None:
                seconds = max(time.monotonic() - started_s, 1e-9)
                progress(ProgressEvent(done, None, 0, done / seconds, Counter(), phase="rematching"))
    finally:
        journal.close()
        run.seconds, run.files_done, run.ended = round(time.monotonic() - started_s, 3), done, utc_now()
        save_state(out, state)


def _findings(source: Path) -> Iterator[Finding]:
    """Every finding of an untrusted file. A torn last line is passed over; any other that is no finding is refused."""
    with open(source, "rb") as stream:
        for number, line in enumerate(stream, 1):
            if not line.endswith(b"\n"):
                return
            try:
                yield decode_line(line)
            except (msgspec.DecodeError, ValueError) as error:
                raise InputError(
                    f"not a finding: {error}", where=f"{source}, line {number}", mend="scan again, or remove the line"
                ) from None


def _batches(findings: Iterable[Finding]) -> Iterator[list[Finding]]:
    source = iter(findings)
    while batch := list(itertools.islice(source, BATCH)):
        yield batch


def _judge_again(batch: list[Finding], matcher: Matcher) -> Iterator[Finding]:
    try:
        answers = matcher.match([finding_fingerprints(finding) for finding in batch])
    except ValueError as error:
        raise InputError(f"a finding's hash cannot be read: {error}", mend="scan again") from None
    for finding, answer in zip(batch, answers, strict=True):
        yield _judged(finding, answer)


def _judged(finding: Finding, answer: MatchAnswer) -> Finding:
    """What the old scan did not compute cannot be matched; the matcher's reasons say so."""
    error = finding.error.message if not isinstance(finding.error, msgspec.UnsetType) else None
    notes = finding.notes if isinstance(finding.notes, list) else []
    judgement = judge(
        answer.matches,
        notes=notes,
        match_reasons=match_reasons(answer),
        error=error,
        skipped=finding.verdict == "skipped",
    )
    return rejudged(finding, judgement)
