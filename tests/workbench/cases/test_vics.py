"""A VICS case comes in as a case and goes out again: what is counted, what is refused, and that it is the same case."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from leadline.domain import Tlp
from leadline.errors import LeadlineError, ListFormatError, NotAllowed, WrongState
from leadline.exchange.vics_case import CaseMedia, read_media
from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.cases import access, actions, contents
from leadline.workbench.cases.acts import importing
from leadline.workbench.cases.folder import MediaFolder
from leadline.workbench.cases.models import Case, Imported, Selector, Thing
from leadline.workbench.cases.states import MemberRole, Outcome, PartyRole, Reason, SelectorKind, State
from leadline.workbench.evidence.actions import set_handling
from leadline.workbench.evidence.models import Asset
from leadline.workbench.journal.models import Line
from leadline.workbench.permissions import Role, Sensitivity
from leadline.workbench.review.models import Assessment, Cluster, Coverage, Label, Review
from leadline.workbench.review.models import Member as ClusterMember

from .conftest import arrive, png, record

pytestmark = pytest.mark.django_db
WHOLE = ("records", "came_in", "without_file", "refused", "again")


def read_in(path: Path, media: Path | None, lead: Person, **handling: Any) -> actions.Tally:
    (tally,) = read_all(path, media, lead, **handling)
    assert tally.came_in + tally.without_file + tally.refused == tally.records
    return tally


def read_all(path: Path, media: Path | None, lead: Person, **handling: Any) -> list[actions.Tally]:
    given = {"lead": lead, "handling": actions.Handling(**handling), "complain": lambda error: None}
    if media is None:
        return actions.import_cases(path, None, **given)
    with MediaFolder(media) as folder:
        return actions.import_cases(path, folder, **given)


def counts(tally: actions.Tally) -> list[int]:
    return [getattr(tally, name) for name in WHOLE]


def labels(written: bytes) -> dict[str, set[tuple[str, str]]]:
    """(scheme, code) of each record of a file, by its MD5."""
    found: dict[str, set[tuple[str, str]]] = {}
    for media in read_media(io.BytesIO(written), where="file"):
        assert isinstance(media, CaseMedia)
        found[media.hashes["md5"].hex()] = {(label.scheme, label.code) for label in media.labels}
    return found


def written(case: Case, **how: Any) -> bytes:
    return b"".join(actions.export_case(None, case.pk, **how).pieces)


# --- in --------------------------------------------------------------------------------------------------------------


def test_each_file_comes_in_and_everything_adds_up(make_file: Any, folder: Path, lead: Person) -> None:
    media = [record(n, png(n)) for n in (1, 2, 3)]
    media.append(record(4, png(9)))  # its file is another one
    media.append(record(5, png(5)))  # its file is not there
    media.append({"MediaID": 6, "Category": 2, "MD5": "A1" * 16})  # it names none
    media.append({"MediaID": 7, "Category": 2})  # it cannot be read
    tally = read_in(make_file(media), folder, lead)
    assert (counts(tally), tally.is_new) == ([7, 3, 2, 2, 0], True)
    assert dict(tally.faults) == {"hash-differs": 1, "not-found": 1, "list-format": 1}
    case = Case.objects.get()
    assert (access.title_of(case), case.lead, case.state) == ("MADE-UP-7", lead, "open")
    assert set(Thing.objects.values_list("asset__sha256", flat=True)) == set(
        Asset.objects.values_list("sha256", flat=True)
    )
    assert Asset.objects.count() == 3
    ended = json.loads(Line.objects.get(act="case.read-in").details)
    assert [ended[name] for name in WHOLE] == [7, 3, 2, 2, 0]


def test_hashes_that_nobody_here_knows_are_kept_with_their_record_and_counted(
    make_file: Any, folder: Path, lead: Person
) -> None:
    other = [{"HashName": "netclean", "HashValue": "77"}]
    media = [record(1, png(1)) | {"AlternativeHashes": other}, {"MediaID": 2, "AlternativeHashes": other}]
    media[1]["RelativeFilePath"] = record(2, png(2))["RelativeFilePath"]  # nothing says that this file is its
    for again in (0, 1):
        tally = read_in(make_file(media), folder, lead)
        assert counts(tally) == [2, 1, 0, 1, again]
        assert (dict(tally.unknown), dict(tally.faults)) == ({"fingerprint netclean": 2}, {"list-format": 1})
    case = Case.objects.get()
    first, second = Imported.objects.order_by("record")
    for row in (first, second):
        facts = json.loads(contents.open_text(row.facts_sealed, contents.record_context(case.pk, row.record)))
        assert facts["fingerprints"] == {"netclean": "77"}
    assert (second.state, second.hashes, second.asset) == ("refused", {}, None)
    assert Asset.objects.count() == 1
    (gone_out,) = json.loads(written(case))["value"]
    named = [{one["HashName"]: one["HashValue"] for one in media["AlternativeHashes"]} for media in gone_out["Media"]]
    assert [names.get("netclean") for names in named] == ["77", "77"]


def test_a_malformed_hash_beside_a_good_one_costs_only_itself_and_is_told(
    make_file: Any, folder: Path, lead: Person
) -> None:
    told: list[LeadlineError] = []
    path = make_file([record(1, png(1), SHA1="a1", PhotoDNA="=="), record(2, png(2))])
    with MediaFolder(folder) as media:
        handling = actions.Handling()
        (tally,) = actions.import_cases(path, media, lead=lead, handling=handling, complain=told.append)
    assert (counts(tally), tally.refused_hashes, dict(tally.faults)) == ([2, 2, 0, 0, 0], 2, {})
    assert [(error.code, error.where) for error in told] == [("hash-refused", f"{path.name}: case 1, record 1")] * 2
    assert json.loads(Line.objects.get(act="case.read-in").details)["refused_hashes"] == 2


def test_a_category_stays_an_inference_with_its_scheme_and_is_nobodys_assessment(
    make_file: Any, folder: Path, lead: Person
) -> None:
    read_in(make_file([record(1, png(1))]), folder, lead)
    row = Imported.objects.get()
    assert (row.labels, row.source) == ([["vics:US", "", "1"]], "vics-import")
    assert not Assessment.objects.exists()
    assert not Label.objects.exists()
    case = Case.objects.get()
    (shown,) = access.show_things(Actor.of_person(lead), case, list(case.things.all()))
    assert [(one.scheme, one.code, one.origin) for one in shown.labels] == [("vics:US", "1", "imported")]
    asset = Asset.objects.get()
    assert (asset.inferred_label, asset.verdict) == ("", "unknown")


def test_a_scheme_that_is_named_wins_over_the_files(make_file: Any, lead: Person) -> None:
    path = make_file([record(1, png(1))])
    actions.import_cases(
        path, None, lead=lead, handling=actions.Handling(), scheme="vics:US-DHS", complain=lambda error: None
    )
    assert Imported.objects.get().labels == [["vics:US-DHS", "", "1"]]


@pytest.mark.parametrize(
    ("mode", "expected", "state"),
    [
        ("keep", [1, 1, 0, 0, 0], "kept"),
        ("hash-and-discard", [1, 1, 0, 0, 0], "discarded"),
        ("refuse", [1, 0, 0, 1, 0], ""),
    ],
)
def test_files_are_taken_in_as_the_office_has_decided(
    make_file: Any, folder: Path, lead: Person, set_mode: Callable[[str], None], mode: str, expected: Any, state: str
) -> None:
    set_mode(mode)
    tally = read_in(make_file([record(1, png(1))]), folder, lead)
    assert counts(tally) == expected
    assert [asset.state for asset in Asset.objects.all()] == ([state] if state else [])
    row = Imported.objects.get()
    assert (row.labels, row.fault) == ([["vics:US", "", "1"]], "" if state else "media-refused")


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("..\\..\\outside.png", "path-outside"),
        ("Media/../../outside.png", "path-outside"),
        ("/OUTSIDE", "path-outside"),
        ("C:\\outside.png", "path-outside"),
        ("\\\\server\\outside.png", "path-outside"),
        ("Media\\link.png", "symbolic-link"),
        ("linked\\outside.png", "symbolic-link"),
        ("Media\\fifo", "not-a-regular-file"),
        ("Media", "not-a-regular-file"),
    ],
)
def test_a_path_that_leads_out_of_the_folder_and_a_link_are_refused(
    make_file: Any, folder: Path, lead: Person, tmp_path: Path, path: str, code: str
) -> None:
    outside = tmp_path / "outside.png"
    outside.write_bytes(png(1))
    (folder / "Media" / "link.png").symlink_to(outside)
    (folder / "linked").symlink_to(tmp_path)
    os.mkfifo(folder / "Media" / "fifo")
    named = str(outside) if path == "/OUTSIDE" else path
    head, _, name = named.replace("\\", "/").rpartition("/")
    for media in (
        record(1, png(1), RelativeFilePath=named),
        {**record(2, png(1), RelativeFilePath=None), "MediaFiles": [{"FilePath": head, "FileName": name}]},
    ):
        tally = read_in(make_file([media], CaseID=f"{media['MediaID']}"), folder, lead)
        assert (counts(tally), dict(tally.faults)) == ([1, 0, 0, 1, 0], {code: 1})
    assert not Asset.objects.exists()


def test_media_files_are_found_where_no_relative_path_is_given(make_file: Any, folder: Path, lead: Person) -> None:
    media = record(1, png(1), RelativeFilePath=None, MediaFiles=[{"FilePath": "Media", "FileName": "1.png"}])
    assert counts(read_in(make_file([media]), folder, lead)) == [1, 1, 0, 0, 0]


# --- again -----------------------------------------------------------------------------------------------------------


def test_the_same_case_again_is_the_same_case_and_adds_nothing(make_file: Any, folder: Path, lead: Person) -> None:
    path = make_file([record(n, png(n)) for n in (1, 2)])
    first = read_in(path, folder, lead)
    second = read_in(path, folder, lead)
    assert (second.case_id, second.is_new, counts(second)) == (first.case_id, False, [2, 2, 0, 0, 2])
    assert (Case.objects.count(), Imported.objects.count(), Thing.objects.count()) == (1, 2, 2)


def test_files_that_come_later_fill_in_what_lacked_them(make_file: Any, folder: Path, lead: Person) -> None:
    path = make_file([record(n, png(n)) for n in (1, 2)])
    assert counts(read_in(path, None, lead)) == [2, 0, 2, 0, 0]
    assert counts(read_in(path, folder, lead)) == [2, 2, 0, 0, 0]
    assert Imported.objects.filter(asset__isnull=False, state="taken").count() == 2


@pytest.mark.parametrize("stops_at", [1, 2, 4])
def test_one_that_was_stopped_half_way_goes_on_as_the_same_case(
    make_file: Any, folder: Path, lead: Person, monkeypatch: pytest.MonkeyPatch, stops_at: int
) -> None:
    path, taken = make_file([record(n, png(n)) for n in (1, 2, 3, 4)]), []
    monkeypatch.setattr(importing, "_AT_ONCE", 2)
    original = importing.take_in

    def stopping(*arguments: Any, **more: Any) -> Asset:
        taken.append(1)
        if len(taken) == stops_at:
            raise KeyboardInterrupt
        return original(*arguments, **more)

    monkeypatch.setattr(importing, "take_in", stopping)
    with pytest.raises(KeyboardInterrupt):
        read_in(path, folder, lead)
    assert Case.objects.count() == 1
    assert Imported.objects.count() == (stops_at - 1) // 2 * 2  # whole transactions and nothing of another
    monkeypatch.setattr(importing, "take_in", original)
    tally = read_in(path, folder, lead)
    assert (tally.is_new, counts(tally)[:4]) == (False, [4, 4, 0, 0])
    assert (Case.objects.count(), Thing.objects.count(), Asset.objects.count()) == (1, 4, 4)


def test_a_record_whose_number_names_another_file_now_is_refused(make_file: Any, folder: Path, lead: Person) -> None:
    read_in(make_file([record(1, png(1))]), folder, lead)
    tally = read_in(make_file([record(1, png(2)), record(1, png(1))]), folder, lead)
    assert (counts(tally), dict(tally.faults)) == ([2, 1, 0, 1, 1], {"record-differs": 1})


def test_a_closed_case_takes_nothing_more_in(make_file: Any, folder: Path, lead: Person) -> None:
    path = make_file([record(1, png(1))])
    case = Case.objects.get(pk=read_in(path, folder, lead).case_id)
    actions.change_state(lead, case.pk, State.CLOSED, Reason.RESOLVED, seen=State.OPEN, outcome=Outcome.NO_ACTION)
    with pytest.raises(WrongState):
        read_in(path, folder, lead)


def test_every_case_of_a_file_is_a_case_of_its_own(tmp_path: Path, lead: Person) -> None:
    cases = [{"CaseID": f"id-{n}", "CaseNumber": f"N{n}", "Media": [record(n, png(n))]} for n in (1, 2)]
    path = tmp_path / "two.json"
    path.write_text(json.dumps({"value": cases}))
    assert [counts(tally)[:3] for tally in read_all(path, None, lead)] == [[1, 0, 1], [1, 0, 1]]
    assert sorted(access.title_of(case) for case in Case.objects.all()) == ["N1", "N2"]


def test_a_file_without_a_case_is_one_by_its_bytes(tmp_path: Path, lead: Person) -> None:
    path = tmp_path / "bare.json"
    path.write_text(json.dumps({"value": [record(1, png(1))]}))
    first, second = (read_in(path, None, lead) for _ in range(2))
    assert first.case_id == second.case_id
    path.write_text(json.dumps({"value": [record(2, png(2))]}))
    assert read_in(path, None, lead).case_id != first.case_id


def test_a_file_that_breaks_off_is_refused_before_anything_is_taken_in(make_file: Any, lead: Person) -> None:
    path = make_file([record(n, png(n)) for n in (1, 2)])
    path.write_text(path.read_text()[:-40])
    with pytest.raises(ListFormatError, match="breaks off"):
        read_in(path, None, lead)
    assert not Case.objects.exists()


def test_a_record_that_would_not_end_costs_nothing_that_came_before_it(make_file: Any, lead: Person) -> None:
    path = make_file([record(1, png(1)), record(2, png(2), Exifs=["made up " * 50] * 45_000)])
    told: list[Any] = []
    (tally,) = actions.import_cases(path, None, lead=lead, handling=actions.Handling(), complain=told.append)
    assert (counts(tally)[:3], [error.code for error in told]) == ([1, 0, 1], ["list-format"])
    assert dict(tally.faults) == {"list-format": 1}


def test_a_case_that_few_may_see_has_a_lead_who_may_and_its_new_files_are_handled_alike(
    make_file: Any, folder: Path, lead: Person, senior: Person
) -> None:
    known = arrive(2)
    path = make_file([record(n, png(n)) for n in (1, 2)])
    with pytest.raises(NotAllowed):
        read_in(path, folder, lead, tlp=Tlp.RED)
    assert not Case.objects.exists()
    read_in(path, folder, senior, tlp=Tlp.RED, sensitivity=Sensitivity.RESTRICTED)
    known.refresh_from_db()
    fresh = Asset.objects.exclude(pk=known.pk).get()
    assert (known.tlp, known.sensitivity) == ("amber+strict", 1)
    assert (fresh.tlp, fresh.sensitivity) == ("red", 2)


def test_a_file_that_says_it_is_under_tlp_red_is_so_here_whatever_was_asked(
    make_file: Any, folder: Path, lead: Person, senior: Person
) -> None:
    said = [
        {"CaseID": "x", "PropertyName": n, "PropertyValue": v}
        for n, v in (("LeadlineTLP", "red"), ("LeadlinePAP", "clear"))
    ]
    path = make_file([record(1, png(1))], CaseMetadata=said)
    with pytest.raises(NotAllowed):
        read_in(path, folder, lead)
    read_in(path, folder, senior)
    case = Case.objects.get()
    assert (case.tlp, case.pap) == ("red", "amber")  # a looser word changes nothing


def test_a_case_that_says_very_much_of_itself_comes_in(make_file: Any, lead: Person) -> None:
    said = [{"CaseID": "x", "PropertyName": f"p{n}", "PropertyValue": "made up " * 2000} for n in range(100)]
    case = Case.objects.get(pk=read_in(make_file([record(1, png(1))], CaseMetadata=said), None, lead).case_id)
    properties = json.loads(written(case))["value"][0]["CaseMetadata"]
    names = [one["PropertyName"] for one in properties if one["PropertyName"].startswith("p")]
    assert names == [f"p{n}" for n in range(len(names))]
    assert 0 < len(names) < 100


def test_what_the_machine_does_is_nobodys_act(make_file: Any, folder: Path, senior: Person) -> None:
    read_in(make_file([record(1, png(1))]), folder, senior, tlp=Tlp.RED)
    lines = Line.objects.filter(object_kind__in=("case", "asset"))
    assert {line.actor for line in lines} == {"system"}


def test_a_record_whose_file_one_may_not_see_shows_no_label(
    make_file: Any, folder: Path, lead: Person, senior: Person
) -> None:
    read_in(make_file([record(1, png(1)), record(2, png(9))]), folder, lead)
    case = Case.objects.get()
    set_handling(senior, Asset.objects.get(), Sensitivity.RESTRICTED, Tlp.AMBER, "own-assessment")
    rows = access.records_page(Actor.of_person(lead), case, "").rows
    assert [(row.is_seen, len(row.labels)) for row in rows] == [(False, 0), (False, 1)]
    out = json.loads(b"".join(actions.export_case(None, case.pk).pieces))
    assert len(out["value"][0]["Media"]) == 2


# --- out -------------------------------------------------------------------------------------------------------------


def test_a_case_goes_out_with_the_scheme_and_code_it_came_with(make_file: Any, folder: Path, lead: Person) -> None:
    media = [record(1, png(1)), record(2, png(2), Category=0), record(3, png(3), Category=None)]
    media.append({"MediaID": 9, "Category": 5, "MD5": "A1" * 16, "Series": "made up", "VictimIdentified": "true"})
    path = make_file(media)
    tally = read_in(path, folder, lead)
    case = Case.objects.get(pk=tally.case_id)
    out = written(case)
    assert labels(out) == labels(path.read_bytes())
    document = json.loads(out)
    (head,) = document["value"]
    assert document["@odata.context"].endswith("/2.0.xml/US/$metadata#Cases")
    assert (head["CaseID"], head["CaseNumber"]) == ("5b7f0b1e-1111-4222-8333-444455556666", "MADE-UP-7")
    assert (head["TotalMediaFiles"], [one["MediaID"] for one in head["Media"]]) == (4, [1, 2, 3, 9])
    assert [one["Category"] for one in head["Media"]] == [1, 0, None, 5]
    assert [one["IsPrecategorized"] for one in head["Media"]] == [True, True, False, True]
    assert (head["Media"][3]["Series"], head["Media"][3]["VictimIdentified"]) == ("made up", True)


def test_what_went_out_comes_in_as_the_same_case_and_goes_out_the_same(
    make_file: Any, folder: Path, lead: Person, tmp_path: Path
) -> None:
    path = make_file([record(n, png(n), Category=n) for n in (1, 2, 3)])
    case = Case.objects.get(pk=read_in(path, folder, lead).case_id)
    first = tmp_path / "out.json"
    first.write_bytes(written(case))
    tally = read_in(first, folder, lead)
    assert (tally.case_id, tally.is_new, tally.refused) == (str(case.pk), False, 0)
    assert labels(written(case)) == labels(path.read_bytes())


def assess(asset: Asset, near: Asset, by: Person) -> Assessment:
    """In force on `asset`; `near` is a near-duplicate that nobody has assessed."""
    cluster = Cluster.objects.create(centre=asset, radius_bits=31)
    for distance, one in enumerate((asset, near)):
        ClusterMember.objects.create(cluster=cluster, asset=one, distance=distance)
    now = timezone.now()
    review = Review.objects.create(cluster=cluster, category="unknown", received_at=now, state="decided")
    made = Assessment.objects.create(
        review=review, cluster=cluster, by=by, made_at=now, effective_at=now + timedelta(seconds=10),
        standing="in-force", scheme="leadline-facts", scheme_version=1, answers={},
    )  # fmt: skip
    Coverage.objects.create(assessment=made, asset=asset, origin="assessed")
    Coverage.objects.create(assessment=made, asset=near, origin="propagated", distance=1)
    Label.objects.create(assessment=made, scheme="vics:US", version="current", code="0")
    return made


def test_an_assessment_in_force_is_the_category_and_an_inference_never_is(
    make_file: Any, folder: Path, lead: Person
) -> None:
    path = make_file([record(n, png(n), Category=2) for n in (1, 2)])
    case = Case.objects.get(pk=read_in(path, folder, lead).case_id)
    one, two = (Asset.objects.get(md5=record(n, png(n))["MD5"].lower()) for n in (1, 2))
    assess(one, two, lead)
    first, second = json.loads(written(case))["value"][0]["Media"]
    assert (first["Category"], first["IsPrecategorized"], "PrecategorizationSource" in first) == (0, False, False)
    assert (second["Category"], second["IsPrecategorized"]) == (2, True)  # the import's own, marked as such
    said = [json.loads(media["MediaMetadata"][0]["PropertyValue"]) for media in (first, second)]
    assert said[0] == [["assessed", "vics:US", "current", "0"], ["imported", "vics:US", "", "2"]]
    assert said[1] == [["propagated", "vics:US", "current", "0"], ["imported", "vics:US", "", "2"]]


def test_a_first_answer_is_on_no_case_while_a_second_is_still_to_be_given_unseen(
    make_person: Callable[..., Person], senior: Person
) -> None:
    lead = make_person("first", Role.INVESTIGATOR)
    asset, near = arrive(1), arrive(2)
    first = assess(asset, near, lead)
    case = actions.open_case(lead, "made up", things=[asset, near])
    actions.add_member(lead, case.pk, senior, MemberRole.WORKER, timedelta(days=9))

    def told(person: Person) -> list[int]:
        actor = Actor.of_person(person)
        out = b"".join(actions.export_case(person, case.pk).pieces)
        return [len(thing.labels) for thing in access.things_page(actor, case, "").rows] + [out.count(b"vics:US")]

    before = told(senior)
    assert before[:2] == [1, 1]
    second = Review.objects.create(
        cluster=first.cluster, category="unknown", received_at=timezone.now(), purpose="second-opinion", of=first.review
    )
    assert told(senior) == [0, 0, 0]
    assert told(lead) == before  # who gave it knows it
    Review.objects.filter(pk=second.pk).update(state="decided")
    assert told(senior) == before


def test_a_code_of_another_scheme_is_never_written_as_a_bare_number(lead: Person) -> None:
    asset, near = arrive(1), arrive(2)
    assess(asset, near, lead)
    case = actions.open_case(lead, "made up", things=[asset, near])
    first, second = json.loads(written(case, category_set="UK"))["value"][0]["Media"]
    assert (first["Category"], second["Category"]) == (None, None)
    assert {one["PropertyName"]: one["PropertyValue"] for one in first["MediaMetadata"]}["LeadlineScheme"] == "vics:US"


def test_selectors_go_out_only_when_asked_each_with_its_role_and_never_one_in_doubt(
    case: Case, lead: Person, tmp_path: Path
) -> None:
    for value, role in (
        ("one", PartyRole.VICTIM),
        ("two", PartyRole.SUSPECT),
        ("both", PartyRole.VICTIM),
        ("both", PartyRole.SUSPECT),
    ):
        actions.add_selector(lead, case.pk, SelectorKind.HANDLE, value, role)
    assert b"LeadlineSelector" not in written(case)
    made = actions.export_case(None, case.pk, with_selectors=True)
    out = b"".join(made.pieces)
    told = [
        json.loads(one["PropertyValue"])
        for one in json.loads(out)["value"][0]["CaseMetadata"]
        if one["PropertyName"] == "LeadlineSelector"
    ]
    assert sorted((one["value"], one["role"]) for one in told) == [
        ("both", "victim"),
        ("one", "victim"),
        ("two", "suspect"),
    ]
    assert (made.selectors, made.left_out) == (3, 1)
    path = tmp_path / "out.json"
    path.write_bytes(out)
    other = read_in(path, None, lead)
    assert other.case_id != str(case.pk)
    roles = Selector.objects.filter(case=other.case_id).values_list("role", flat=True)
    assert sorted(roles) == ["suspect", "victim", "victim"]


def test_nobody_exports_what_they_may_not_see_and_only_a_working_member_who_may_export(
    senior: Person, make_person: Callable[..., Person], analyst: Person
) -> None:
    investigator = make_person("investigator", Role.INVESTIGATOR)
    seen, hidden = arrive(1), arrive(2)
    case = actions.open_case(investigator, "made up", things=[seen, hidden])
    set_handling(senior, hidden, Sensitivity.RESTRICTED, Tlp.AMBER, "own-assessment")
    made = actions.export_case(investigator, case.pk)
    out = b"".join(made.pieces)
    assert (made.records, made.left_out, hidden.sha256.upper().encode() in out) == (1, 1, False)
    assert seen.sha256.upper().encode() in out
    for person in (analyst, senior):
        with pytest.raises(NotAllowed):
            actions.export_case(person, case.pk)
    actions.add_member(investigator, case.pk, analyst, MemberRole.WORKER, timedelta(days=1))
    with pytest.raises(NotAllowed):
        actions.export_case(analyst, case.pk)
    said = json.loads(Line.objects.filter(act="case.exported").latest("line").details)
    assert said == {"records": 1, "selectors": 0, "left_out": 1}


def test_what_was_taken_out_of_the_case_leaves_with_it_no_more(make_file: Any, folder: Path, lead: Person) -> None:
    path = make_file([record(n, png(n)) for n in (1, 2)])
    case = Case.objects.get(pk=read_in(path, folder, lead).case_id)
    thing = case.things.get(asset__md5=record(1, png(1))["MD5"].lower())
    actions.take_out(lead, case.pk, thing.pk, "not-related")
    assert [one["MediaID"] for one in json.loads(written(case))["value"][0]["Media"]] == [2]


def test_of_a_record_without_a_file_nothing_is_said_to_have_been_viewed(make_file: Any, folder: Path, lead: Person) -> None:
    path = make_file([record(1, png(1)), {"MediaID": 9, "Category": 5, "MD5": "A1" * 16}])
    case = Case.objects.get(pk=read_in(path, folder, lead).case_id)
    held, bare = json.loads(written(case))["value"][0]["Media"]
    assert {"PropertyName": "LeadlineViewed", "PropertyValue": "not-viewed"} in held["MediaMetadata"]
    assert "LeadlineViewed" not in json.dumps(bare)
