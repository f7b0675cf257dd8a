"""One office as its operator serves it, and a signed-in person's plain HTTP client; used by test_served_on_disk.py."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from tests import forking

_PREPARE = """
import django, json, sys, time
django.setup()
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from datetime import timedelta
from leadline.workbench.accounts.actions import make_key
from leadline.workbench.accounts.models import Person, RoleGrant
from leadline.workbench.permissions import ROLE_PERMISSIONS, Role
person = Person(email="senior@example.org", name="senior")
person.set_unusable_password()
person.save()
EmailAddress.objects.create(user=person, email=person.email, verified=True, primary=True)
Authenticator.objects.create(user=person, type=Authenticator.Type.TOTP, data={"secret": "made up"})
RoleGrant.objects.create(person=person, role=Role.SENIOR, is_active=True)
session = SessionStore()
session[SESSION_KEY], session[BACKEND_SESSION_KEY] = str(person.pk), "allauth.account.auth_backends.AuthenticationBackend"
session[HASH_SESSION_KEY] = person.get_session_auth_hash()
session["account_authentication_methods"] = [
    {"method": "password", "at": time.time(), "email": person.email},
    {"method": "mfa", "type": "totp", "id": 0, "at": time.time()},
]
session["account_authentication_methods_user"] = str(person.pk)
session.save()
_, secret = make_key(person, "test", Role.SENIOR, ROLE_PERMISSIONS[Role.SENIOR], timedelta(days=1))
print(json.dumps({"session": session.session_key, "key": secret}))
"""
_SET_MODE = """
import django, sys
django.setup()
from leadline.workbench.accounts.models import Person
from leadline.workbench.evidence.actions import set_media_mode
from leadline.workbench.evidence.models import MediaMode
set_media_mode(Person.objects.get(), MediaMode({mode!r}), "made-up law, section 2")
"""
@dataclass
class ServedOffice:
    """`folders`: where a byte of it could come to lie: its home, its user's, and its temporary folder."""

    running: Any
    folders: tuple[Path, ...]
    session: str = ""
    key: str = ""

    def python(self, code: str) -> str:
        environment = self.running.environment | {"DJANGO_SETTINGS_MODULE": "leadline.workbench.settings"}
        done = forking.run(["-c", code], env=environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def prepare(self) -> None:
        made = json.loads(self.python(_PREPARE))
        self.session, self.key = made["session"], made["key"]

    def set_mode(self, mode: str) -> None:
        self.python(_SET_MODE.format(mode=mode))

    def poll_mail(self) -> None:
        """Its own worker looks into the mailbox now, not within the minute."""
        with closing(sqlite3.connect(self.running.home / "leadline.sqlite3", timeout=30)) as database:
            database.execute("UPDATE journal_duty SET due_at = '2026-01-01 00:00:00' WHERE name = 'reports.mail'")
            database.commit()

    def counts(self) -> list[int]:
        """Assets, reports."""
        with closing(sqlite3.connect(self.running.home / "leadline.sqlite3", timeout=30)) as database:
            tables = ("evidence_asset", "reports_report")
            return [database.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables]

    def send_page(self, path: str, data: dict[str, str], files: dict[str, Any] | None = None) -> httpx.Response:
        """Open the page's form, and send it as a browser does."""
        with httpx.Client(base_url=self.running.address, timeout=120) as client:
            client.cookies.set("leadline", self.session)
            page = client.get(path)
            assert page.status_code == 200, page.text[:2000]
            token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
            assert token is not None
            headers = {"Origin": self.running.address, "Referer": f"{self.running.address}{path}"}
            return client.post(path, data={"csrfmiddlewaretoken": token[1], **data}, files=files, headers=headers)

    def send_program(self, path: str, **said: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.key}"}
        return httpx.post(f"{self.running.address}/api/v1{path}", headers=headers, timeout=120, **said)

    def send_public(self, text: str) -> httpx.Response:
        address = f"{self.running.public_address}/en/report/"
        page = httpx.get(address, timeout=30)
        token = re.search(r'name="token" value="([^"]+)"|value="([^"]+)" name="token"', page.text)
        assert token is not None, page.text[:3000]
        time.sleep(4)  # nobody types faster
        return httpx.post(address, data={"token": token[1] or token[2], "text": text}, timeout=60)
