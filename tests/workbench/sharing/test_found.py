"""Search finds shares for who may see them: whoever reads sharing, and sees the bank."""

from __future__ import annotations

from typing import Any

from tests.workbench.sharing.conftest import propose, submit

from leadline.domain import Tlp
from leadline.match.bank import Bank
from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.search import access, actions
from leadline.workbench.sharing import actions as sharing
from leadline.workbench.sharing.models import Partner


def found(actor: Actor, typed: str) -> list[str]:
    actions.follow()
    return [one.id for group in access.find(actor, typed, limit=10) if group.kind == "share" for one in group.found]


def test_a_share_is_found_by_what_names_it_and_by_its_words(
    bank: Bank, partner: Partner, proposer: Actor, approver: Actor, outsider: Person, settings: Any
) -> None:  # fmt: skip
    actions.follow()
    share = propose(proposer, partner, submit(1, 3), note="a made-up pebble")
    stranger = Actor.of_person(outsider)
    for typed in (str(share.pk), "own/3", "hotline", "made-up hotline kind:shares", "submit proposed"):
        assert found(proposer, typed) == [str(share.pk)], typed
        assert found(stranger, typed) == [], typed
    for typed in ("own/2", "other/3", "pebble"):
        assert found(proposer, typed) == [], typed
    sharing.refuse(approver, share.pk, "mistake")
    assert (found(proposer, "submit proposed"), found(proposer, "submit refused")) == ([], [str(share.pk)])
    settings.LEADLINE_SEARCH_FIELDS = ["note"]
    assert found(proposer, "pebble") == [str(share.pk)]
    bank.set_settings(tlp=Tlp.RED)
    assert (found(proposer, "own/3"), found(proposer, "pebble")) == ([], [])
    assert found(approver, "own/3") == [str(share.pk)]
