"""`leadline exchange send` over the workbench's API, each person with their own key; and the API itself."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from django.test import Client
from tests.workbench.sharing.conftest import Desk, digest_of, propose, submit

from leadline.cli.run import run
from leadline.match.bank import Bank
from leadline.workbench.accounts.actions import make_key
from leadline.workbench.actors import Actor
from leadline.workbench.permissions import ROLE_PERMISSIONS, Permission, Role
from leadline.workbench.sharing import actions, tasks
from leadline.workbench.sharing.models import Partner, Share


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch, capfd: Any) -> Iterator[Callable[..., tuple[int, list[str], str]]]:
    """A run of the command with its requests answered in this process: exit code, lines, faults."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    client = functools.partial(httpx.Client, transport=httpx.WSGITransport(app=get_wsgi_application()))
    monkeypatch.setattr(httpx, "Client", client)
    monkeypatch.setenv("LEADLINE_API", "http://localhost")

    def run_it(*arguments: object) -> tuple[int, list[str], str]:
        capfd.readouterr()
        code = run(["exchange", "send", *map(str, arguments)])
        out, err = capfd.readouterr()
        return code, out.splitlines(), err

    yield run_it
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


def key_file(path: Path, actor: Actor, role: Role) -> Path:
    _, secret = make_key(actor.person, "own", role, ROLE_PERMISSIONS[role], timedelta(days=1))
    path.write_text(secret + "\n")
    return path


@pytest.fixture
def own(tmp_path: Path, proposer: Actor) -> str:
    return f"file:{key_file(tmp_path / 'own.key', proposer, Role.ANALYST)}"


def test_what_one_proposes_by_command_and_another_approves_is_sent(
    ended: Any, partner: Partner, bank: Bank, own: str, approver: Actor, desk: Desk
) -> None:
    asked = ("A made-up hotline", "--bank", "own", "--ids", "1 2-3,99", "--json")
    code, lines, _ = ended(*asked, "--dry-run", "--key", own)
    *entries, summary = map(json.loads, lines)
    assert code == 3
    assert [(one["entry"], one["rule"]) for one in entries] == [
        (1, "agreed"), (2, "agreed"), (3, "agreed"), (99, "absent"),
    ]  # fmt: skip
    assert (summary["passing"], summary["stopped"], Share.objects.count()) == (3, 1, 0)
    code, lines, _ = ended(*asked, "--key", own, "--seen", summary["digest"])
    made = json.loads(lines[0])
    assert (code, made["state"], made["digest"]) == (3, "proposed", summary["digest"])
    actions.approve(approver, Share.objects.get().pk)  # on the page
    tasks.send()
    assert [one.entry.fingerprints["md5"] for one in desk.all if one.entry] == [digest_of(n) for n in (1, 2, 3)]
    code, lines, _ = ended("--show", made["id"], "--key", own, "--json")
    assert [json.loads(line)["state"] for line in lines] == ["sent", "taken", "taken", "taken", "stopped"]
    code, lines, _ = ended("--receipt", made["id"], "--key", own)
    assert json.loads(lines[0])["share"] == made["id"]


def test_what_people_read_says_what_leaves_and_who_is_next(ended: Any, partner: Partner, bank: Bank, own: str) -> None:
    code, lines, _ = ended("partner", "--bank", "own", "--ids", "1", "--dry-run", "--key", own)
    assert code == 0
    assert lines[0] == f"leaves  1  agreed  md5:{digest_of(1).hex()}"
    code, lines, _ = ended("partner", "--bank", "own", "--ids", "1", "--key", own)
    share = Share.objects.get()
    assert (code, lines[0]) == (0, f"share {share.pk}")
    assert lines[-1].endswith(f"http://localhost/sharing/of/{share.pk}/")
    assert ended("--take-back", share.pk, "--key", own)[0] == 0
    assert Share.objects.get().state == "withdrawn"


