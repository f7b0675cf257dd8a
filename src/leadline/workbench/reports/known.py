"""What reported hashes are known as: asks the office's banks, as a file that arrives is asked about. Stores nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from leadline.domain import Channel, IncomingItem, ItemKind, Kind, Match
from leadline.errors import HashFormatError
from leadline.exchange.base import parse_hash
from leadline.match.matcher import Matcher
from leadline.scan.verdict import judge
from leadline.workbench.banks.access import Confirmed, all_banks

_BESIDE = ("md5", "sha1", "sha256", "pdq")  # facts of an item that are hashes of the same file


def kinds_met(items: Sequence[IncomingItem]) -> list[str]:
    """For each item the domain.Kind that an entry decides, or ""; an entry that a false positive suppresses decides
    nothing. Only a hash is asked about: of a file its asset knows."""
    asked = [(place, line) for place, item in enumerate(items) for line in _hashes(item)]
    if not asked:
        return [""] * len(items)
    banks = all_banks()
    answers = map(Confirmed(banks).only, Matcher(banks).match_hashes([line for _, line in asked]))
    found: dict[int, list[Match]] = {}
    for (place, _), answer in zip(asked, answers, strict=True):
        found.setdefault(place, []).extend(answer.matches)
    kinds = {place: judge(matches).kind for place, matches in found.items()}
    return [kind.value if (kind := kinds.get(place)) else "" for place in range(len(items))]


def _hashes(item: IncomingItem) -> Iterable[tuple[str, bytes]]:
    if item.kind is not ItemKind.HASH:
        return
    for untrusted in (item.value, *(f"{name}:{item.facts[name]}" for name in _BESIDE if item.facts.get(name))):
        try:
            yield from parse_hash(untrusted).items()
        except HashFormatError:
            continue  # it is kept as it came, and met by nothing


def kinds_claimed(items: Iterable[IncomingItem], channel: Channel) -> Collection[Kind]:
    """What a scan that was made elsewhere, perhaps with other banks, found: only its own result file says so."""
    if channel is not Channel.SCAN:
        return ()
    return {Kind(str(item.facts["kind"])) for item in items if item.facts.get("kind") in set(Kind)}
