"""How evidence speaks in the journal: ids and codes, never a name of a file or a bank's free text."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from typing import Any

from leadline.workbench import sealing
from leadline.workbench.evidence.models import Asset, AssetMatch
from leadline.workbench.journal.actions import Said, record

_KEPT_DETAILS = 20  # banks and entries named in one line of the journal
_PURPOSE = "names-of-red-banks"
_SAFE_ID = re.compile(r"[A-Za-z0-9._:-]{1,100}")


def bank_code(name: str, *, is_red: bool = False) -> str:
    """A bank in the journal, where no free text may stand: its name where that is a plain one, else a hash of it.

    Of a TLP:RED bank a keyed hash: lines stand on pages and in exhibits, and names can be guessed.
    """
    if is_red:
        return f"bank:{hmac.digest(sealing.derive(_PURPOSE), name.encode(), 'sha256').hex()[:16]}"
    return name if _SAFE_ID.fullmatch(name) else f"bank:{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def said_of(asset: Asset, rows: Iterable[AssetMatch]) -> dict[str, Any]:
    named = list(rows)[:_KEPT_DETAILS]
    return {
        "verdict": asset.verdict,
        "kind": asset.inferred_kind or "none",
        "banks": [bank_code(row.bank, is_red=row.is_red) for row in named],
        "entries": [row.entry for row in named],
        "inferred": True,
    }


def line_about(asset: Asset, act: str, actor: str, reason: str, details: dict[str, Any]) -> Said:
    """For `record_all`."""
    return Said(act, actor, "asset", str(asset.id), reason, details)


def tell(act: str, asset: Asset, actor: str, *, reason: str = "none", details: dict[str, Any] | None = None) -> None:
    record(act, actor=actor, object_kind="asset", object_id=str(asset.id), reason=reason, details=details)