def test_where_nothing_may_leave_nothing_is_proposed(ended: Any, partner: Partner, bank: Bank, own: str) -> None:
    code, lines, _ = ended("partner", "--bank", "own", "--ids", "77", "--key", own)
    assert (code, Share.objects.count()) == (1, 0)
    assert lines[0].startswith("stays   77  absent")


def test_without_a_workbench_or_a_key_it_refuses(
    ended: Any, own: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = ("partner", "--bank", "own")
    code, _, err = ended(*asked)
    assert (code, "there is no key" in err) == (2, True)
    code, _, err = ended(*asked, "--key", "a-made-up-key")
    assert (code, "a-made-up-key" in err) == (2, False)
    assert ended(*asked, "--key", f"file:{tmp_path / 'none'}")[0] == 2
    assert ended(*asked, "--key", own, "--api", "http://workbench.example.org")[0] == 2  # no TLS
    monkeypatch.delenv("LEADLINE_API")
    code, _, err = ended(*asked, "--key", own)
    assert (code, "there is no workbench" in err) == (2, True)


def test_a_key_that_is_none_or_may_not_is_told_apart_without_being_repeated(
    ended: Any, partner: Partner, bank: Bank, tmp_path: Path, approver: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "leadline_made_up")
    code, _, err = ended("partner", "--bank", "own", "--key", "env:MY_KEY")
    assert (code, "does not know this key" in err, "leadline_made_up" in err) == (1, True, False)
    _, secret = make_key(approver.person, "small", Role.SENIOR, [Permission.BANKS_READ], timedelta(days=1))
    monkeypatch.setenv("MY_KEY", secret)
    code, _, err = ended("partner", "--bank", "own", "--key", "env:MY_KEY")
    assert (code, "sharing.propose" in err, secret in err) == (1, True, False)


@pytest.mark.parametrize("given", [("--ids", "1 x"), ("--ids", "1-99999"), ("--show", "no-uuid")])
def test_what_cannot_be_read_is_wrong_use(ended: Any, own: str, given: tuple[str, str]) -> None:
    assert ended("partner", "--bank", "own", "--key", own, *given)[0] == 2


def test_a_share_of_a_bank_that_a_key_may_not_see_is_not_there(
    office: Any, partner: Partner, bank: Bank, proposer: Actor, approver: Actor, program_of: Callable[..., Client]
) -> None:
    share = propose(approver, partner, submit(1))
    bank.set_settings(tlp="red")
    curious = program_of(proposer.person, Role.ANALYST)
    for path in ("", "/entries", "/receipt"):
        assert curious.get(f"/api/v1/shares/{share.pk}{path}").status_code == 404
    assert curious.get("/api/v1/shares").json()["items"] == []


def test_no_key_approves(partner: Partner, bank: Bank, proposer: Actor, approver: Actor, program_of: Any) -> None:
    share = propose(proposer, partner, submit(1))
    program = program_of(approver.person, Role.SENIOR)
    for deed in ("approval", "approve"):
        assert program.post(f"/api/v1/shares/{share.pk}/{deed}", content_type="application/json").status_code == 404
    assert program.get(f"/api/v1/shares/{share.pk}").json()["state"] == "proposed"


def test_fingerprints_are_for_keys_that_may_read_banks(
    partner: Partner, bank: Bank, proposer: Actor, program_of: Callable[..., Client]
) -> None:
    share = propose(proposer, partner, submit(1))
    entries = f"/api/v1/shares/{share.pk}/entries"
    small = program_of(proposer.person, Role.ANALYST, Permission.SHARING_READ)
    assert small.get(entries).json()["items"][0]["leaves"] is None
    receipt = f"/api/v1/shares/{share.pk}/receipt"
    assert json.loads(small.get(receipt).json()["receipt"])["share"] == str(share.pk)
    assert program_of(proposer.person, Role.ANALYST, Permission.SHARING_PROPOSE).get(receipt).status_code == 403
    full = program_of(proposer.person, Role.ANALYST, Permission.SHARING_READ, Permission.BANKS_READ)
    [told] = full.get(entries).json()["items"]
    assert told["leaves"]["entry"]["fingerprints"] == {"md5": digest_of(1).hex()}
