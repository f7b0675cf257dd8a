"""Tags of MISP: what they say of sharing (TLP), of use (PAP) and of a file's class. What nobody here knows is unsafe.

Names as in the taxonomies of MISP (misp-taxonomies): `tlp`, `PAP`, `dark-web`, `copine-scale` and others.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from leadline.domain import Tlp

PAP_LEVELS = ("red", "amber", "green", "clear")  # most restrictive first
_STRICTEST_FIRST = tuple(Tlp)
_MAX_TAG_CHARS, _KEPT_TAGS = 100, 20
_TAG = re.compile(r'([\w.+-]+):([\w.+ :-]+?)(?:="([^"]*)")?')
_WHITE = {"white": "clear"}  # of TLP 1.0 and of older PAP
# Old name -> the name that took its place (dark-web v10, 2025-08-19). Both are on events that are out there.
_RENAMED = {
    ("dark-web", 'topic="pornography-child-exploitation"'): 'topic="child-sexual-abuse-material"',
}
_CLASSES = (
    "copine-scale",
    "dark-web",
    "content-classification",
    "rsit",
    "common-taxonomy",
)  # the first one that is there
_HARMLESS = frozenset({
    *_CLASSES, "admiralty-scale", "estimative-language", "workflow", "retention", "false-positive", "infoleak",
    "europol-event", "europol-incident", "misp-galaxy",
})  # fmt: skip # they say nothing of who may have it


@dataclass(frozen=True, slots=True)
class Said:
    """What some tags say together: the strictest of each. None and empty where they do not say."""

    tlp: Tlp | None = None
    pap: str = ""
    scheme: str = ""
    label: str = ""
    tags: tuple[str, ...] = ()


def read_tags(untrusted_names: Iterable[str], unknown: Counter[str]) -> Said:
    """An unknown tag or level of TLP makes it TLP:RED, an unknown level of PAP makes it PAP:RED; all are counted."""
    tlps: list[Tlp] = []
    paps: list[str] = []
    classes: dict[str, list[str]] = {}
    names = sorted(set(untrusted_names))
    for untrusted_name in names:
        name = _shown(untrusted_name)
        space, value = _split(name)
        if space == "tlp":
            tlps.append(_tlp(value, name, unknown))
        elif space == "pap":
            paps.append(_pap(value, name, unknown))
        elif space in _HARMLESS:
            classes.setdefault(space, []).append(_RENAMED.get((space, value), value))
        else:
            unknown[f"tag {name}"] += 1
            tlps.append(Tlp.RED)
    scheme = next((space for space in _CLASSES if space in classes), "")
    return Said(
        tlp=min(tlps, key=_STRICTEST_FIRST.index, default=None),
        pap=min(paps, key=PAP_LEVELS.index, default=""),
        scheme=f"misp:{scheme}" if scheme else "",
        label=min(classes[scheme]) if scheme else "",
        tags=tuple(_shown(name) for name in names[:_KEPT_TAGS]),
    )


def tag_names(untrusted_tags: object) -> list[str]:
    """Names out of a `Tag` list of MISP; a tag without a usable name is one that nobody knows."""
    tags: Sequence[object] = untrusted_tags if isinstance(untrusted_tags, list) else []
    names = (tag.get("name") if isinstance(tag, dict) else None for tag in tags)
    return [name if isinstance(name, str) else "" for name in names]


def _split(name: str) -> tuple[str, str]:
    """(namespace in small letters, the rest as it is told apart); empty where it is no machine tag."""
    found = _TAG.fullmatch(name)
    if not found:
        return "", ""
    value = found[2] if found[3] is None else f'{found[2]}="{found[3]}"'
    return found[1].lower(), value.lower()


def _tlp(value: str, name: str, unknown: Counter[str]) -> Tlp:
    try:
        return Tlp(_WHITE.get(value, value))
    except ValueError:
        unknown[f"tag {name}"] += 1
        return Tlp.RED


def _pap(value: str, name: str, unknown: Counter[str]) -> str:
    level = _WHITE.get(value, value)
    if level in PAP_LEVELS:
        return level
    unknown[f"tag {name}"] += 1
    return PAP_LEVELS[0]


def _shown(untrusted_name: str) -> str:
    return "".join(c for c in untrusted_name.strip() if c.isprintable())[:_MAX_TAG_CHARS]
