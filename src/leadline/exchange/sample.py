"""A small list inside Leadline, for the first minute: made-up entries and published test vectors. Asks nobody.

Its second pull withdraws an entry, so that one sees how that goes. `printf abc` makes a file that it knows.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import ClassVar

from leadline.domain import Entry
from leadline.exchange.base import entry_fields, metadata_text
from leadline.exchange.connector import Checked, Checkpoint, ListConnector, Page, Record

_FIRST_SEEN_S = 1_767_225_600  # 2026-01-01
# MD5 of the texts of RFC 1321, SHA-1 and SHA-256 of "abc" from FIPS 180, PDQ of GitHub's logos as the package
# threatexchange gives them for an example.
_TOLD: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("rfc1321-a", "A", {"md5": "0cc175b9c0f1b6a831c399e269772661"}),
    (
        "abc", "A",
        {
            "md5": "900150983cd24fb0d6963f7d28e17f72", "sha1": "a9993e364706816aba3e25717850c26c9cd0d89d",
            "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        },
    ),
    ("rfc1321-message", "B", {"md5": "f96b697d7cb7938d525a2f31aaf161d0"}),
    ("rfc1321-letters", "B", {"md5": "c3fcd3d76192e4007dfb496cca67e13b"}),
    ("pdq-invertocat", "A", {"pdq": "c186f9619659658c4b6916daf934496985f4259c72c39676ab9edb631c3c349c"}),
    ("pdq-octocat", "B", {"pdq": "62c9789627838f69f23cf98c29e37836d61c87c31c59587c4b49a783f496725c"}),
    ("rfc1321-digits", "B", {"md5": "57edf4a22be3c955ac49da2e2107b67a"}),
)  # fmt: skip
_WITHDRAWN = "rfc1321-digits"


class Sample(ListConnector):
    name: ClassVar = "sample"
    title: ClassVar = "A small list of made-up entries, to try things out"

    def check(self) -> Checked:
        return Checked("", ("made-up entries and published test vectors; nobody is asked",))

    def pull(self, checkpoint: Checkpoint | None) -> Iterator[Page]:
        """The first pull tells all, the second withdraws one, each later one finds nothing new."""
        pulls = (checkpoint or {}).get("pulls", 0)
        if pulls == 0:
            half = len(_TOLD) // 2
            yield Page(self._records(0, half), {"pulls": 0}, begins_whole=True, total=len(_TOLD))
            yield Page(self._records(half, len(_TOLD)), {"pulls": 1}, is_last=True, total=len(_TOLD))
        elif pulls == 1:
            gone = Record(_WITHDRAWN, hashlib.sha256(_WITHDRAWN.encode()).digest(), None)
            yield Page([gone], {"pulls": 2}, is_last=True)
        else:
            yield Page((), {"pulls": 2}, is_last=True)

    def _records(self, start: int, end: int) -> list[Record]:
        return [self._record(*told) for told in _TOLD[start:end]]

    def _record(self, key: str, label: str, hashes: dict[str, str]) -> Record:
        digest = hashlib.sha256(json.dumps([key, label, hashes]).encode()).digest()
        fields = entry_fields(self.defaults) | {"scheme": self.defaults.scheme or "sample", "label": label}
        prints = {name: bytes.fromhex(digits) for name, digits in hashes.items()}
        metadata = metadata_text({"record": digest.hex()})
        entry = Entry(
            fingerprints=prints, source_id=key, first_seen=_FIRST_SEEN_S, last_seen=_FIRST_SEEN_S, metadata=metadata,
            **fields,
        )  # fmt: skip
        return Record(key, digest, entry)
