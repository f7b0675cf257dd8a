"""What is told of one hashed file: the record of `leadline hash --json` and of the match service. Judges nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from leadline.errors import LeadlineError
from leadline.scan.names import show_name

if TYPE_CHECKING:
    from leadline.scan.hashing import FileFacts


def one_line(text: str) -> str:
    """Text with nothing that breaks a line or drives a terminal."""
    return show_name(re.sub(r"\s+", " ", text).strip().encode("utf-8", "surrogateescape"))


def fault_record(error: LeadlineError) -> dict[str, str]:
    """The `error` object of a JSON answer."""
    return {"code": error.code, "message": one_line(str(error))}


def file_record(facts: FileFacts) -> dict[str, object]:
    """The fields of a hashed file as the contract of `--json` names them; null where there is no picture."""
    exact = facts.fingerprints.exact
    view = next((v for v in facts.fingerprints.views if v.pdq), None)
    record: dict[str, object] = {
        "size": facts.size_bytes,
        "md5": exact["md5"].hex(),
        "sha1": exact["sha1"].hex(),
        "sha256": exact["sha256"].hex(),
        "mime": facts.mime,
        "width": facts.width or None,
        "height": facts.height or None,
        "pdq": view.pdq[0].hex() if view else None,
        "quality": view.quality if view else None,
        "pdq_family": str(view.family) if view else None,
        "partial": facts.partial,
        "isolation": str(facts.isolation),
    }
    return record if facts.error is None else record | {"error": fault_record(facts.error)}
