"""What hung on django.key and has to survive it: secrets of authenticators and of webhooks, now under the instance key."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.db import migrations

from leadline.workbench import sealing


def seal_anew(apps: Any, editor: Any) -> None:
    """Those that do not open under the django.key of now were lost before; whoever has one sets up another."""
    if not apps.get_model("accounts", "Person").objects.exists():
        return
    derived = HKDF(SHA256(), 32, salt=None, info=b"leadline authenticators").derive(settings.SECRET_KEY.encode())
    old = Fernet(base64.urlsafe_b64encode(derived))
    new = Fernet(base64.urlsafe_b64encode(sealing.derive("authenticators")))

    def again(text: str) -> str:
        return new.encrypt(old.decrypt(text.encode())).decode()

    for row in apps.get_model("mfa", "Authenticator").objects.filter(type__in=("totp", "recovery_codes")):
        try:
            row.data = _with(row.data, again)
        except InvalidToken:
            continue
        row.save(update_fields=["data"])
    _keep_signatures_of_webhooks(apps)


def _with(data: dict[str, Any], again: Callable[[str], str]) -> dict[str, Any]:
    fresh = {name: again(data[name]) for name in ("secret", "seed") if data.get(name)}
    if data.get("migrated_codes"):
        fresh["migrated_codes"] = [again(code) for code in data["migrated_codes"]]
    return data | fresh


def _keep_signatures_of_webhooks(apps: Any) -> None:
    """HMAC hashes a key that is longer than 64 bytes first: with its SHA-256 every signature stays what it was."""
    key = settings.SECRET_KEY.encode()
    if len(key) > 64:
        secret = hashlib.sha256(key).digest()
        sealing.set_secret("webhooks", secret)


class Migration(migrations.Migration):
    dependencies = [
        ("hooks", "0001_initial"),
        ("evidence", "0001_initial"),
        ("accounts", "0001_initial"),
        ("mfa", "0003_authenticator_type_uniq"),
    ]

    operations = [migrations.RunPython(seal_anew, migrations.RunPython.noop)]
