"""What acts of sharing have in common: the lock on a share, its line in the journal. Decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from leadline.errors import InputError, sentence
from leadline.exchange.incoming import clean_text
from leadline.workbench.journal.actions import record
from leadline.workbench.sharing.models import Share

_MOVES = (
    "state", "decided_by", "decided_at", "expires_at", "ended_at", "ended_for", "sender", "tries", "next_try_at",
    "failure",
)  # fmt: skip


def lock_share(share_id: Any) -> Share:
    return Share.objects.select_for_update(of=("self",)).select_related("partner", "agreement").get(pk=share_id)


def keep(share: Share) -> None:
    """What moves of a share. What was proposed is never written again: the database refuses it."""
    share.save(update_fields=_MOVES)


def tell(act: str, share: Share, actor: str, *, reason: str = "none", details: Mapping[str, Any] | None = None) -> None:
    """As the last write of its act."""
    said = {"partner": str(share.partner_id), **(details or {})}
    record(act, actor=actor, object_kind="share", object_id=str(share.pk), reason=reason, details=said)


def clean(untrusted: str, where: str, most: int) -> str:
    """InputError where it is too long."""
    text = clean_text(untrusted).strip()
    if len(text) > most:
        raise InputError(sentence("more than %(most)s characters", most=most), where=where)
    return text


def check_code(code: str, known: list[tuple[str, Any]], where: str) -> None:
    if code not in dict(known):
        names = ", ".join(dict(known))
        raise InputError("not one of the codes", where=where, mend=sentence("one of %(names)s", names=names))
