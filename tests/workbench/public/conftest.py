"""The public form's own settings, over the office of this test."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from leadline.workbench.public import tokens, views
from leadline.workbench.public.limits import Counter

_SHARED = (
    "ROOT_URLCONF MIDDLEWARE TEMPLATES STATIC_URL STATICFILES_DIRS STATICFILES_FINDERS LANGUAGE_COOKIE_NAME "
    "DATA_UPLOAD_MAX_MEMORY_SIZE DATA_UPLOAD_MAX_NUMBER_FIELDS DATA_UPLOAD_MAX_NUMBER_FILES FILE_UPLOAD_HANDLERS "
    "SECURE_REFERRER_POLICY SECURE_CROSS_ORIGIN_OPENER_POLICY SECURE_CONTENT_TYPE_NOSNIFF LOGGING"
).split()


@pytest.fixture
def public_site(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process answers as the public form's process does; its memory is empty, and nobody types too fast."""
    from leadline.workbench import public_settings

    for name in _SHARED:
        setattr(settings, name, getattr(public_settings, name))
    monkeypatch.setattr(views, "counter", Counter())
    monkeypatch.setattr(views, "spent", tokens.Spent())
    monkeypatch.setattr(tokens, "FORM_AT_LEAST_S", -1)


@pytest.fixture
def visitor(office: Any, public_site: None) -> Client:
    """Somebody with an address that is nobody's: 203.0.113.0/24 is for documentation (RFC 5737)."""
    return Client(REMOTE_ADDR="203.0.113.77", raise_request_exception=False)
