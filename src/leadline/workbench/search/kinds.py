"""The kinds of things that are found by words: what of each goes into the index, and who may see it by its own app."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from leadline.domain import ItemKind
from leadline.workbench import sealing
from leadline.workbench.actors import Actor
from leadline.workbench.cases.access import parties_of, show_notes, show_tasks, title_of, visible_cases
from leadline.workbench.cases.contents import selector_keys
from leadline.workbench.cases.models import Case, Selector
from leadline.workbench.evidence.access import by_digest, visible_assets, visible_exhibits
from leadline.workbench.evidence.models import Asset, Exhibit
from leadline.workbench.permissions import Permission
from leadline.workbench.reports import contents
from leadline.workbench.reports.access import found_exactly, search_fields, show_item, visible_items, visible_reports
from leadline.workbench.reports.keys import search_key
from leadline.workbench.reports.models import Item, Report
from leadline.workbench.review.access import assessments, note_of
from leadline.workbench.review.appeals import state_of, visible_appeals
from leadline.workbench.review.models import Appeal, Assessment, Coverage, Label, Standing
from leadline.workbench.search.hosts import host_of, keyed_words, searched_word
from leadline.workbench.search.keyed import keyed_name
from leadline.workbench.search.query import Query, Term
from leadline.workbench.search.table import Found, Table, Words
from leadline.workbench.sharing.access import note_of as share_note
from leadline.workbench.sharing.access import visible_shares
from leadline.workbench.sharing.models import Share, ShareItem

ENTRY = re.compile(r"(?P<bank>[A-Za-z0-9_-][A-Za-z0-9._-]{0,63})/(?P<entry>\d{1,15})", re.ASCII)  # of a bank
_SHOWN_CHARS = 160


def _by_id(text: str) -> Q:
    try:
        return Q(pk=UUID(text))
    except ValueError:
        return Q(pk__in=[])


def _digits(text: str) -> str:
    """Of a digest, with or without its kind before it."""
    return text.rpartition(":")[2].strip().lower()


class Reports(Table):
    name, permission, model, objects = "report", Permission.REPORTS_READ, Report, ("report",)
    order = ("-received_at", "-id")

    def visible(self, actor: Actor) -> QuerySet[Any]:
        return visible_reports(actor)

    def exact(self, actor: Actor, text: str) -> Q:
        return _by_id(text) | found_exactly(text)

    def words(self, ids: Sequence[UUID], fields: Collection[str]) -> dict[UUID, Words]:
        rows = Report.objects.filter(pk__in=ids, is_appeal=False)
        return {row.pk: Words(row.received_at, _texts_of(row, fields)) for row in rows}

    def show(self, rows: Sequence[Any]) -> list[Found]:
        return [
            Found(
                self.name, str(row.pk), row.number, ("report", {"report_id": str(row.pk)}),
                (("report-state", row.state), ("report-outcome", row.outcome), ("channel", row.channel)),
                row.received_at,
            )
            for row in rows
        ]  # fmt: skip


def _texts_of(report: Report, fields: Collection[str]) -> tuple[str, ...]:
    said = {
        "reference": (report.number, report.source_reference),
        "source": (report.source,),
        "state": (report.state, report.outcome, report.channel),
    }
    texts = [text for name, some in said.items() if name in fields for text in some if text]
    if "text" in fields:
        texts.append(contents.open_text(report.text_sealed, contents.text_context(report.pk)))
    return tuple(texts)


class Items(Table):
    name, permission, model, objects = "item", Permission.REPORTS_READ, Item, ("report",)
    also = ("report.received", "report.erased")

    def visible(self, actor: Actor) -> QuerySet[Any]:
        return visible_items(actor)

    def exact(self, actor: Actor, text: str) -> Q:
        """By the keyed hash of what was reported: the database alone does not tell the link."""
        key = search_key(text) if "item" in search_fields() else ""
        return _by_id(text) | Q(key=key) if key else _by_id(text)

    def ways(self, query: Query) -> list[tuple[Term, ...]]:
        """A host that stands alone is met by its keyed word too."""
        host, found = searched_word(query.text) if "item" in search_fields() else "", super().ways(query)
        return [(*ways, Term((host,))) for ways in found or [()]] if host else found

    def changed(self, object_ids: Sequence[UUID], act: str) -> Iterable[UUID]:
        of_these = Item.objects.filter(report__in=object_ids) if act in self.also else Item.objects.none()
        return of_these.values_list("pk", flat=True)

    def words(self, ids: Sequence[UUID], fields: Collection[str]) -> dict[UUID, Words]:
        rows = Item.objects.filter(pk__in=ids, value_sealed__isnull=False, report__is_appeal=False)
        return {row.pk: self._words(row, fields) for row in rows}

    def _words(self, row: Item, fields: Collection[str]) -> Words:
        said = contents.open_json(row.value_sealed, contents.item_context(row.pk)) or [{}]
        value = str(said[0].get("value", ""))
        host = host_of(value) if row.kind in (ItemKind.URL, ItemKind.ACCOUNT) else ""
        texts = [host] if "host" in fields and host else []
        if "text" in fields and row.kind == ItemKind.TEXT:
            texts.append(value)
        if "note" in fields:
            texts += [str(one["note"]) for one in said if one.get("note")]
        return Words(row.first_seen_at, tuple(texts), tuple(keyed_words(host)) if "item" in search_fields() else ())

    def show(self, rows: Sequence[Any]) -> list[Found]:
        return [
            Found(
                self.name, str(row.pk), f"{row.report.number} / {row.position + 1}: {_cut(show_item(row).shown)}",
                ("report", {"report_id": str(row.report_id)}), (("item-kind", row.kind),), row.first_seen_at,
            )
            for row in rows
        ]  # fmt: skip


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 1] + "…"


class Assets(Table):
    name, permission, model, objects = "asset", Permission.EVIDENCE_READ, Asset, ("asset",)
    order = ("-received_at", "-id")

    def visible(self, actor: Actor) -> QuerySet[Any]:
        return visible_assets(actor)

    def exact(self, actor: Actor, text: str) -> Q:
        return _by_id(text) | by_digest(_digits(text))

    def words(self, ids: Sequence[UUID], fields: Collection[str]) -> dict[UUID, Words]:
        """What a TLP:RED list says of a file is not for everybody who may see the file: it is in no index."""
        rows = Asset.objects.filter(pk__in=ids)
        return {row.pk: Words(row.received_at, tuple(self._texts(row, fields))) for row in rows}

    def _texts(self, row: Asset, fields: Collection[str]) -> list[str]:
        texts = []
        if "label" in fields and not row.inferred_red:
            texts += [text for text in (row.inferred_scheme, row.inferred_label) if text]
        if "name" in fields and row.name_sealed:
            texts.append(sealing.unseal(bytes(row.name_sealed), f"asset-name:{row.pk}"))
        return texts

    def show(self, rows: Sequence[Any]) -> list[Found]:
        return [
            Found(
                self.name, str(row.pk), row.sha256, ("asset", {"asset_id": str(row.pk)}),
                (("", row.mime), ("asset-state", row.state), ("verdict", row.verdict), ("kind", row.inferred_kind)),
                row.received_at,
            )
            for row in rows
        ]  # fmt: skip


class Exhibits(Table):
    name, permission, model, objects = "exhibit", Permission.EVIDENCE_READ, Exhibit, ("exhibit",)
    order = ("-requested_at", "-id")

    def visible(self, actor: Actor) -> QuerySet[Any]:
        return visible_exhibits(actor)

    def exact(self, actor: Actor, text: str) -> Q:
        return _by_id(text)

    def words(self, ids: Sequence[UUID], fields: Collection[str]) -> dict[UUID, Words]:
        rows = Exhibit.objects.filter(pk__in=ids) if "reference" in fields else Exhibit.objects.none()
        return {row.pk: Words(row.requested_at, (row.reference, row.recipient)) for row in rows}

    def show(self, rows: Sequence[Any]) -> list[Found]:
        return [
            Found(
                self.name, str(row.pk), row.reference or row.recipient, ("exhibit", {"exhibit_id": str(row.pk)}),
                (("exhibit-state", row.state),), row.requested_at,
            )
            for row in rows
        ]  # fmt: skip


class Assessments(Table):
    name, permission, model, objects = "assessment", Permission.REVIEW, Assessment, ("assessment",)
    order = ("-made_at", "-id")

    def visible(self, actor: Actor) -> QuerySet[Any]:
        return assessments(actor)

    def exact(self, actor: Actor, text: str) -> Q:
        """By its id, or by a digest of a file that it counts for and that may be seen."""
        files = visible_assets(actor).filter(by_digest(_digits(text)))
        # A trial counts for no file, and is found as if it did.
        trial = Q(standing=Standing.TRIAL.value, review__subject__in=files)
        return _by_id(text) | Q(pk__in=Coverage.objects.filter(asset__in=files).values("assessment")) | trial

    def words(self, ids: Sequence[UUID], fields: Collection[str]) -> dict[UUID, Words]:
        rows = {row.pk: row for row in Assessment.objects.filter(pk__in=ids, standing=Standing.IN_FORCE.value)}
        labels: dict[UUID, list[str]] = {pk: [] for pk in rows}
        if "label" in fields:
            live = Label.objects.filter(assessment__in=rows, ended_at__isnull=True)
            for assessment, scheme, code in live.values_list("assessment", "scheme", "code"):
                labels[assessment] += [scheme, code]
        notes = {pk: note_of(row) for pk, row in rows.items()} if "note" in fields else {}
        return {pk: Words(row.made_at, (*labels[pk], notes.get(pk, ""))) for pk, row in rows.items()}

    def show(self, rows: Sequence[Any]) -> list[Found]:
        return [
            Found(
                self.name, str(row.pk), row.cluster.centre.sha256,
                ("review_assessment", {"assessment_id": str(row.pk)}),
                (*(("", f"{label.scheme} {label.code}") for label in row.labels.all() if label.ended_at is None),
                 ("standing", row.told_standing)),
                row.made_at,
            )
            for row in rows
        ]  # fmt: skip


class Appeals(Table):
    """By what is said of the report that each came in as. What it names is not looked for: nothing of it is keyed."""

    name, permission, model, objects = "appeal", Permission.REVIEW, Appeal, ("appeal", "report")
    order = ("-due_at", "-id")

    def visible(self, actor: Actor) -> QuerySet[Any]:
        return visible_appeals(actor)

    def exact(self, actor: Actor, text: str) -> Q:
        named = Report.objects.filter(found_exactly(text), is_appeal=True).values_list("pk", flat=True)
        return _by_id(text) | Q(report__in=list(named))

    def changed(self, object_ids: Sequence[UUID], act: str) -> Iterable[UUID]:
        named = Q(pk__in=object_ids) | Q(report__in=object_ids)
        return Appeal.objects.filter(named).values_list("pk", flat=True)

    def words(self, ids: Sequence[UUID], fields: Collection[str]) -> dict[UUID, Words]:
        rows = Appeal.objects.filter(pk__in=ids).select_related("report")
        return {row.pk: Words(row.report.received_at, _texts_of(row.report, fields)) for row in rows}

    def show(self, rows: Sequence[Any]) -> list[Found]:
        return [
            Found(
                self.name, str(row.pk), row.report.number, ("review_appeal", {"appeal_id": str(row.pk)}),
                (("appeal-state", state_of(row)), ("channel", row.report.channel)), row.report.received_at,
            )
            for row in rows
        ]  # fmt: skip


class Cases(Table):
    name, permission, model, objects = "case", Permission.CASES_READ, Case, ("case",)
    order = ("-opened_at", "-id")

    def visible(self, actor: Actor) -> QuerySet[Any]:
        return visible_cases(actor)

    def exact(self, actor: Actor, text: str) -> Q:
        """By its number, or by a selector in it as that is spelled: the database alone tells no selector."""
        held = Selector.objects.filter(key__in=selector_keys(text), removed_at__isnull=True)
        return _by_id(text) | Q(number=text.strip().upper()[:16]) | Q(pk__in=held.values("case"))

    def ways(self, query: Query) -> list[tuple[Term, ...]]:
        """A word may be one of a person's name, which is met whole: of a keyed word no beginning is known."""
        return [(term,) if term.is_prefix else (term, Term(keyed_name(" ".join(term.words)))) for term in query.terms]

    def words(self, ids: Sequence[UUID], fields: Collection[str]) -> dict[UUID, Words]:
        """Names of people are in the index by keyed words alone, whatever the settings name."""
        rows = Case.objects.filter(pk__in=ids).prefetch_related("parties")
        return {row.pk: Words(row.opened_at, tuple(self._texts(row, fields)), self._names(row)) for row in rows}

    def _names(self, row: Case) -> tuple[str, ...]:
        return tuple(word for _, name in parties_of(row) for word in keyed_name(name))

    def _texts(self, row: Case, fields: Collection[str]) -> list[str]:
        texts = [row.number] if "reference" in fields else []
        texts += [row.state, row.outcome] if "state" in fields else []
        if "note" in fields:
            texts += [title_of(row), *(one.text for one in show_notes(row.notes.all()))]
            texts += [one.text for one in show_tasks(row.tasks.all())]
        return [text for text in texts if text]

    def show(self, rows: Sequence[Any]) -> list[Found]:
        return [
            Found(
                self.name, str(row.pk), row.number, ("case", {"case_id": str(row.pk)}),
                (("case-state", row.state), ("case-outcome", row.outcome)), row.opened_at,
            )
            for row in rows
        ]  # fmt: skip


