"""An empty office, and the three people of every test: analyst, senior, outsider."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import django
import pytest

django.setup()  # this file may be loaded before pytest-django gets to it

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.core.cache import cache
from django.core.management.commands import flush
from django.db import connection
from django.test import Client, override_settings
from tests.machine import Machine
from tests.servers import fresh_database

from leadline.workbench.accounts.models import Person, RoleGrant
from leadline.workbench.permissions import ROLE_PERMISSIONS, Permission, Role

PASSWORD = "correct horse battery staple"  # of every person here
HERE = Path(__file__).parent
# Where the database's behaviour matters: the chain and its triggers, locks, constraints, the queue, search, cursors,
# faults, and each app's own reads and writes. These are run on PostgreSQL too (test_postgresql.py); pages, forms,
# translations, parsers and pure logic are not, nor is what goes through them to the same actions.
ON_BOTH_DATABASES = (
    "accounts/test_two_people.py",
    "api/test_cursors.py",
    "banks/test_banks.py",
    "cases/test_cases.py",
    "cases/test_finding_names.py",
    "cases/test_hints.py",
    "cases/test_whose.py",
    "evidence/test_building.py",
    "evidence/test_changing_lists.py",
    "evidence/test_coming_back.py",
    "evidence/test_exhibits.py",
    "evidence/test_faults.py",
    "evidence/test_keeping.py",
    "evidence/test_taking_in.py",
    "hooks/test_deliveries.py",
    "journal",
    "reports/test_faults.py",
    "reports/test_receive.py",
    "reports/test_states.py",
    "reports/test_time_passes.py",
    "quality/test_pairs.py",
    "review/test_deciding.py",
    "review/test_reached.py",
    "review/test_sorting.py",
    "search/test_finding.py",
    "search/test_index.py",
    "sharing/test_at_once.py",
    "sharing/test_reached.py",
    "sharing/test_sharing.py",
    "stats/test_health.py",
    "test_worker.py",
)


class QuickArgon2(Argon2PasswordHasher):
    """The product's way of hashing at a thousandth of its cost: nobody guesses at these passwords."""

    time_cost, memory_cost, parallelism = 1, 8, 1


@pytest.fixture(scope="session", autouse=True)
def _passwords_are_cheap() -> Iterator[None]:
    with override_settings(PASSWORD_HASHERS=[f"{__name__}.QuickArgon2"]):
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    both = tuple((HERE / name).parts for name in ON_BOTH_DATABASES)
    for item in items:
        if any(item.path.parts[: len(parts)] == parts for parts in both):
            item.add_marker(pytest.mark.database)


@pytest.fixture(scope="session")
def django_db_keepdb() -> bool:
    """The tests' database is there already, see below; it goes with the folder of the run, or with its server."""
    return True


@pytest.fixture(scope="session")
def django_db_modify_db_settings(prepared: Machine) -> None:
    """A copy of a prepared office's: to make one takes seconds. A file, not memory: several connections meet in it."""
    from django.conf import settings

    database = settings.DATABASES["default"]
    if "sqlite3" in database["ENGINE"]:
        name = shutil.copyfile(prepared.home / "leadline.sqlite3", Path(settings.LEADLINE_HOME) / "test.sqlite3")
    else:
        like = prepared.environment["DATABASE_URL"]
        name = fresh_database(os.environ["DATABASE_URL"], like=like).rpartition("/")[2]
    database.setdefault("TEST", {})["NAME"] = str(name)


@pytest.fixture(scope="session", autouse=True)
def _flush_lifts_the_triggers() -> Iterator[None]:
    """Tests with several connections end by emptying every table, which the append-only triggers rightly refuse."""
    original = flush.Command.handle

    def handle(self: flush.Command, **options: Any) -> None:
        with triggers_lifted():
            original(self, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flush.Command, "handle", handle)
        yield


