"""`leadline exchange look-up`: asks a look-up service whether it knows files. Decides nothing.

Only hashes leave, unless the source's operator and the command both say more.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from leadline.cli.config import load_settings
from leadline.cli.exchange_setup import open_subscriptions, with_libraries
from leadline.cli.files import path_fields, walk_files
from leadline.cli.options import Json, UnsafeDecode
from leadline.cli.output import Tally, complain, emit, fault_record, say
from leadline.domain import Fingerprints, PdqFamily, ViewHashes
from leadline.errors import ConfigError, InputError, LeadlineError, SourceBroken
from leadline.exchange.base import parse_hex
from leadline.media.client import Sandbox
from leadline.media.sniff import sniff
from leadline.scan.names import show_name
from leadline.scan.reading import HEAD_BYTES, open_regular, read_fd

if TYPE_CHECKING:
    from leadline.exchange.connector import Found, LookUpConnector
    from leadline.scan.hashing import FileHasher

_ASKED_AT_ONCE = 100
_PREFIX = "pdq:"
_WEB = ("http://", "https://")


class _Question(NamedTuple):
    """prints: asked about with others. ask: asks by itself, about what leaves whole (`leaving`: url or media).

    Neither where there is nothing to ask with.
    """

    shown: dict[str, str]
    prints: Fingerprints | None = None
    fault: LeadlineError | None = None
    ask: Callable[[], Found | None] | None = None
    leaving: str = ""


class _Asking(NamedTuple):
    """most_bytes: of a file that is sent whole; None: files are asked about by their hashes."""

    source: LookUpConnector
    hasher: FileHasher
    most_bytes: int | None


def look_up_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of a source that is a look-up.")],
    asked: Annotated[
        list[str],
        typer.Argument(metavar="WHAT...", help="Files, folders to walk, hashes as pdq:DIGITS, or web addresses."),
    ],
    media: Annotated[
        bool,
        typer.Option(
            "--media", help="Send pictures and videos whole, instead of hashes. The source needs send_media=true."
        ),
    ] = False,
    json: Json = False,
    unsafe_decode: UnsafeDecode = False,
) -> int:
    """Ask a look-up service whether it knows files or hashes. What leaves is perceptual hashes, not files.

    Files are decoded in locked child processes, as by `leadline hash`. An answer is the service's own word. "not asked"
    means that there was nothing to ask with: no picture, or one whose hash says too little. It does not mean unknown.

    More leaves only where the source's operator allowed it: addresses that begin with http:// or https:// with the
    option send_urls=true (the service fetches them itself), whole files with send_media=true and --media. Else the
    command ends before anything is asked. "sent" in an answer says so where more than a hash left.

    \b
    Examples:
      leadline exchange look-up shield photo.jpg
      leadline exchange look-up shield folder --json
      leadline exchange look-up shield pdq:f8f8f0cc...
      leadline exchange look-up shield https://example.org/photo.jpg
      leadline exchange look-up shield video.mp4 --media

    Exit codes: 0 all asked about (known or not), 1 none, 2 what may not leave was to be sent: nothing was asked, 3 some
    were not asked about.
    """
    with with_libraries():
        from leadline.exchange.connector import Leaving, LookUpConnector
        from leadline.scan.hashing import FileHasher
        from leadline.subscriptions.pulling import connected
    settings, tally = load_settings(), Tally()
    with (
        connected(open_subscriptions(settings), name, clock=time.time, sleep=time.sleep) as source,
        Sandbox(settings.limits, unsafe=unsafe_decode) as sandbox,
    ):
        if not isinstance(source, LookUpConnector):
            raise ConfigError("not a look-up: it gives a list", where=name, mend=f"leadline exchange pull {name}")
        if any(map(_is_address, asked)):
            source.require(Leaving.URLS)
        if media:
            source.require(Leaving.MEDIA)
        hasher = FileHasher(sandbox, families=frozenset({PdqFamily.B}), dihedral=True, limits=settings.limits)
        most_bytes = settings.limits.max_file_bytes if media else None
        questions = _questions(asked, _Asking(source, hasher, most_bytes))
        while some := list(islice(questions, _ASKED_AT_ONCE)):
            _answer(source, some, tally, json=json)
    if not tally.done and not tally.refused:
        raise InputError("no files found", where=", ".join(asked), mend="name files or folders that hold some")
    return tally.exit_code


def _is_address(what: str) -> bool:
    """What a file is called is a file."""
    return what.lower().startswith(_WEB) and not os.path.lexists(what)


def _questions(asked: Sequence[str], asking: _Asking) -> Iterator[_Question]:
    for what in asked:
        if _is_address(what):
            yield _Question({"url": what}, ask=partial(asking.source.look_up_url, what), leaving="url")
        elif what.startswith(_PREFIX) and not os.path.lexists(what):
            yield _hash_question(what)
        else:
            yield from _file_questions(what, asking)


def _hash_question(what: str) -> _Question:
    try:
        digest = parse_hex("pdq", what.removeprefix(_PREFIX))
    except LeadlineError as error:
        return _Question({"hash": what[:100]}, fault=error)
    view = ViewHashes("picture", PdqFamily.B, (digest,), 100, 0, 0)
    return _Question({"hash": what}, Fingerprints({}, (view,)))


def _file_questions(path: str, asking: _Asking) -> Iterator[_Question]:
    for named in walk_files([path]):
        shown = path_fields(named.shown)
        if named.fault is not None:
            yield _Question(shown, fault=named.fault)
        elif asking.most_bytes is not None:
            ask = partial(_send, asking.source, named.path, asking.most_bytes)
            yield _Question(shown, ask=ask, leaving="media")
        else:
            facts = asking.hasher.hash_path(named.path)
            yield _Question(shown, facts.fingerprints if facts.fingerprints.views else None, facts.error)


def _send(source: LookUpConnector, path: bytes, most_bytes: int) -> Found | None:
    """None for what is neither picture nor video: that stays here."""
    with open_regular(path) as (fd, before):
        if not 0 < before.st_size <= most_bytes:
            mend = f"only files of 1 to {most_bytes:,} bytes are sent"
            raise InputError("not sent: its size", where=show_name(path), mend=mend)
        buffer = memoryview(bytearray(before.st_size))
        data = bytes(buffer[: read_fd(fd, buffer)])
    media_type = sniff(data[:HEAD_BYTES])
    return source.look_up_media(data, media_type) if media_type.startswith(("image/", "video/")) else None


def _answer(source: LookUpConnector, questions: Sequence[_Question], tally: Tally, *, json: bool) -> None:
    found = iter(source.look_up([one.prints for one in questions if one.prints is not None]))
    for question in questions:
        answer, fault = (next(found), question.fault) if question.prints is not None else _ask_alone(question)
        was_asked = answer is not None and answer.details.get("asked") != "no"
        tally.done += was_asked
        tally.refused += not was_asked
        has_left = was_asked or isinstance(fault, SourceBroken)
        shown = question.shown | ({"sent": question.leaving} if question.leaving and has_left else {})
        _tell(shown, answer if was_asked else None, fault, json=json)


def _ask_alone(question: _Question) -> tuple[Found | None, LeadlineError | None]:
    """A refusal of one address or file is no word on the next."""
    try:
        return question.ask() if question.ask is not None else None, question.fault
    except (InputError, SourceBroken) as error:
        return None, error


def _tell(shown: dict[str, str], answer: Found | None, fault: LeadlineError | None, *, json: bool) -> None:
    name = next(iter(shown.values()))
    if fault is not None:
        complain(fault, name)
    if json:
        emit({**shown, **_record(answer), **({"error": fault_record(fault)} if fault is not None else {})})
    else:
        sent = f" ({shown['sent']} sent)" if "sent" in shown else ""
        told = "no answer" if sent and answer is None else _told(answer)
        say(f"{show_name(os.fsencode(name))}  {told}{sent}")


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