class Shares(Table):
    name, permission, model, objects = "share", Permission.SHARING_READ, Share, ("share",)
    order = ("-proposed_at", "-id")

    def visible(self, actor: Actor) -> QuerySet[Any]:
        return visible_shares(actor)

    def exact(self, actor: Actor, text: str) -> Q:
        """By its id, or by BANK/NUMBER of an entry in it."""
        if not (named := ENTRY.fullmatch(text)):
            return _by_id(text)
        held = ShareItem.objects.filter(entry=int(named["entry"]), share__bank=named["bank"])
        return Q(pk__in=held.values("share"))

    def words(self, ids: Sequence[UUID], fields: Collection[str]) -> dict[UUID, Words]:
        rows = Share.objects.filter(pk__in=ids).select_related("partner")
        return {row.pk: Words(row.proposed_at, tuple(self._texts(row, fields))) for row in rows}

    def _texts(self, row: Share, fields: Collection[str]) -> list[str]:
        texts = [row.partner.name, row.bank] if "reference" in fields else []
        texts += [row.state, row.act] if "state" in fields else []
        texts += [row.partner.source] if "source" in fields else []
        return [*texts, share_note(row)] if "note" in fields else texts

    def show(self, rows: Sequence[Any]) -> list[Found]:
        return [
            Found(
                self.name, str(row.pk), f"{row.partner.name} / {row.bank}", ("share", {"share_id": str(row.pk)}),
                (("share-act", row.act), ("share-state", row.state)), row.proposed_at,
            )
            for row in rows
        ]  # fmt: skip


TABLES: dict[str, Table] = {
    table.name: table
    for table in (Reports(), Items(), Assets(), Cases(), Assessments(), Appeals(), Exhibits(), Shares())
}
