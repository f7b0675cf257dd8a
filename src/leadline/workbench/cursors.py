"""Opaque cursors for long lists: where the last page ended, signed. Keyset, so rows that come or go shift nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from django.core import signing
from django.db.models import Field, Model, Q, QuerySet

from leadline.errors import InputError

MAX_LIMIT = 200
_MAX_CHARS = 1000


class Slice(NamedTuple):
    """One page of rows, and the cursor of the next one; None at the end."""

    rows: list[Any]
    next: str | None


def encode_cursor(values: Sequence[object], scope: str) -> str:
    """`scope`: which list it belongs to; a cursor of one list is refused by every other."""
    return signing.Signer(salt=f"leadline.cursor:{scope}").sign_object([str(value) for value in values])


def decode_cursor(untrusted_cursor: str, scope: str) -> list[str]:
    """The values it was made of. InputError where we did not make it, or made it for another list."""
    try:
        if len(untrusted_cursor) > _MAX_CHARS:
            raise signing.BadSignature
        values: list[str] = signing.Signer(salt=f"leadline.cursor:{scope}").unsign_object(untrusted_cursor)
    except (signing.BadSignature, ValueError):
        mend = "use `next` of the page before, unchanged"
        raise InputError("not a cursor of this list", where="cursor", mend=mend, code="cursor") from None
    return values


def slice_rows(rows: QuerySet[Any], order: Sequence[str], cursor: str, limit: int, scope: str) -> Slice:
    """At most `limit` rows after `cursor` ("" is the start), in `order`: names of fields, "-" before each or none.

    The last of them must be unique, and an index on all of them must be there.
    """
    names = [name.removeprefix("-") for name in order]
    ordered = rows.order_by(*order)
    if cursor:
        values = decode_cursor(cursor, scope)
        if len(values) != len(names):
            raise InputError("not a cursor of this list", where="cursor", code="cursor")
        ordered = ordered.filter(_after(rows.model, names, values, "lt" if order[0].startswith("-") else "gt"))
    found = list(ordered[: limit + 1])
    if len(found) <= limit:
        return Slice(found, None)
    last = found[limit - 1]
    return Slice(found[:limit], encode_cursor([_text(getattr(last, name)) for name in names], scope))


def _after(model: type[Model], names: Sequence[str], values: Sequence[str], comparison: str) -> Q:
    """(a, b) beyond (x, y): a beyond x, or a is x and b beyond y. The first bound is there for the index."""
    parsed: list[Any] = []
    for name, text in zip(names, values, strict=True):
        field: Field[Any, Any] = model._meta.get_field(name)  # type: ignore[assignment]
        parsed.append(field.to_python(text))
    condition, equal = Q(), Q()
    for name, value in zip(names, parsed, strict=True):
        condition |= equal & Q(**{f"{name}__{comparison}": value})
        equal &= Q(**{name: value})
    return Q(**{f"{names[0]}__{comparison}e": parsed[0]}) & condition


def _text(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
