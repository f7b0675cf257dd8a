"""`leadline exchange look-up`: asks a look-up service whether it knows files. Only hashes leave; decides nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from leadline.cli.config import load_settings
from leadline.cli.exchange_setup import open_subscriptions, with_libraries
from leadline.cli.files import path_fields, walk_files
from leadline.cli.options import Json, UnsafeDecode
from leadline.cli.output import Tally, complain, emit, fault_record, say
from leadline.domain import Fingerprints, PdqFamily, ViewHashes
from leadline.errors import ConfigError, InputError, LeadlineError
from leadline.exchange.base import parse_hex
from leadline.media.client import Sandbox
from leadline.scan.names import show_name

if TYPE_CHECKING:
    from leadline.exchange.connector import Found, LookUpConnector
    from leadline.scan.hashing import FileHasher

_ASKED_AT_ONCE = 100
_PREFIX = "pdq:"


class _Question(NamedTuple):
    shown: dict[str, str]
    prints: Fingerprints | None
    fault: LeadlineError | None


def look_up_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of a source that is a look-up.")],
    asked: Annotated[
        list[str], typer.Argument(metavar="WHAT...", help="Files, folders to walk, or hashes as pdq:DIGITS.")
    ],
    json: Json = False,
    unsafe_decode: UnsafeDecode = False,
) -> int:
    """Ask a look-up service whether it knows files or hashes. What leaves is perceptual hashes, never a file.

    Files are decoded in locked child processes, as by `leadline hash`. An answer is the service's own word. "not asked"
    means that there was nothing to ask with: no picture, or one whose hash says too little. It does not mean unknown.

    \b
    Examples:
      leadline exchange look-up shield photo.jpg
      leadline exchange look-up shield folder --json
      leadline exchange look-up shield pdq:f8f8f0cc...

    Exit codes: 0 all asked about (known or not), 1 none, 3 some were not asked about.
    """
    with with_libraries():
        from leadline.exchange.connector import LookUpConnector
        from leadline.scan.hashing import FileHasher
        from leadline.subscriptions.pulling import connected
    settings, tally = load_settings(), Tally()
    with (
        connected(open_subscriptions(settings), name, clock=time.time, sleep=time.sleep) as source,
        Sandbox(settings.limits, unsafe=unsafe_decode) as sandbox,
    ):
        if not isinstance(source, LookUpConnector):
            raise ConfigError("not a look-up: it gives a list", where=name, mend=f"leadline exchange pull {name}")
        hasher = FileHasher(sandbox, families=frozenset({PdqFamily.B}), dihedral=True, limits=settings.limits)
        questions = _questions(asked, hasher)
        while some := list(islice(questions, _ASKED_AT_ONCE)):
            _answer(source, some, tally, json=json)
    if not tally.done and not tally.refused:
        raise InputError("no files found", where=", ".join(asked), mend="name files or folders that hold some")
    return tally.exit_code


def _questions(asked: Sequence[str], hasher: FileHasher) -> Iterator[_Question]:
    for what in asked:
        if what.startswith(_PREFIX) and not os.path.lexists(what):
            yield _hash_question(what)
        else:
            yield from _file_questions(what, hasher)


def _hash_question(what: str) -> _Question:
    try:
        digest = parse_hex("pdq", what.removeprefix(_PREFIX))
    except LeadlineError as error:
        return _Question({"hash": what[:100]}, None, error)
    view = ViewHashes("picture", PdqFamily.B, (digest,), 100, 0, 0)
    return _Question({"hash": what}, Fingerprints({}, (view,)), None)


def _file_questions(path: str, hasher: FileHasher) -> Iterator[_Question]:
    for named in walk_files([path]):
        if named.fault is not None:
            yield _Question(path_fields(named.shown), None, named.fault)
            continue
        facts = hasher.hash_path(named.path)
        yield _Question(path_fields(named.shown), facts.fingerprints if facts.fingerprints.views else None, facts.error)


def _answer(source: LookUpConnector, questions: Sequence[_Question], tally: Tally, *, json: bool) -> None:
    found = iter(source.look_up([one.prints for one in questions if one.prints is not None]))
    for question in questions:
        answer = next(found) if question.prints is not None else None
        was_asked = answer is not None and answer.details.get("asked") != "no"
        tally.done += was_asked
        tally.refused += not was_asked
        if question.fault is not None:
            complain(question.fault, next(iter(question.shown.values())))
        if json:
            fault = {"error": fault_record(question.fault)} if question.fault is not None else {}
            emit({**question.shown, **_record(answer if was_asked else None), **fault})
        else:
            say(f"{show_name(next(iter(question.shown.values())).encode())}  {_told(answer if was_asked else None)}")


def _record(answer: Found | None) -> dict[str, object]:
    """`known` is null where it was not asked."""
    if answer is None:
        return {"known": None}
    told = {"classification": answer.classification, "exact": answer.is_exact, "details": dict(answer.details)}
    return {"known": answer.is_known, **(told if answer.is_known else {})}


def _told(answer: Found | None) -> str:
    if answer is None:
        return "not asked"
    how = "exact" if answer.is_exact else "near"
    return f"known: {show_name(answer.classification.encode())}, {how}" if answer.is_known else "not known"
