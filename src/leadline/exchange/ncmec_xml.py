"""XML of NCMEC's hash sharing, read as it comes: hostile until shown otherwise. Resolves nothing, fetches nothing.

Namespaces are passed over, but for one that names another version; unknown elements are counted. A DTD is refused, so
there are no entities to expand; elements, texts and depth are bounded by libxml2's own limits, what lies between two
entries by ours.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from lxml import etree

from leadline.errors import SourceBroken, sentence
from leadline.exchange.connector import Readable

MAX_RECORD_BYTES = 4 << 20  # one entry has less than 10 kB; elements take up to thirty times their bytes in memory
_SWEPT_EACH = 64  # entries
_KEPT_NAMES = 100  # of unknown things: their names come from outside
ENTRY_TAGS = {
    "image": ("image", False),
    "video": ("video", False),
    "deletedimage": ("image", True),
    "deletedvideo": ("video", True),
}
_GROUPS = frozenset({"images", "videos"})
_TEXTS = frozenset({"timestamp", "id", "classification"})
_FEEDBACK = {"affirmativeFeedback": "affirmed", "negativeFeedback": "disputed"}
_VERSION = re.compile(r"/hashsharing/v([0-9.]{1,10})/?$", re.ASCII)  # where NCMEC's namespace ends
_SAFE: Mapping[str, bool] = {
    "resolve_entities": False, "no_network": True, "load_dtd": False, "huge_tree": False,
    "remove_comments": True, "remove_pis": True,
}  # fmt: skip


_PARSER = etree.XMLParser(**_SAFE)


class ToldEntry(msgspec.Struct, gc=False):
    """An entry as its XML says it; texts are not checked yet.

    prints    name of the fingerprint's element -> its text
    linked    name -> link, of those that are not in the page
    feedback  "affirmed", "disputed" -> type of fingerprint -> members who said so
    digest    SHA-256 of its XML
    """

    type: str
    is_deleted: bool
    digest: bytes
    member: str = ""
    member_name: str = ""
    id: str = ""
    timestamp: str = ""
    classification: str = ""
    prints: dict[str, str] = {}  # each entry has its own: msgspec copies an empty default
    linked: dict[str, str] = {}
    feedback: dict[str, dict[str, int]] = {}


class XmlReader:
    """The entries of one answer, as they come. After the last of them `next_link` says where the list goes on, empty
    where it does not. unknown: elements that nobody here knows, with their count."""

    def __init__(self, untrusted: Readable, where: str) -> None:
        self._source, self._where = _Metered(untrusted, where), where
        self._names: dict[str, str] = {}
        self.next_link, self.unknown = "", Counter[str]()

    def __iter__(self) -> Iterator[ToldEntry]:
        tags = [f"{{*}}{tag}" for tag in ("image", "video", "deletedImage", "deletedVideo", *_GROUPS, "paging")]
        events = etree.iterparse(self._source, events=("end",), tag=tags, **_SAFE)
        is_checked = False
        try:
            for number, (_, element) in enumerate(events):
                if not is_checked:
                    self._check(element.getroottree())
                    is_checked = True
                name = self._name(element.tag)
                if name in _GROUPS:
                    self._count_unknown(element, ENTRY_TAGS)
                elif name == "paging":
                    self.next_link = (element.findtext("{*}next") or "").strip()
                elif self._name(element.getparent().tag) in _GROUPS:  # else it is of something that nobody knows
                    self._source.since_record = 0
                    yield self._entry(element, name)
                    if number % _SWEPT_EACH == 0:
                        self._sweep(element)
        except etree.XMLSyntaxError as error:
            raise malformed(error, self._where) from None
        self._check(events.root.getroottree())
        self._count_unknown(events.root, _GROUPS | {"paging"})

    def read_one(self, untrusted_xml: bytes) -> ToldEntry | None:
        """The entry of a page with no other, or None where there is none or more. SourceBroken for what is no page."""
        groups = parse_document(untrusted_xml, "queryResult", self._where)
        if len(groups) != 1 or len(groups[0]) != 1:
            return None
        return self._entry(groups[0][0], self._name(groups[0][0].tag))

    def _check(self, tree: Any) -> None:
        check_document(tree, "queryResult", self._where)

    def _name(self, tag: str) -> str:
        """Without its namespace."""
        name = self._names.get(tag)
        if name is None:
            name = tag.rpartition("}")[2]
            if len(self._names) < 10 * _KEPT_NAMES:
                self._names[tag] = name
        return name

    def _entry(self, element: Any, name: str) -> ToldEntry:
        entry_type, is_deleted = ENTRY_TAGS[name.lower()]
        told = ToldEntry(entry_type, is_deleted, _digest(element))
        for child in element:
            name = self._name(child.tag)
            if name == "fingerprints":
                self._take_prints(told, child)
            elif name in _TEXTS:
                setattr(told, name, (child.text or "").strip())
            elif name == "member":
                told.member, told.member_name = (child.get("id") or "").strip(), (child.text or "").strip()
            elif name == "feedback":
                self._take_feedback(told, child)
            else:
                self._note(f"element {name}")
        return told

    def _take_prints(self, told: ToldEntry, element: Any) -> None:
        """Blank ones are seen, and say nothing."""
        for child in element:
            text = (child.text or "").strip()
            if text:
                told.prints[self._name(child.tag)] = text
            elif link := child.get("href"):
                told.linked[self._name(child.tag)] = link

    def _take_feedback(self, told: ToldEntry, element: Any) -> None:
        """Members are counted; which reason is whose, the format leaves open."""
        for child in element:
            said = _FEEDBACK.get(self._name(child.tag))
            if said is None:
                self._note(f"element {self._name(child.tag)}")
                continue
            members = sum(1 for _ in child.iter("{*}member"))
            told.feedback.setdefault(said, {})[(child.get("type") or "")[:40]] = members

    def _sweep(self, element: Any) -> None:
        """What comes before this entry leaves memory. The entry itself stays: the parser still stands at it."""
        parent = element.getparent()
        for sibling in list(element.itersiblings(preceding=True)):
            if self._name(sibling.tag).lower() not in ENTRY_TAGS:
                self._note(f"element {self._name(sibling.tag)}")
            parent.remove(sibling)

    def _count_unknown(self, element: Any, known: Mapping[str, Any] | frozenset[str]) -> None:
        for child in element:
            name = self._name(child.tag)
            if name.lower() not in known:
                self._note(f"element {name}")

    def _note(self, what: str) -> None:
        what = what[:60]
        if what not in self.unknown and len(self.unknown) >= _KEPT_NAMES:
            what = "element"
        self.unknown[what] += 1


def _digest(element: Any) -> bytes:
    xml: bytes = etree.tostring(element, encoding="utf-8", with_tail=False)
    return hashlib.sha256(xml).digest()


class _Metered:
    """Passes an answer on, and ends one that says very much without an entry."""

    def __init__(self, untrusted: Readable, where: str) -> None:
        self._untrusted, self._where, self.since_record = untrusted, where, 0

    def read(self, size: int = -1) -> bytes:
        piece = self._untrusted.read(size)
        self.since_record += len(piece)
        if self.since_record > MAX_RECORD_BYTES:
            what = sentence("an entry is larger than %(most)s bytes", most=MAX_RECORD_BYTES)
            raise SourceBroken(what, where=self._where, mend="tell the source", code="too-large")
        return piece


def parse_document(untrusted_xml: bytes, root: str, where: str) -> Any:
    """The root of a small document; `root` is its name, empty: any. SourceBroken for any other, or a broken one."""
    try:
        element = etree.fromstring(untrusted_xml, _PARSER)
    except etree.XMLSyntaxError as error:
        raise malformed(error, where) from None
    check_document(element.getroottree(), root, where)
    return element


def check_document(tree: Any, root: str, where: str) -> None:
    """SourceBroken for a document with a DTD, of another version, or with another root."""
    if tree.docinfo.doctype or tree.docinfo.internalDTD is not None:
        raise SourceBroken("its answer holds a DTD, which is not read", where=where, mend="tell the source")
    namespace, _, name = tree.getroot().tag.rpartition("}")
    if version := other_version(namespace):
        what = sentence("its answer is of version %(version)s of the protocol", version=version)
        raise SourceBroken(what, where=where, mend="version 2 is read here: ask the source for its address")
    if root and name != root:
        what = sentence("its answer is no %(root)s", root=root)
        raise SourceBroken(what, where=where, mend="check the address: it may be of another service")


def other_version(namespace: str) -> str:
    """The version that it names where that is not 2; empty where it names none, as those of other publishers do."""
    found = _VERSION.search(namespace)
    return found[1] if found and found[1] not in ("2", "2.0") else ""


def malformed(error: Any, where: str) -> SourceBroken:
    """Says the line, and nothing of what stands there."""
    what = sentence("its answer is not well-formed XML from line %(line)s on", line=error.lineno or 1)
    return SourceBroken(what, where=where, mend="pull again; where it stays so, tell the source")
