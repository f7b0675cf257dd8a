"""Secrets of second factors and webhooks hang on the instance key: what a restore brings back, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes

from leadline.workbench import sealing
from leadline.workbench.accounts.models import Person
from leadline.workbench.evidence import actions


@pytest.fixture(autouse=True)
def _new_office(office: Any) -> None:
    sealing.forget()


def test_a_second_factor_outlives_the_key_that_signs_sessions(analyst: Person, settings: Any) -> None:
    sealed = get_adapter().encrypt("JBSWY3DPEHPK3PXP")
    codes = RecoveryCodes.activate(analyst).generate_codes()
    settings.SECRET_KEY = "made new by a restore, as the old one is in no backup"
    sealing.forget()
    assert get_adapter().decrypt(sealed) == "JBSWY3DPEHPK3PXP"
    row = Authenticator.objects.get(user=analyst, type=Authenticator.Type.RECOVERY_CODES)
    assert RecoveryCodes(row).generate_codes() == codes


def test_a_second_factor_outlives_a_change_of_the_instance_key(analyst: Person) -> None:
    sealed = get_adapter().encrypt("JBSWY3DPEHPK3PXP")
    actions.rotate_key()
    actions.forget_older_keys()
    assert get_adapter().decrypt(sealed) == "JBSWY3DPEHPK3PXP"
