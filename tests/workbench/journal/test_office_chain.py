"""The office's chain can be carried out and checked by a stranger, and is checked here; anchors that stayed say so."""

from __future__ import annotations

import json
import smtplib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core import mail
from tests.workbench.conftest import triggers_lifted

from leadline.custody import verify
from leadline.custody.anchor import read_anchor
from leadline.errors import ChainBroken
from leadline.workbench import chain, sealing
from leadline.workbench.accounts.actions import set_office_setting
from leadline.workbench.accounts.models import Person
from leadline.workbench.evidence import tasks
from leadline.workbench.journal.models import Anchor, Line
from leadline.workbench.permissions import Role
from leadline.workbench.stats import access as stats


@pytest.fixture(autouse=True)
def _new_office(office: Any, settings: Any) -> None:
    sealing.forget()
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"


@pytest.fixture
def lived(make_person: Callable[..., Person], office: Any) -> Person:
    """An office with an auditor, some lines, and an anchor that was dropped and mailed."""
    auditor = make_person("auditor", Role.AUDITOR)
    admin = make_person("administrator", Role.ADMINISTRATOR)
    for number in range(5):
        set_office_setting(admin, f"made-up-{number}", "1", "because")
    tasks.sign_head()
    tasks.send_anchor()
    return auditor


def key() -> str:
    return sealing.signing_key().public_bytes.hex()


def test_what_the_auditor_downloads_is_checked_by_the_experts_file(
    lived: Person, client_of: Callable[..., Any], tmp_path: Path
) -> None:
    client = client_of(lived)
    sent = b"".join(client.post("/journal/custody.jsonl").streaming_content)
    (tmp_path / "custody.jsonl").write_bytes(sent)
    handed = [verify.Given("mailed", bytes(mail.outbox[0].attachments[0][1]), True)]
    found = verify.check_path(tmp_path / "custody.jsonl", {key(): ""}, handed)
    assert found.ok
    assert found.anchored.line == Anchor.objects.get().line
    assert json.loads(sent.splitlines()[-1])["act"] == "journal.exported"
    assert client.get("/journal/anchors.zip").content.startswith(b"PK")
    assert client_of(lived, signed_in_s_ago=3600).get("/journal/custody.jsonl").status_code == 302


def test_the_office_checks_its_own_chain(lived: Person) -> None:
    found = chain.check()
    assert (found.ok, found.anchored.line, found.chain.last) == (True, Anchor.objects.get().line, Line.objects.count())
    chain.refuse_broken()


def change(line: int, **fields: str) -> None:
    with triggers_lifted():
        Line.objects.filter(line=line).update(**fields)


def test_a_changed_last_line_is_found_by_its_stored_hash(lived: Person) -> None:
    last = Line.objects.order_by("-line").first()
    assert last is not None
    change(last.line, actor="somebody-else")
    found = chain.check()
    assert [(fault.code, fault.line) for fault in found.faults] == [("stored", last.line)]


def rewrite(from_line: int) -> None:
    """What the owner of a database can do: another line, and every hash after it made anew."""
    from leadline.custody.chain import Head, next_event
    from leadline.workbench.journal.actions import event_of

    rows = list(Line.objects.order_by("line"))
    before = Head(rows[from_line - 2].line, rows[from_line - 2].hash)
    with triggers_lifted():
        Line.objects.filter(line__gte=from_line).delete()
        for row in rows[from_line - 1 :]:
            old = event_of(row)
            event = next_event(
                before, at=old.at, actor="mallory", act=old.act, object_kind=old.object_kind, object_id=old.object_id,
                reason=old.reason, details=old.details, salt=old.salt,
            )  # fmt: skip
            row.actor, row.previous_hash, row.hash = event.actor, event.previous_hash, event.hash
            row.save(force_insert=True)
            before = event.head


def test_a_chain_that_was_rewritten_is_found_by_the_stored_anchor_and_fails_the_daily_duty(lived: Person) -> None:
    rewrite(3)
    assert next(fault.code for fault in chain.check().faults) == "rewritten"
    with pytest.raises(ChainBroken):
        chain.refuse_broken()


def test_a_chain_that_was_rewritten_with_its_anchors_is_found_by_the_dropped_one(lived: Person) -> None:
    rewrite(3)
    with triggers_lifted():
        Anchor.objects.all().delete()
    assert "rewritten" in [fault.code for fault in chain.check().faults]


