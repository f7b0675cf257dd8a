"""Secrets of second factors and webhooks hang on the instance key: what a restore brings back, and nothing else."""

from __future__ import annotations

import base64
import hashlib
import hmac
import importlib
from typing import Any

import pytest
from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.apps import apps

from leadline.workbench import sealing
from leadline.workbench.accounts.models import Person
from leadline.workbench.evidence import actions
from leadline.workbench.hooks.access import secret_of
from leadline.workbench.hooks.models import Endpoint


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


def test_rows_of_before_are_sealed_anew_and_webhooks_keep_their_signature(analyst: Person, settings: Any) -> None:
    step = importlib.import_module("leadline.workbench.hooks.migrations.0002_secrets_that_outlive_sessions")
    settings.SECRET_KEY = "k" * 86
    derived = HKDF(SHA256(), 32, salt=None, info=b"leadline authenticators").derive(settings.SECRET_KEY.encode())
    old = Fernet(base64.urlsafe_b64encode(derived))
    Authenticator.objects.filter(user=analyst).update(data={"secret": old.encrypt(b"JBSWY3DPEHPK3PXP").decode()})
    codes = {"seed": old.encrypt(b"abc").decode(), "used_mask": 5}
    Authenticator.objects.create(user=analyst, type=Authenticator.Type.RECOVERY_CODES, data=codes)
    step.seal_anew(apps, None)
    totp, recovery = Authenticator.objects.filter(user=analyst).order_by("-type")
    assert get_adapter().decrypt(totp.data["secret"]) == "JBSWY3DPEHPK3PXP"
    assert (get_adapter().decrypt(recovery.data["seed"]), recovery.data["used_mask"]) == ("abc", 5)
    endpoint = Endpoint(pk=7, generation=1)
    shown = base64.b64decode(secret_of(endpoint).partition("_")[2])
    salt = importlib.import_module("leadline.workbench.hooks.access")._SALT
    assert shown == hmac.digest(settings.SECRET_KEY.encode(), salt + b"7:1", hashlib.sha256)
    step.seal_anew(apps, None)  # run again, it changes nothing
    totp.refresh_from_db()
    assert get_adapter().decrypt(totp.data["secret"]) == "JBSWY3DPEHPK3PXP"
