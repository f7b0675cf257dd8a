"""What a journey does inside a running office's house, in a process of its own: people, objects, an aged session.

`python -m tests.journeys.inside FUNCTION ARGUMENTS-AS-JSON` prints JSON. Everything else a journey does in the browser.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import timedelta
from typing import Any

PASSWORD = "correct horse battery staple"
PASSPHRASE = "seven made up words for a test"  # of a made-up reporter


def make_people(roles: dict[str, list[str]]) -> dict[str, dict[str, str]]:
    """People with a password and an authenticator app; their roles are in force. name -> email, secret, id."""
    from allauth.account.models import EmailAddress
    from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret

    from leadline.workbench.accounts.models import Person, RoleGrant

    people = {}
    for name, held in roles.items():
        person = Person(email=f"{name}@example.org", name=name)
        person.set_password(PASSWORD)
        person.save()
        EmailAddress.objects.create(user=person, email=person.email, verified=True, primary=True)
        secret = generate_totp_secret()
        TOTP.activate(person, secret)
        for role in held:
            RoleGrant.objects.create(person=person, role=role, is_active=True)
        people[name] = {"email": person.email, "secret": secret, "id": str(person.pk), "name": name}
    return people


def fill_office(people: dict[str, str], hook_url: str) -> dict[str, str]:
    """See `filled.fill`; people: role -> id."""
    from tests.journeys.filled import fill, fill_quality

    from leadline.workbench import matching
    from leadline.workbench.accounts.models import Invitation, Person, RoleGrant
    from leadline.workbench.permissions import Role

    found = {Role(role): Person.objects.get(pk=pk) for role, pk in people.items()}
    filled = fill(found, hook_url) | fill_quality(found)
    grant = RoleGrant.objects.create(person=found[Role.INVESTIGATOR], role=Role.CURATOR)
    matching.close_engine()
    assert not Invitation.objects.filter(used_by__isnull=False).exists()
    return filled | {"grant": str(grant.pk), "person": str(found[Role.INVESTIGATOR].pk)}


def make_key(owner: str, role: str) -> str:
    from leadline.workbench.accounts import actions
    from leadline.workbench.accounts.models import Person
    from leadline.workbench.permissions import ROLE_PERMISSIONS, Role

    scopes = ROLE_PERMISSIONS[Role(role)]
    return actions.make_key(Person.objects.get(pk=owner), "a partner", Role(role), scopes, timedelta(days=1))[1]


def reset_link(person: str) -> str:
    """The address in the mail that somebody gets who forgot the password."""
    from allauth.account.forms import default_token_generator
    from allauth.account.utils import user_pk_to_url_str
    from django.urls import reverse

    from leadline.workbench.accounts.models import Person

    who = Person.objects.get(pk=person)
    given = {"uidb36": user_pk_to_url_str(who), "key": default_token_generator.make_token(who)}
    return reverse("account_reset_password_from_key", kwargs=given)


def age_sessions(minutes: float) -> int:
    """As if the last proof of everybody signed in were that much older; how many proofs. Nothing else grows older."""
    from django.contrib.sessions.backends.db import SessionStore
    from django.contrib.sessions.models import Session

    aged = 0
    for row in Session.objects.all():
        store = SessionStore(row.session_key)
        for proof in store.get("account_authentication_methods", []):
            proof["at"] -= minutes * 60
            aged += 1
        store.modified = True
        store.save()
    return aged


def sign_head() -> str:
    """What the worker does once a day: the head of the journal signed and sent out. The file that left."""
    from django.conf import settings

    from leadline.workbench.evidence import tasks

    tasks.sign_head()
    tasks.send_anchor()
    return str(max(settings.LEADLINE_ANCHORS.iterdir(), key=lambda path: path.stat().st_mtime_ns))


def public_key() -> str:
    """What the office tells everybody who will ever check what it signed."""
    from leadline.workbench import sealing

    return sealing.signing_key().public_bytes.hex()


def count_reports() -> int:
    from leadline.workbench.reports.models import Report

    return Report.objects.count()


def main(function: str, arguments: str) -> Any:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "leadline.workbench.settings")
    import django

    django.setup()
    return globals()[function](**json.loads(arguments))


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
