"""Options that several commands share, so that they read and mean the same everywhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leadline.errors import ConfigError
from leadline.exchange.base import HashType
from leadline.match.search import MAX_RADIUS_BITS

if TYPE_CHECKING:
    from leadline.match.bank import Bank


def check_text(value: str | list[str] | None) -> str | list[str] | None:
    """Callback of options whose value is kept as text. Paths may be any bytes; what is stored or told is UTF-8."""
    for text in value if isinstance(value, list) else [value or ""]:
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise typer.BadParameter("not UTF-8") from None
    return value


def reason_option(help_: str) -> Any:
    """`--reason`: why a list leaves. It is recorded, so it has to be text."""
    return typer.Option("--reason", metavar="TEXT", callback=check_text, help=help_)


def ask_reason(given: str, bank: Bank) -> str:
    """Why entries of this bank leave; asked of a person where it is needed and was not given. ConfigError without."""
    from leadline.match.exports import check_reason

    try:
        return check_reason(bank, given)
    except ConfigError:
        if given.strip() or not sys.stdin.isatty():
            raise
    return check_reason(bank, typer.prompt("why does this list leave? (recorded)", err=True))


Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
Banks = Annotated[
    list[str], typer.Option("--bank", metavar="BANK", help="Folder of a bank; give it again for more banks.")
]
Radius = Annotated[
    int | None,
    typer.Option(
        "--radius",
        min=0,
        max=MAX_RADIUS_BITS,
        metavar="BITS",
        help="PDQ hashes match up to this distance, 0-64. Default: each bank's own, 31 unless it says otherwise.",
    ),
]
UnsafeDecode = Annotated[
    bool,
    typer.Option(
        "--unsafe-decode", help="Decode without a sandbox. Recorded in every result; only for files you made."
    ),
]
Digits64 = Annotated[
    HashType,
    typer.Option(
        "--hash-type",
        help="What 64 digits without a prefix are. SHA-256 and PDQ look alike, so they are taken as both unless said:"
        " a hash of one kind never matches by chance as the other.",
    ),
]