@contextmanager
def triggers_lifted() -> Iterator[None]:
    """What only the owner of a database can do; the tests of the chain's anchor use it to play one."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET session_replication_role = replica")
            yield
            cursor.execute("SET session_replication_role = origin")
            return
        # Those of search stay: they keep its words in step with its rows, which may go.
        cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name <> 'search_document'")
        triggers = cursor.fetchall()
        for name, _ in triggers:
            cursor.execute(f"DROP TRIGGER {name}")
        yield
        for _, sql in triggers:
            cursor.execute(sql)


@dataclass
class Office:
    """Where this test's office keeps its things."""

    home: Path
    banks: Path
    vault: Path


@pytest.fixture
def office(db: None, settings: Any, tmp_path: Path) -> Office:
    """Migrated, with its own keys and folders; nobody works here yet."""
    return set_up_office(settings, tmp_path / "home")


def set_up_office(settings: Any, home: Path) -> Office:
    """The keys and folders of an office, and `settings` to lead to them."""
    home.mkdir(mode=0o700)
    for name in ("keys", "banks", "vault", "erasures", "backups", "anchors", "mail"):
        (home / name).mkdir(mode=0o700)
    settings.LEADLINE_HOME = home
    settings.LEADLINE_SECRET_IS_NEW = False
    settings.LEADLINE_KEY_FILE = home / "keys" / "instance.key"
    settings.LEADLINE_SIGNING_KEY_FILE = home / "keys" / "signing.key"
    settings.LEADLINE_VAULT, settings.LEADLINE_BANKS = home / "vault", home / "banks"
    settings.LEADLINE_ERASURES = home / "erasures" / "list"
    settings.LEADLINE_BACKUPS, settings.LEADLINE_ANCHORS = home / "backups", home / "anchors"
    from leadline.custody.keys import InstanceKey, SigningKey

    InstanceKey.create(settings.LEADLINE_KEY_FILE)
    SigningKey.create(settings.LEADLINE_SIGNING_KEY_FILE)
    cache.clear()
    return Office(home, home / "banks", home / "vault")


MakePerson = Callable[..., Person]


@pytest.fixture
def make_person(office: Office) -> MakePerson:
    """make_person("name", Role.X, ...): with a second factor; roles are in force."""
    return new_person


def new_person(name: str, *roles: Role, password: str = "") -> Person:
    person = Person(email=f"{name}@example.org", name=name)
    person.set_password(password) if password else person.set_unusable_password()
    person.save()
    EmailAddress.objects.create(user=person, email=person.email, verified=True, primary=True)
    Authenticator.objects.create(user=person, type=Authenticator.Type.TOTP, data={"secret": "made up"})
    for role in roles:
        RoleGrant.objects.create(person=person, role=role, is_active=True)
    return person


@pytest.fixture
def analyst(make_person: MakePerson) -> Person:
    return make_person("analyst", Role.ANALYST)


@pytest.fixture
def senior(make_person: MakePerson) -> Person:
    return make_person("senior", Role.SENIOR)


@pytest.fixture
def outsider(make_person: MakePerson) -> Person:
    """Has an account and no role at all."""
    return make_person("outsider")


@pytest.fixture
def client_of(office: Office) -> Callable[[Person], Client]:
    """A browser in which the person has just signed in with both factors."""
    return new_browser


def new_browser(person: Person, *, signed_in_s_ago: float = 0) -> Client:
    client = Client()
    client.force_login(person, backend="allauth.account.auth_backends.AuthenticationBackend")
    session = client.session
    session["account_authentication_methods"] = [
        {"method": "password", "at": time.time() - signed_in_s_ago, "email": person.email},
        {"method": "mfa", "type": "totp", "id": 0, "at": time.time() - signed_in_s_ago},
    ]
    session["account_authentication_methods_user"] = str(person.pk)
    session.save()
    return client


@pytest.fixture
def program_of(office: Office) -> Callable[..., Client]:
    """program_of(person, Role.X, Permission.Y, ...): a program with a fresh key; without scopes, all of the role's."""
    return new_program


def new_program(person: Person, role: Role, *scopes: Permission) -> Client:
    from datetime import timedelta

    from leadline.workbench.accounts.actions import make_key

    _, secret = make_key(person, "test", role, scopes or ROLE_PERMISSIONS[role], timedelta(days=1))
    return Client(headers={"authorization": f"Bearer {secret}"}, raise_request_exception=False)
