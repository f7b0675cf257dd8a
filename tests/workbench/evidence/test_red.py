"""TLP:RED is for those whose role clears the most sensitive, or who were granted that very thing: by no side door."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from tests.workbench.evidence.conftest import MakeBank, draw_png, exact_entry, near_entry

from leadline.domain import Kind, Tlp
from leadline.workbench.accounts.actions import grant_object
from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.evidence import access, actions, tasks
from leadline.workbench.evidence.models import Asset, Exhibit, ExhibitState
from leadline.workbench.hooks.actions import follow_journal, make_endpoint
from leadline.workbench.hooks.models import Delivery
from leadline.workbench.journal.models import Line
from leadline.workbench.permissions import Permission, Role, Sensitivity

DATA = b"a made-up file"
LABEL = "made-up-label-of-an-operation"


def take(data: bytes = DATA) -> Asset:
    return actions.take_in(data, actor="somebody", source="test")


def texts(client: Client, asset: Asset) -> str:
    """All that pages say of an asset."""
    pages = [f"/evidence/assets/{asset.pk}/", "/evidence/assets/", "/evidence/assets/tasks/"]
    return "\n".join(client.get(page).content.decode() for page in pages)


@pytest.fixture(params=["bank", "entry"])
def red(request: Any, make_bank: MakeBank) -> Any:
    """A bank that is TLP:RED, or one that has such an entry; both know the file, and raised a task."""
    if request.param == "bank":
        bank = make_bank("secret-op", tlp=Tlp.RED)
        entry = exact_entry(DATA, scheme="secret-scheme", label=LABEL)
    else:
        bank = make_bank("secret-op", near_entry(9))
        entry = exact_entry(DATA, scheme="secret-scheme", label=LABEL, tlp=Tlp.RED)
    take()
    tasks.match_changes()
    bank.add([entry])
    tasks.match_changes()
    return bank


SECRETS = ("secret-op", "secret-scheme", LABEL)


def test_a_red_match_is_known_to_all_and_told_to_few(
    red: Any, analyst: Person, senior: Person, client_of: Callable[[Person], Client]
) -> None:
    asset = Asset.objects.get()
    assert (asset.verdict, asset.is_set_aside, asset.inferred_label) == ("known", True, LABEL)
    seen, hidden = texts(client_of(senior), asset), texts(client_of(analyst), asset)
    assert all(word in seen for word in SECRETS if word != "secret-scheme")
    assert [word for word in SECRETS if word in hidden] == []
    assert "1 match with a bank that you may not see" in hidden
    assert "one that you may not see" in hidden


def test_programs_are_told_no_more_than_people(red: Any, analyst: Person, senior: Person, program_of: Any) -> None:
    asset = Asset.objects.get()
    for person, role, count in ((senior, Role.SENIOR, 1), (analyst, Role.ANALYST, 0)):
        program = program_of(person, role, Permission.EVIDENCE_READ)
        answers = [
            program.get(f"/api/v1/assets{rest}") for rest in ("", f"/{asset.pk}", f"/{asset.pk}/matches")
        ]
        assert len(answers[2].json()["items"]) == count
        said = b"".join(answer.content for answer in answers).decode()
        assert [word for word in SECRETS if word in said] == ([] if count == 0 else list(SECRETS))


def test_an_upload_by_a_program_is_answered_without_the_label(red: Any, analyst: Person, program_of: Any) -> None:
    from django.core.files.uploadedfile import SimpleUploadedFile

    program = program_of(analyst, Role.ANALYST)
    answer = program.post("/api/v1/assets", {"file": SimpleUploadedFile("a", DATA)})
    assert answer.status_code == 201
    assert [word for word in SECRETS if word in answer.content.decode()] == []


def test_a_grant_on_the_bank_opens_its_matches(
    red: Any, analyst: Person, senior: Person, make_person: Any, client_of: Callable[[Person], Client]
) -> None:
    grant_object(senior, analyst, "bank", "secret-op", timedelta(days=1))
    assert LABEL in texts(client_of(analyst), Asset.objects.get())


def test_no_line_of_the_journal_names_it_and_no_webhook_hears_of_it(red: Any, senior: Person, settings: Any) -> None:
    details = [line.details for line in Line.objects.filter(object_kind="asset")]
    assert not any("secret-op" in text for text in details)
    said = [json.loads(text)["banks"] for text in details if '"banks"' in text]
    assert said
    assert all(name.startswith("bank:") for names in said for name in names)


def test_a_webhook_does_not_hear_that_a_red_bank_was_matched(
    make_bank: MakeBank, senior: Person, settings: Any
) -> None:
    make_endpoint(senior, "https://1.1.1.1/hook", ["bank.*"])
    follow_journal()
    make_bank("secret-op", tlp=Tlp.RED)
    make_bank("open")
    tasks.match_changes()
    follow_journal()
    assert [json.loads(one.body)["data"]["id"] for one in Delivery.objects.all()] == ["open"]


def test_a_bank_that_becomes_red_takes_its_label_back(
    make_bank: MakeBank, analyst: Person, client_of: Callable[[Person], Client]
) -> None:
    bank = make_bank("secret-op", exact_entry(DATA, label=LABEL))
    asset = take()
    tasks.match_changes()
    assert LABEL in texts(client_of(analyst), asset)
    bank.set_settings(tlp=Tlp.RED)
    tasks.match_changes()
    assert LABEL not in texts(client_of(analyst), asset)
    bank.set_settings(tlp=Tlp.GREEN)
    tasks.match_changes()
    assert LABEL in texts(client_of(analyst), asset)


def test_a_red_false_positive_is_not_named_at_the_match_it_marks(
    make_bank: MakeBank, analyst: Person, client_of: Callable[[Person], Client], let_act: Callable[[], None]
) -> None:
    make_bank("LIST", near_entry(1))
    make_bank("secret-op", exact_entry(draw_png(1), Kind.FALSE_POSITIVE), kind=Kind.FALSE_POSITIVE, tlp=Tlp.RED)
    let_act()
    asset = take(draw_png(1))
    page = texts(client_of(analyst), asset)
    assert "secret-op" not in page
    assert "suppressed by" in page


# --- exhibits ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def investigator(make_person: Any) -> Person:
    person: Person = make_person("investigator", Role.INVESTIGATOR)
    return person


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize(
    "handling", [(Sensitivity.SENSITIVE, Tlp.RED), (Sensitivity.RESTRICTED, Tlp.AMBER)], ids=["red", "restricted"]
)
def test_an_exhibit_is_seen_by_who_sees_every_asset_of_it_now(
    investigator: Person, senior: Person, client_of: Callable[[Person], Client], program_of: Any,
    moment: str, handling: tuple[Sensitivity, Tlp],
) -> None:  # fmt: skip
    asset, other = take(), take(b"another file")

    def handle() -> None:
        actions.set_handling(senior, asset, *handling, "source-asked")

    if moment == "before":
        handle()
    asset.refresh_from_db()
    exhibit = actions.request_exhibit(senior, [asset, other], recipient="Made-up court", reason="court-order")
    if moment == "after":
        assert access.find_exhibit(Actor.of_person(investigator), exhibit.pk) is not None
        handle()
    page = f"/evidence/exhibits/{exhibit.pk}/"
    hidden, seeing = client_of(investigator), client_of(senior)
    assert (hidden.get(page).status_code, seeing.get(page).status_code) == (404, 200)
    assert str(exhibit.pk) not in hidden.get("/evidence/exhibits/").content.decode()
    assert asset.sha256 in seeing.get(page).content.decode()
    Exhibit.objects.update(state=ExhibitState.READY, decided_by=investigator)
    assert hidden.post(f"{page}download/").status_code == 404
    program = program_of(investigator, Role.INVESTIGATOR, Permission.EVIDENCE_READ)
    assert program.get("/api/v1/exports").json()["items"] == []
    assert program.get(f"/api/v1/exports/{exhibit.pk}").status_code == 404


def test_a_grant_on_an_exhibit_shows_it_and_not_its_hidden_assets(
    investigator: Person, senior: Person, client_of: Callable[[Person], Client]
) -> None:
    asset = take()
    actions.set_handling(senior, asset, Sensitivity.RESTRICTED, Tlp.RED, "source-asked")
    asset.refresh_from_db()
    exhibit = actions.request_exhibit(senior, [asset], recipient="Made-up court", reason="court-order")
    grant_object(senior, investigator, "exhibit", str(exhibit.pk), timedelta(days=1))
    page = client_of(investigator).get(f"/evidence/exhibits/{exhibit.pk}/")
    assert page.status_code == 200
    assert asset.sha256 not in page.content.decode()


def test_the_database_refuses_an_exhibit_released_by_who_asked_for_it(investigator: Person) -> None:
    exhibit = actions.request_exhibit(investigator, [take()], recipient="Made-up court", reason="court-order")
    with pytest.raises(IntegrityError), transaction.atomic():
        Exhibit.objects.filter(pk=exhibit.pk).update(state=ExhibitState.RELEASED, decided_by=investigator)
    Exhibit.objects.filter(pk=exhibit.pk).update(state=ExhibitState.RELEASED, decided_by=investigator, is_alone=True)
