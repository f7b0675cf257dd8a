"""A case as VICS: hashes, labels and roles, never a file. Files leave in an exhibit, released by a second person."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from leadline import __version__
from leadline.domain import Tlp
from leadline.errors import NotAllowed
from leadline.exchange.vics import FLAGS, VicsMedia, is_category_set
from leadline.exchange.vics_case import LABELS, PAP, SELECTOR, TLP, VIEWED, CaseHead, encode_case
from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.cases import access, contents
from leadline.workbench.cases.access import LabelView
from leadline.workbench.cases.acts.writing import lock_case, tell
from leadline.workbench.cases.models import Case, Imported
from leadline.workbench.evidence.access import visible_assets
from leadline.workbench.evidence.models import Asset
from leadline.workbench.permissions import Permission
from leadline.workbench.review.access import seen_of_each

DEFAULT_SET = "CUSTOM"
_AT_ONCE = 500
# Whose word may stand as a record's category. What was only inferred from another file stands beside it, as that.
_FIRST = ("assessed", "imported")


@dataclass(frozen=True)
class Export:
    """What goes out; `left_out`: records and selectors that whoever exports may not see, or whose owner is in doubt."""

    pieces: Iterator[bytes]
    records: int
    selectors: int
    left_out: int


def export_case(by: Person | None, case_id: Any, *, category_set: str = "", with_selectors: bool = False) -> Export:
    """`by` None: at the machine itself, which sees all. NotAllowed for whoever is no working member.

    category_set  whose category codes the file's own are; "": those that most of what was read in has
    """
    with transaction.atomic():
        case = lock_case(case_id)
        if by is not None:
            _check(by, case)
        made = _make(None if by is None else Actor.of_person(by), case, category_set, with_selectors=with_selectors)
        said = {"records": made.records, "selectors": made.selectors, "left_out": made.left_out}
        tell("case.exported", case, by, reason="vics", details=said)
    return made


def _check(by: Person, case: Case) -> None:
    if not access.may_write(by, case) or not Actor.of_person(by).may(Permission.EVIDENCE_EXPORT):
        raise NotAllowed("only a working member who may export does that", where=case.number, mend="ask the lead")
    if case.tlp == Tlp.RED and not access.is_lead(by, case):
        raise NotAllowed("what is TLP:RED is given on by the lead alone", where=case.number, mend="ask the lead")


def _make(actor: Actor | None, case: Case, category_set: str, *, with_selectors: bool) -> Export:
    own_set = category_set or _usual_set(case)
    inside = Asset.objects.filter(access.assets_in(case))
    seen = inside if actor is None else visible_assets(actor).filter(access.assets_in(case))
    rows = case.imported.filter(Q(asset__isnull=True) | Q(asset__in=seen.values("pk")))
    others = seen.exclude(pk__in=case.imported.exclude(asset=None).values("asset"))
    hidden = inside.count() - seen.count()
    written, in_doubt = _selectors(actor, case) if with_selectors else ([], 0)
    records = rows.count() + others.count()
    pieces = encode_case(
        _head(case, written),
        _records(actor, case, rows, others, f"vics:{own_set}"),
        category_set=own_set,
        total=records,
        application=("Leadline", __version__),
    )
    return Export(pieces, records, len(written), hidden + in_doubt)


def _usual_set(case: Case) -> str:
    """Of the label schemes that were read in, the first that is a VICS category set."""
    for labels in case.imported.values_list("labels", flat=True)[:_AT_ONCE]:
        for scheme, _, _ in labels:
            name = scheme.removeprefix("vics:")
            if scheme.startswith("vics:") and is_category_set(name):
                return str(name)
    return DEFAULT_SET


def _head(case: Case, selectors: Sequence[str]) -> CaseHead:
    """The identity that it came with, so that it is the same case where it goes; of our own cases our own."""
    source = access.source_of(case)
    fields = dict(source.get("fields", {}))
    fields.setdefault("CaseID", str(case.pk))
    fields.setdefault("CaseNumber", case.number)
    fields.setdefault("ContactOrganization", settings.LEADLINE_OFFICE_NAME)
    own = {"LeadlineCase": case.number, TLP: case.tlp, PAP: case.pap}
    kept = [(name, value) for name, value in source.get("properties", []) if name not in own]
    return CaseHead(0, fields, (*kept, *own.items(), *((SELECTOR, one) for one in selectors)))


def _selectors(actor: Actor | None, case: Case) -> tuple[list[str], int]:
    """Each with its one role. Those in doubt or unclear go to nobody before somebody has decided."""
    people = access.people_of(actor, case)
    rows = [(section.role, one.selector) for section in people.sections for one in section.selectors]
    texts = [
        json.dumps({"kind": row.kind, "value": access.value_of(row, defanged=False), "role": role})
        for role, row in rows
    ]
    return texts, len(people.in_doubt) + len(people.unclear)


# --- records ---------------------------------------------------------------------------------------------------------


def _records(actor: Actor | None, case: Case, rows: Any, others: Any, own_scheme: str) -> Iterator[VicsMedia]:
    given = {int(record[3:]) for record in rows.values_list("record", flat=True) if _is_whole(record)}
    fresh = (number for number in range(1, 1 << 62) if number not in given)
    for some in _by(rows.select_related("asset").order_by("id").iterator(_AT_ONCE)):
        held = [row.asset_id for row in some if row.asset_id]
        labels, viewed = access.labels_of(actor, case, held), seen_of_each(held)
        for row in some:
            own = access.imported_labels(row)
            known = [one for one in labels.get(row.asset_id, ()) if one.origin != "imported"]
            number = int(row.record[3:]) if _is_whole(row.record) else next(fresh)
            yield _seen(_of_row(case, row, number, [*known, *own], own_scheme), viewed.get(str(row.asset_id)))
    for some in _by(others.order_by("received_at", "id").iterator(_AT_ONCE)):
        held = [asset.pk for asset in some]
        labels, viewed = access.labels_of(actor, case, held), seen_of_each(held)
        for asset in some:
            made = _of_asset(asset, next(fresh), labels.get(asset.pk, []), own_scheme)
            yield _seen(made, viewed[str(asset.pk)])


def _seen(record: VicsMedia, viewed: str | None) -> VicsMedia:
    """With what the ledger says that people here were sent of its file; of a record without a file nothing is said."""
    return record if viewed is None else replace(record, metadata={**record.metadata, VIEWED: viewed})


def _is_whole(record: str) -> bool:
    digits = record.removeprefix("id:")
    return record.startswith("id:") and digits.isascii() and digits.isdigit() and len(digits) < 16


def _by(rows: Iterable[Any]) -> Iterator[list[Any]]:
    iterator = iter(rows)
    while some := list(islice(iterator, _AT_ONCE)):
        yield some


def _of_asset(asset: Asset, number: int, labels: Sequence[LabelView], own_scheme: str) -> VicsMedia:
    return VicsMedia(
        media_id=number,
        md5=bytes.fromhex(asset.md5),
        sha1=bytes.fromhex(asset.sha1),
        sha256=bytes.fromhex(asset.sha256),
        pdq=bytes.fromhex(asset.pdq) if asset.pdq else None,
        size_bytes=asset.size_bytes,
        mime=asset.mime,
        **_said(labels, own_scheme, ""),
    )


def _of_row(case: Case, row: Imported, number: int, labels: Sequence[LabelView], own_scheme: str) -> VicsMedia:
    facts = json.loads(contents.open_text(row.facts_sealed, contents.record_context(case.pk, row.record)) or "{}")
    held = {name: bytes.fromhex(value) for name, value in row.hashes.items()}
    asset = row.asset
    if asset is not None:
        held |= {name: bytes.fromhex(getattr(asset, name)) for name in ("md5", "sha1", "sha256")}
        held |= {"pdq": bytes.fromhex(asset.pdq)} if asset.pdq else {}
    return VicsMedia(
        media_id=number,
        md5=held.get("md5"),
        sha1=held.get("sha1"),
        sha256=held.get("sha256"),
        pdq=held.get("pdq"),
        photodna=held.get("photodna"),
        others=facts.get("fingerprints", {}),
        size_bytes=asset.size_bytes if asset is not None else None,
        mime=asset.mime if asset is not None else facts.get("MimeType", ""),
        relative_path=facts.get("RelativeFilePath", ""),
        comments=facts.get("Comments", ""),
        series=facts.get("Series", ""),
        tags=[tag for tag in facts.get("Tags", "").split(",") if tag],
        flags={name: facts[name] for name in FLAGS if name in facts},
        **_said(labels, own_scheme, facts.get("PrecategorizationSource", "")),
    )


def _said(labels: Sequence[LabelView], own_scheme: str, source: str) -> dict[str, Any]:
    """The category, whose word it is, and all labels with scheme, version and whose word each is."""
    if not labels:
        return {}
    usable = [label for origin in _FIRST for label in labels if label.origin == origin]
    first = next((one for one in usable if one.scheme == own_scheme), usable[0] if usable else None)
    rows = [[label.origin, label.scheme, label.version, label.code] for label in labels]
    said: dict[str, Any] = {"metadata": {LABELS: json.dumps(rows)}}
    if first is None:
        return said
    is_theirs = first.origin == "imported"
    said |= {"scheme": first.scheme, "label": first.code, "precategorized": is_theirs}
    return said | ({"precategorization_source": source or first.source} if is_theirs else {})