def test_a_chain_that_was_begun_anew_is_found_by_the_dropped_anchor(lived: Person) -> None:
    with triggers_lifted():
        Line.objects.all().delete()
        Anchor.objects.all().delete()
    assert [fault.code for fault in chain.check().faults] == ["anchor"]
    set_office_setting(lived, "made-up", "1", "because")
    assert [fault.what for fault in chain.check().faults] == ["is an anchor of another chain"]


def test_an_office_in_which_nothing_happened_yet_holds() -> None:
    found = chain.check()
    assert (found.ok, found.chain.last, found.notes) == (True, 0, ["nothing has happened in this office yet"])
    chain.refuse_broken()


def test_the_gap_of_a_restore_that_a_line_tells_is_a_note_and_no_fault(lived: Person) -> None:
    from leadline.workbench.evidence.actions import note_restored

    with triggers_lifted():
        Line.objects.filter(line__gt=3).delete()
        Anchor.objects.all().delete()
    dropped = read_anchor(next(Path(chain.settings.LEADLINE_ANCHORS).glob("*.json")).read_bytes())
    assert not chain.check().ok
    note_restored("leadline-20261127T030000Z", 3, "0" * 64, (dropped.line + 1, "0" * 64))
    found = chain.check()
    assert (found.ok, any("lies in the gap" in note for note in found.notes)) == (True, True)


# --- anchors that leave ----------------------------------------------------------------------------------------------


def anchor_health() -> tuple[str, str]:
    check = stats.health(["anchor"])[0]
    return check.state, check.note


def test_an_anchor_that_was_only_dropped_beside_the_office_has_not_left_it(
    make_person: Callable[..., Person], client_of: Callable[..., Any], settings: Any
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    auditor = make_person("auditor", Role.AUDITOR)
    client_of(auditor).post("/journal/custody.jsonl")
    tasks.sign_head()
    tasks.send_anchor()
    assert Anchor.objects.get().left_by == ["drop"]
    assert anchor_health() == ("late", "not-left-this-machine")
    page = client_of(auditor).get("/journal/").content.decode()
    assert "nothing that this machine signed has left it yet" in page
    assert "Anchored up to" not in page


def test_a_drop_on_another_disk_has_left(lived: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    Anchor.objects.update(left_by=["drop"])
    assert anchor_health()[0] == "late"
    monkeypatch.setattr(chain, "is_drop_elsewhere", lambda: True)
    assert anchor_health()[0] == "ok"


def test_a_mailed_anchor_has_left(lived: Person, client_of: Callable[..., Any]) -> None:
    assert anchor_health()[0] == "ok"
    assert "outside this machine" in client_of(lived).get("/journal/").content.decode()


@pytest.mark.parametrize("broken", ["drop", "mail"])
def test_one_way_that_fails_keeps_no_other(
    lived: Person, broken: str, settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tried: list[str] = []
    monkeypatch.setattr(tasks, "_stamp", lambda anchor, statement: tried.append("stamp"))
    if broken == "drop":
        (tmp_path / "file").write_text("no folder")
        settings.LEADLINE_ANCHORS = tmp_path / "file"
    else:
        def refuse(*_: Any, **__: Any) -> None:
            raise smtplib.SMTPServerDisconnected("gone")

        monkeypatch.setattr("leadline.workbench.evidence.tasks.EmailMessage.send", refuse)
    tasks.sign_head()
    with pytest.raises(OSError):
        tasks.send_anchor()
    newest = Anchor.objects.order_by("-id").first()
    assert newest is not None
    assert newest.left_by == ["mail" if broken == "drop" else "drop"]
    assert tried == ["stamp"]


def test_where_the_list_of_erasures_stands_is_in_the_chain_and_leaves_with_the_anchor(lived: Person) -> None:
    stands = sealing.open_vault().erasures.head
    told = json.loads(Line.objects.filter(act="erasures.stand").get().details)
    assert told == {"line": stands.line, "hash": stands.hash}
    assert Line.objects.get(act="erasures.stand").line <= Anchor.objects.get().line
    assert f"stood at line {stands.line}, hash {stands.hash}" in mail.outbox[0].body
