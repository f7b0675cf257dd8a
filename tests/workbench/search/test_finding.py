"""Who may see a thing finds it, by whatever names it exactly or by its words; nobody else learns that it is there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.workbench.search.conftest import in_index, receive

from leadline.domain import Channel, Entry, IncomingReport, ItemKind, Kind, Tlp
from leadline.errors import InputError
from leadline.workbench.accounts.actions import set_office_setting
from leadline.workbench.accounts.models import ObjectGrant, Person
from leadline.workbench.actors import Actor
from leadline.workbench.banks import actions as banks
from leadline.workbench.evidence.models import Asset
from leadline.workbench.permissions import Permission, Role, Sensitivity
from leadline.workbench.reports import actions as reports
from leadline.workbench.reports.access import SEARCH_FIELDS
from leadline.workbench.reports.models import Report
from leadline.workbench.review import actions as review
from leadline.workbench.search import access, actions, index

Find = Callable[..., dict[str, list[str]]]
SHA256, SHA1, MD5, PDQ = "ab" * 32, "cd" * 20, "ef" * 16, "12" * 32


def make_asset(**more: Any) -> Asset:
    told = {"sha256": SHA256, "sha1": SHA1, "md5": MD5, "pdq": PDQ, "size_bytes": 1, "mime": "image/png"}
    return Asset.objects.create(**{**told, "state": "kept", "source": "test", "received_at": timezone.now(), **more})


# --- exactly ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "typed",
    [
        "https://pictures.example.net/a/7", "hxxps://pictures[.]example[.]net/a/7",
        "http://PICTURES.example.net/a/7?utm_source=x",
    ],
)  # fmt: skip
def test_a_link_is_found_as_it_was_reported_and_defanged(typed: str, analyst: Person, found: Find) -> None:
    report = receive("https://pictures.example.net/a/7")
    receive("https://pictures.example.net/a/8")
    assert found(analyst, typed) == {"report": [str(report.pk)], "item": [str(report.items.get().pk)]}


@pytest.mark.parametrize("typed", [SHA256, SHA256.upper(), f"sha256:{SHA256}", SHA1, MD5, PDQ])
def test_a_file_is_found_by_each_of_its_hashes(typed: str, analyst: Person, found: Find) -> None:
    asset = make_asset()
    make_asset(sha256="0" * 64, sha1="0" * 40, md5="0" * 32, pdq="0" * 64)
    assert found(analyst, typed) == {"asset": [str(asset.pk)]}


def test_a_reported_hash_is_found_beside_the_file(analyst: Person, found: Find) -> None:
    asset, report = make_asset(), receive(MD5, kind=ItemKind.HASH)
    told = found(analyst, MD5)
    assert (told["asset"], told["item"]) == ([str(asset.pk)], [str(report.items.get().pk)])


def test_numbers_references_and_ids_are_found(analyst: Person, found: Find) -> None:
    report, asset = receive(reference="MP 1001/7"), make_asset()
    for typed in (report.number, report.number.lower(), "MP 1001/7", '"MP 1001/7"', str(report.pk)):
        assert found(analyst, typed) == {"report": [str(report.pk)]}
    assert found(analyst, str(asset.pk)) == {"asset": [str(asset.pk)]}


@pytest.mark.parametrize("typed", ["pictures.example.net", "pictures[.]example[.]net", "hxxp://pictures.example.net/"])
def test_a_host_name_finds_all_that_was_reported_of_it(typed: str, analyst: Person, found: Find) -> None:
    two = {str(receive(f"https://pictures.example.net/a/{n}").items.get().pk) for n in (1, 2)}
    receive("https://other.example.net/a/1")
    assert set(found(analyst, typed)["item"]) == two


def test_the_domain_of_a_host_finds_it_and_a_part_of_its_name_does_not(analyst: Person, found: Find) -> None:
    item = receive("https://deep.pictures.example.net/a").items.get()
    assert found(analyst, "pictures.example.net")["item"] == [str(item.pk)]
    assert found(analyst, "example.net")["item"] == [str(item.pk)]
    assert "item" not in found(analyst, "tures.example.net")


def test_an_entry_is_found_by_its_hash_and_by_its_number(senior: Person, office: Any, found: Find) -> None:
    actor = Actor.of_person(senior)
    banks.create_bank(actor, "known", kind=Kind.ILLEGAL, reason="own-list")
    entry = Entry(kind=Kind.ILLEGAL, fingerprints={"md5": bytes.fromhex(MD5)})
    number = banks.add_entries(actor, "known", [entry], reason="own-assessment").ids[0]
    assert found(senior, MD5) == {"entry": [f"known/{number}"]}
    assert found(senior, f"known/{number}") == {"entry": [f"known/{number}"]}
    assert found(senior, "known/999") == {}
    assert found(senior, "unknown/1") == {}


def test_lines_of_an_object_are_for_who_reads_the_journal(make_person: Any, analyst: Person, found: Find) -> None:
    report, auditor = receive(), make_person("auditor", Role.AUDITOR)
    told = found(auditor, str(report.pk))
    assert list(told) == ["line"]
    assert len(told["line"]) >= 1
    assert "line" not in found(analyst, str(report.pk))


def test_what_the_office_does_not_search_by_is_not_found_by(analyst: Person, senior: Person, found: Find) -> None:
    receive("https://pictures.example.net/a/7", reference="ref77")
    assert set(found(analyst, "ref77")) == {"report"}
    set_office_setting(senior, SEARCH_FIELDS, "number", "a test")
    for typed in ("https://pictures.example.net/a/7", "pictures.example.net", "ref77", "new"):
        assert found(analyst, typed) == {}


# --- by words --------------------------------------------------------------------------------------------------------


def test_words_and_phrases_and_beginnings_find(analyst: Person, found: Find) -> None:
    report = receive(reference="Dossier Éclair North-7")
    for typed in ("eclair", "ÉCLAIR dossier", '"dossier eclair"', "dos*", "north-7", '"eclair nor"*'):
        assert found(analyst, typed) == {"report": [str(report.pk)]}, typed
    for typed in ('"eclair dossier"', "eclai", "eclair south", "eclair kind:asset"):
        assert found(analyst, typed) == {}, typed
    assert found(analyst, "eclair kind:reports") == {"report": [str(report.pk)]}


def test_sealed_text_is_found_only_where_the_settings_name_it(analyst: Person, settings: Any, found: Find) -> None:
    report = receive(text="a lantern by the harbour", note="a pebble")
    assert found(analyst, "lantern") == found(analyst, "pebble") == {}
    settings.LEADLINE_SEARCH_FIELDS = ["text", "note"]
    assert found(analyst, "lantern harbour") == {"report": [str(report.pk)]}
    assert found(analyst, "pebble") == {"item": [str(report.items.get().pk)]}


def test_a_thing_that_is_named_and_holds_the_words_is_told_once(analyst: Person, found: Find) -> None:
    exact, other = receive(reference="seven"), receive("https://example.org/b", reference="seven eight")
    assert found(analyst, "seven") == {"report": [str(exact.pk), str(other.pk)]}


@pytest.mark.parametrize("newest", [0, 4, 10_000])
def test_pages_lead_on_through_what_is_named_and_what_holds_the_words(
    newest: int, analyst: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "_NEWEST", newest)
    exact = [str(receive(f"https://example.org/{n}", reference="seven").pk) for n in range(3)]
    others = [str(receive(f"https://example.org/{n + 10}", reference=f"seven {n}").pk) for n in range(4)]
    actions.follow()
    actor, seen, cursor = Actor.of_person(analyst), [], ""
    for _ in range(10):
        [group] = access.find(actor, "seven", kind="report", cursor=cursor, limit=2)
        seen += [one.id for one in group.found]
        if not (cursor := group.next or ""):
            break
    assert seen == [*reversed(exact), *reversed(others)]


def test_a_cursor_of_another_question_is_refused(analyst: Person, found: Find) -> None:
    for n in range(3):
        receive(f"https://example.org/{n}", reference="seven")
    actions.follow()
    actor = Actor.of_person(analyst)
    cursor = access.find(actor, "seven", kind="report", limit=2)[0].next
    for asked in ({"kind": "report"}, {"kind": "asset"}, {}):
        with pytest.raises(InputError):
            access.find(actor, "eight", cursor=cursor or "", limit=2, **asked)


# --- who may see it --------------------------------------------------------------------------------------------------

HIDDEN = [{"sensitivity": Sensitivity.RESTRICTED}, {"tlp": Tlp.RED}]


@pytest.mark.parametrize("handling", HIDDEN)
def test_what_somebody_may_not_see_they_do_not_find(
    handling: dict[str, Any], analyst: Person, senior: Person, outsider: Person, settings: Any, found: Find
) -> None:
    settings.LEADLINE_SEARCH_FIELDS = ["reference", "text", "note", "host", "label", "name", "state", "source"]
    report = receive("https://pictures.example.net/a/7", reference="ref77", text="lantern", note="pebble", **handling)
    asset = make_asset(inferred_label="harbour", **handling)
    told = {
        "https://pictures.example.net/a/7": {"report", "item"}, "pictures.example.net": {"item"}, "ref77": {"report"},
        report.number: {"report"}, "lantern": {"report"}, "pebble": {"item"}, SHA256: {"asset"}, "harbour": {"asset"},
        str(report.pk): {"report"}, str(report.items.get().pk): {"item"}, str(asset.pk): {"asset"}, "pict*": {"item"},
    }  # fmt: skip
    for typed, kinds in told.items():
        assert set(found(senior, typed)) == kinds, typed
        assert found(analyst, typed) == {}, typed
        assert found(outsider, typed) == {}, typed
    until = timezone.now() + timedelta(days=1)
    ObjectGrant.objects.create(
        person=analyst, object_kind="report", object_id=str(report.pk), until=until, given_by=senior
    )
    assert found(analyst, "lantern") == {"report": [str(report.pk)]}
    assert found(analyst, "harbour") == {}


def test_what_is_hidden_leaves_no_trace_in_pages_either(analyst: Person, found: Find) -> None:
    """Neither a page that is shorter nor one that leads to nothing tells that more was met."""
    seen = [str(receive(f"https://example.org/{n}", reference=f"seven {n}").pk) for n in range(4)]
    for n in range(9):
        receive(f"https://example.org/h{n}", reference=f"seven {n}", sensitivity=Sensitivity.RESTRICTED)
    actions.follow()
    actor = Actor.of_person(analyst)
    [first] = access.find(actor, "seven", kind="report", limit=2)
    [second] = access.find(actor, "seven", kind="report", cursor=first.next or "", limit=2)
    assert [one.id for one in first.found + second.found] == list(reversed(seen))
    assert second.next is None


def test_an_appeal_is_found_by_who_may_see_it_and_follows_its_state(
    analyst: Person, senior: Person, outsider: Person, make_person: Any, settings: Any, found: Find
) -> None:
    settings.LEADLINE_SEARCH_FIELDS = ["reference", "text", "state"]
    incoming = IncomingReport(Channel.STAFF_FORM, text="lantern", source_reference="ref77")
    appeal, _ = review.receive_appeal(Actor.of_person(senior), incoming)
    curator = make_person("curator", Role.CURATOR)  # may search, and sees no appeals
    named = {"appeal": [str(appeal.pk)]}
    for typed in (appeal.report.number, "ref77", "lantern", "new", str(appeal.pk)):
        assert found(analyst, typed) == named, typed
        assert found(curator, typed) == found(outsider, typed) == {}, typed
    review.open_appeals()
    review.answer_appeal(senior, appeal.pk, "examined")
    assert found(analyst, "lantern closed examined kind:appeal") == named
    Report.objects.update(tlp=Tlp.RED.value)
    assert (found(analyst, "lantern"), found(senior, "lantern")) == ({}, named)
    reports.erase_report(appeal.report_id)
    assert found(senior, "lantern") == {}
    assert not in_index("lantern")


def test_handling_that_changed_counts_at_once(analyst: Person, senior: Person, found: Find) -> None:
    report = receive(reference="seven")
    assert found(analyst, "seven")
    type(report).objects.filter(pk=report.pk).update(tlp=Tlp.RED.value)  # no line of the journal, nothing followed
    assert found(analyst, "seven") == {}


def test_a_red_label_is_in_no_index(senior: Person, found: Find) -> None:
    make_asset(inferred_label="harbour", inferred_red=True)
    assert found(senior, "harbour") == {}


def test_a_key_finds_what_its_scopes_cover(senior: Person, program_of: Any, found: Find) -> None:
    report = receive(reference="seven", sensitivity=Sensitivity.RESTRICTED)
    make_asset(inferred_label="seven")
    actions.follow()
    body = {"query": "seven"}
    for scopes, kinds in (
        ((Permission.SEARCH, Permission.REPORTS_READ), ["report"]),
        ((Permission.SEARCH, Permission.EVIDENCE_READ), ["asset"]),
        ((Permission.SEARCH,), []),
    ):
        program = program_of(senior, Role.SENIOR, *scopes)
        answer = program.post("/api/v1/search", body, content_type="application/json").json()
        assert [group["kind"] for group in answer["groups"]] == kinds
    refused = program_of(senior, Role.SENIOR, Permission.REPORTS_READ)
    assert refused.post("/api/v1/search", body, content_type="application/json").status_code == 403
    seen = program_of(senior, Role.SENIOR).post("/api/v1/search", body, content_type="application/json").json()
    assert seen["groups"][0]["found"][0]["id"] == str(report.pk)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.text(max_size=80),
        st.lists(
            st.sampled_from(
                ['"', "*", "(", ")", "'", ":", "&", "|", "!", "<->", "NEAR(", "OR", "NOT", "kind:", "kind:report", "words",
                 "^", "-", "+", "{", "}", "\\", "\0", "%", "_", ";", "--", "a*", "é", "\u0300", "١", "🙂", "ﬁ", "e1", "1e5",
                 "0x", "https://", "a/1", "11111111-1111-1111-1111-111111111111", "ab" * 32, "]]", "seven"]
            ),
            max_size=12,
        ).map(" ".join),
    )
)  # fmt: skip
def test_nothing_that_is_typed_is_an_error(senior: Person, typed: str) -> None:
    actions.follow()
    access.find(Actor.of_person(senior), typed, limit=3)


def test_a_beginning_and_a_hostile_phrase_reach_the_database_as_words(analyst: Person, found: Find) -> None:
    report = receive(reference="seven OR eight")
    for typed in ('seven" OR "x*', "(seven", "seven) |", 'words : "seven"'.replace("words : ", ""), "seven*"):
        assert found(analyst, typed) in ({"report": [str(report.pk)]}, {}), typed
    assert found(analyst, "seven) |") == {"report": [str(report.pk)]}
