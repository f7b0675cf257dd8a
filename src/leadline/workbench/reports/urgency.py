"""How urgent a report is, and why: from the reporter's ticks, the channel and matches. Never from words in a text."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from leadline.domain import Channel, Kind, Urgency

ALERTS_FROM = 3
CLAIMED = "scan."
_TICKS: Mapping[Urgency, int] = {
    Urgency.CHILD_AT_RISK_NOW: 60,
    Urgency.SENDER_ESCALATED: 60,
    Urgency.KNOWN_VICTIM_CONTACT: 40,
    Urgency.ONGOING: 30,
    Urgency.COMMERCIAL: 10,
}
# From whom a report comes says how often such reports turn out to be what they seem.
_CHANNELS: Mapping[Channel, int] = {Channel.NCMEC: 10, Channel.ICCAM: 10, Channel.CHAT: 10, Channel.CAPTURE: 10}
_MATCHES: Mapping[Kind, int] = {Kind.ILLEGAL: 20, Kind.EXPLOITATIVE: 10}
_LEVELS = ((60, 3), (30, 2), (10, 1))


class UrgencyOf(NamedTuple):
    """level: 0..3; why: (code, points), most points first."""

    level: int
    why: tuple[tuple[str, int], ...]


def explain_urgency(
    ticks: Collection[Urgency], channel: Channel, kinds: Collection[Kind] = (), claimed: Collection[Kind] = ()
) -> UrgencyOf:
    """kinds: of the bank entries that files and hashes of the report matched; claimed: those a scan elsewhere met."""
    why = [(f"tick.{tick}", _TICKS[tick]) for tick in ticks]
    why += [(f"channel.{channel}", points) for points in (_CHANNELS.get(channel, 0),) if points]
    why += [(f"match.{kind}", _MATCHES[kind]) for kind in set(kinds) if kind in _MATCHES]
    why += [(f"{CLAIMED}{kind}", _MATCHES[kind]) for kind in set(claimed) - set(kinds) if kind in _MATCHES]
    points = sum(points for _, points in why)
    level = next((level for least, level in _LEVELS if points >= least), 0)
    return UrgencyOf(level, tuple(sorted(why, key=lambda pair: (-pair[1], pair[0]))))
