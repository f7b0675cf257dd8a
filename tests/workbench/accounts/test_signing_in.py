"""The way in: one-time links, the second factor first, sessions that end, throttling that locks nobody out."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth as totp
from allauth.usersessions.models import UserSession
from django.core.cache import cache
from django.http import HttpResponse
from django.test import Client

from leadline.errors import LeadlineError
from leadline.workbench.accounts import access, actions, throttle
from leadline.workbench.accounts.models import Invitation, Person, RoleGrant
from leadline.workbench.journal.models import Line
from leadline.workbench.permissions import Role

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery staple"


def join(client: Client, token: str, **fields: str) -> Any:
    given = {"email": "first@example.org", "name": "First", "password": PASSWORD} | fields
    return client.post(f"/join/{token}/", given)


def test_the_first_administrator_comes_in_by_a_link_that_works_once(office: object) -> None:
    token = actions.make_setup_link()
    client = Client()
    assert client.get(f"/join/{token}/").status_code == 200
    assert join(client, token)["Location"] == "/account/second-factor/"
    person = Person.objects.get()
    assert access.roles_of(person) == {Role.ADMINISTRATOR}
    join(Client(), token, email="second@example.org")
    assert Person.objects.get() == person
    with pytest.raises(LeadlineError):
        actions.make_setup_link()


def test_a_new_setup_link_ends_the_old_one(office: object) -> None:
    old, new = actions.make_setup_link(), actions.make_setup_link()
    assert Client().get(f"/join/{old}/").status_code == 404
    assert Client().get(f"/join/{new}/").status_code == 200


def test_the_database_does_not_hold_the_token(office: object) -> None:
    token = actions.make_setup_link()
    assert token not in str(list(Invitation.objects.values()))
    assert token not in str(list(Line.objects.values()))


@pytest.mark.parametrize("password", ["short", "password1234", "first@example.org"])
def test_weak_passwords_are_refused(office: object, password: str) -> None:
    token = actions.make_setup_link()
    assert join(Client(), token, password=password).status_code == 200
    assert not Person.objects.exists()


def test_nothing_opens_before_a_second_factor_is_set_up(office: object) -> None:
    client = Client()
    join(client, actions.make_setup_link())
    for page in ("/", "/people/", "/account/keys/"):
        assert client.get(page)["Location"] == "/account/second-factor/"
    assert client.get("/account/second-factor/").status_code == 200
    answer = client.get("/account/factors/app/")
    assert answer.status_code == 200
    secret = client.session["mfa.totp.secret"]
    code = totp.format_hotp_value(totp.hotp_value(secret, next(totp.yield_hotp_counters_from_time())))
    assert client.post("/account/factors/app/", {"code": code}).status_code == 302
    assert client.get("/people/").status_code == 200


def test_the_secret_of_an_authenticator_is_sealed_in_the_database(office: object) -> None:
    client = Client()
    join(client, actions.make_setup_link())
    client.get("/account/factors/app/")
    secret = client.session["mfa.totp.secret"]
    code = totp.format_hotp_value(totp.hotp_value(secret, next(totp.yield_hotp_counters_from_time())))
    client.post("/account/factors/app/", {"code": code})
    assert secret not in str(list(Authenticator.objects.values()))


def test_a_password_alone_does_not_sign_in(make_person: Callable[..., Person]) -> None:
    make_person("ada", Role.ADMINISTRATOR, password=PASSWORD)
    client = Client()
    answer = client.post("/account/login/", {"login": "ada@example.org", "password": PASSWORD})
    assert answer["Location"].startswith("/account/factors/authenticate/")
    assert "leadline-known" not in client.cookies
    assert client.get("/people/")["Location"].startswith("/account/login/")


def test_nobody_signs_up_uninvited(office: object) -> None:
    assert Client().get("/account/signup/").status_code == 404
    assert Client().get("/join/made-up/").status_code == 404


def test_a_session_ends_after_half_an_hour_without_a_request(
    analyst: Person, client_of: Callable[[Person], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_of(analyst)
    assert client.get("/").status_code == 200
    now = time.time()
    monkeypatch.setattr("leadline.workbench.middleware.time.time", lambda: now + 29 * 60)
    assert client.get("/").status_code == 200
    monkeypatch.setattr("leadline.workbench.middleware.time.time", lambda: now + 60 * 60)
    assert client.get("/")["Location"].startswith("/account/login/")


def test_a_page_that_looks_again_by_itself_keeps_no_session_alive(
    analyst: Person, client_of: Callable[[Person], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, now = client_of(analyst), time.time()
    assert client.get("/").status_code == 200
    monkeypatch.setattr("leadline.workbench.middleware.time.time", lambda: now + 29 * 60)
    assert client.get("/", headers={"hx-request": "true"}).status_code == 200
    monkeypatch.setattr("leadline.workbench.middleware.time.time", lambda: now + 31 * 60)
    assert client.get("/", headers={"hx-request": "true"})["Location"].startswith("/account/login/")


def test_a_session_ends_after_eight_hours_whatever_happens(
    analyst: Person, client_of: Callable[[Person], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, now = client_of(analyst), time.time()
    for minutes in range(0, 8 * 60, 25):
        monkeypatch.setattr("leadline.workbench.middleware.time.time", lambda at=now + minutes * 60: at)
        assert client.get("/").status_code == 200
    monkeypatch.setattr("leadline.workbench.middleware.time.time", lambda: now + 8 * 3600)
    assert client.get("/")["Location"].startswith("/account/login/")


def test_whoever_is_signed_out_comes_back_to_the_page_of_the_form_that_they_sent(
    analyst: Person, client_of: Callable[[Person], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, now = client_of(analyst), time.time()
    assert client.get("/").status_code == 200
    monkeypatch.setattr("leadline.workbench.middleware.time.time", lambda: now + 60 * 60)
    for one in (client, Client()):  # by their time, and by the office's
        sent = one.post("/review/next/", headers={"referer": "http://testserver/review/?cursor=a"})
        assert sent["Location"] == "/account/login/?next=%2Freview%2F%3Fcursor%3Da"


def test_who_stopped_before_the_second_factor_goes_on_with_link_and_password(office: object) -> None:
    token = actions.make_setup_link()
    join(Client(), token)
    later = Client()
    assert later.post(f"/join/{token}/", {"password": "wrong"}).status_code == 200
    assert later.get("/account/factors/app/")["Location"].startswith("/account/login/")
    assert later.post(f"/join/{token}/", {"password": PASSWORD})["Location"] == "/account/second-factor/"
    assert later.get("/account/factors/app/").status_code == 200


def test_the_link_is_dead_once_the_second_factor_stands(office: object) -> None:
    token = actions.make_setup_link()
    join(Client(), token)
    Authenticator.objects.create(user=Person.objects.get(), type=Authenticator.Type.TOTP, data={"secret": "made up"})
    assert Client().get(f"/join/{token}/").status_code == 404
    assert Client().post(f"/join/{token}/", {"password": PASSWORD}).status_code == 404


def test_a_password_alone_sets_up_no_second_factor(make_person: Callable[..., Person]) -> None:
    ada = make_person("ada", Role.ADMINISTRATOR, password=PASSWORD)
    Authenticator.objects.filter(user=ada).delete()
    client = Client()
    client.post("/account/login/", {"login": "ada@example.org", "password": PASSWORD})
    for page in ("/people/", "/account/factors/app/", "/account/factors/keys/add/", "/account/again/"):
        assert client.get(page)["Location"] == "/account/second-factor/"
    assert "/account/factors/app/" not in client.get("/account/second-factor/").content.decode()


def test_the_hour_to_set_up_a_second_factor_ends(office: object, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client()
    join(client, actions.make_setup_link())
    now = time.time()
    monkeypatch.setattr("leadline.workbench.accounts.access.time.time", lambda: now + 3601)
    assert client.get("/account/factors/app/")["Location"] == "/account/second-factor/"


def with_app(person: Person) -> str:
    """Gives the person an authenticator app; its secret."""
    from allauth.mfa.adapter import get_adapter

    Authenticator.objects.filter(user=person).delete()
    secret = totp.generate_totp_secret()
    data = {"secret": get_adapter().encrypt(secret)}
    Authenticator.objects.create(user=person, type=Authenticator.Type.TOTP, data=data)
    return secret


def test_codes_of_one_person_are_not_guessed_from_many_addresses(make_person: Callable[..., Person]) -> None:
    ada = make_person("ada", Role.ADMINISTRATOR, password=PASSWORD)
    right = code_now(with_app(ada))
    wrong = f"{(int(right) + 1) % 1_000_000:06d}"
    client = Client()
    for number in range(11):
        client.post(
            "/account/login/",
            {"login": "ada@example.org", "password": PASSWORD},
            REMOTE_ADDR=f"203.0.113.{number + 1}",
        )
        given = wrong if number < 10 else right
        answer = client.post("/account/factors/authenticate/", {"code": given}, REMOTE_ADDR=f"203.0.113.{number + 1}")
    assert "Too many attempts" in answer.content.decode()
    assert client.get("/people/")["Location"].startswith("/account/login/")


def test_a_recovery_code_opens_the_first_page_once(
    make_person: Callable[..., Person], client_of: Callable[[Person], Client]
) -> None:
    """As somebody whose telephone is gone signs in with the codes that they kept."""
    ada = make_person("ada", Role.ANALYST, password=PASSWORD)
    with_app(ada)
    before = client_of(ada)
    before.post("/account/again/", {"password": PASSWORD})
    assert before.post("/account/factors/codes/new/")["Location"] == "/account/factors/codes/"
    code, other, *_ = before.get("/account/factors/codes/download/").content.decode().split()
    answers = []
    for given in (code, code, other):
        client = Client()
        client.post("/account/login/", {"login": "ada@example.org", "password": PASSWORD})
        client.post("/account/factors/authenticate/", {"code": given})
        answers.append(client.get("/").status_code)
    assert answers == [200, 302, 200]


def test_behind_the_proxy_strangers_do_not_use_up_the_owners_tries(
    make_person: Callable[..., Person], settings: Any
) -> None:
    settings.LEADLINE_PROXY = "10.0.0.9"
    make_person("ada", Role.ADMINISTRATOR, password=PASSWORD)
    for number in range(40):
        Client().post(
            "/account/login/",
            {"login": f"nobody{number}@example.org", "password": "wrong"},
            REMOTE_ADDR="10.0.0.9",
            headers={"X-Forwarded-For": f"203.0.113.{number % 7 + 1}"},
        )
    answer = Client().post(
        "/account/login/",
        {"login": "ada@example.org", "password": PASSWORD},
        REMOTE_ADDR="10.0.0.9",
        headers={"X-Forwarded-For": "198.51.100.20"},
    )
    assert answer["Location"].startswith("/account/factors/authenticate/")


def test_changing_rights_asks_for_the_password_again(
    make_person: Callable[..., Person], client_of: Callable[..., Client]
) -> None:
    boss, other = make_person("boss", Role.ADMINISTRATOR), make_person("other")
    client = client_of(boss, signed_in_s_ago=16 * 60)
    answer = client.post(
        f"/people/{other.pk}/roles/give/", {"role": "curator"}, headers={"Referer": "http://testserver/people/"}
    )
    assert answer["Location"] == "/account/again/?next=%2Fpeople%2F"
    assert not access.roles_of(other)
    fresh = client_of(boss, signed_in_s_ago=14 * 60)
    fresh.post(f"/people/{other.pk}/roles/give/", {"role": "curator"})
    assert access.unconfirmed_grants().get().person == other


def sign_in(client: Client, password: str = PASSWORD, **headers: str) -> Any:
    return client.post("/account/login/", {"login": "ada@example.org", "password": password}, **headers)


def fail_to_sign_in(client: Client, times: int) -> None:
    for number in range(times):
        client.post(
            "/account/login/",
            {"login": "ada@example.org", "password": "wrong"},
            REMOTE_ADDR=f"203.0.113.{number + 1}",
        )


def test_guessing_one_account_from_many_addresses_is_slowed(make_person: Callable[..., Person]) -> None:
    make_person("ada", Role.ADMINISTRATOR, password=PASSWORD)
    fail_to_sign_in(Client(), 10)
    answer = Client().post("/account/login/", {"login": "ada@example.org", "password": PASSWORD})
    assert answer.status_code == 200
    assert "Too many attempts" in answer.content.decode()


def test_an_attacker_does_not_lock_the_owner_out_of_a_browser_that_is_known(make_person: Callable[..., Person]) -> None:
    """Nor by the password, nor by codes behind it, nor from the owner's own address."""
    ada = make_person("ada", Role.ADMINISTRATOR, password=PASSWORD)
    secret, known, stranger = with_app(ada), known_browser(ada), Client(REMOTE_ADDR="203.0.113.77")
    sign_in(stranger)
    for _ in range(11):
        stranger.post("/account/factors/authenticate/", {"code": "000000"})
    for _ in range(35):
        sign_in(Client(REMOTE_ADDR="203.0.113.77"), "wrong")
    refused = [sign_in(Client(REMOTE_ADDR=address)) for address in ("203.0.113.77", "203.0.113.78")]
    assert ["Too many attempts" in answer.content.decode() for answer in refused] == [True, True]
    answer = sign_in(known, REMOTE_ADDR="203.0.113.77")
    assert answer["Location"].startswith("/account/factors/authenticate/")
    answer = known.post("/account/factors/authenticate/", {"code": code_now(secret)}, REMOTE_ADDR="203.0.113.77")
    assert "leadline-known" in answer.cookies  # given anew; in the same second it is the same
    assert known.get("/people/").status_code == 200


def test_who_is_slowed_in_a_new_browser_comes_in_by_a_new_password_from_the_mail(
    make_person: Callable[..., Person], mailoutbox: list[Any]
) -> None:
    """For the password alone: whoever reads that mail has no more tries at the codes by it."""
    ada = make_person("ada", password=PASSWORD)
    secret, new = with_app(ada), Client()
    fail_to_sign_in(Client(), 10)
    assert "Too many attempts" in sign_in(new).content.decode()
    new.post("/account/password/reset/", {"email": "ada@example.org"})
    (link,) = re.findall(r"http://testserver(/account/password/reset/key/\S+)", mailoutbox[0].body)
    form = new.get(link)["Location"]
    another = "another horse battery staple"
    new.post(form, {"password1": another, "password2": another})
    assert sign_in(new, another)["Location"].startswith("/account/factors/authenticate/")
    assert "Too many attempts" in sign_in(Client(), another).content.decode()
    for number in range(10):
        new.post("/account/factors/authenticate/", {"code": "000000"})
        if number == 5:
            throttle.remember_browser(marked := HttpResponse(), ada.email)  # another mail
            new.cookies.load(marked.cookies.output(header=""))
    answer = new.post("/account/factors/authenticate/", {"code": code_now(secret)})
    assert "Too many attempts" in answer.content.decode()


def known_browser(person: Person) -> Client:
    """In which this person has signed in before."""
    marked, known = HttpResponse(), Client()
    throttle.remember_browser(marked, person.email, throttle.codes_of(person))
    known.cookies.load(marked.cookies.output(header=""))
    return known


def test_a_known_browser_of_one_account_does_not_help_to_guess_another(make_person: Callable[..., Person]) -> None:
    eve = make_person("eve", password=PASSWORD)
    make_person("ada", password=PASSWORD)
    client = known_browser(eve)
    fail_to_sign_in(client, 10)
    assert "Too many attempts" in sign_in(client).content.decode()


def test_right_passwords_are_no_guesses(make_person: Callable[..., Person]) -> None:
    make_person("ada", password=PASSWORD)
    assert [sign_in(Client()).status_code for _ in range(12)] == [302] * 12


def test_a_closed_account_is_signed_out_at_once(
    make_person: Callable[..., Person], client_of: Callable[[Person], Client]
) -> None:
    boss, leaver = make_person("boss", Role.ADMINISTRATOR), make_person("leaver", Role.ANALYST)
    client = client_of(leaver)
    assert client.get("/").status_code == 200
    actions.deactivate_person(boss, leaver, "left-office")
    assert client.get("/")["Location"].startswith("/account/login/")
    assert not RoleGrant.objects.filter(person=leaver, ended_at__isnull=True).exists()


def test_who_signed_in_a_while_ago_proves_it_by_the_password_and_lands_where_they_were_going(
    make_person: Callable[..., Person], client_of: Callable[..., Client]
) -> None:
    boss = make_person("boss", Role.ADMINISTRATOR, password=PASSWORD)
    client = client_of(boss, signed_in_s_ago=3600)
    asked = client.get("/people/invite/")["Location"]
    assert asked == "/account/again/?next=%2Fpeople%2Finvite%2F"
    assert client.get(asked).status_code == 200
    answer = client.post(asked, {"password": PASSWORD})
    assert answer["Location"] == "/people/invite/"
    assert client.get("/people/invite/").status_code == 200


def test_asking_to_reset_a_password_tells_nobody_who_has_an_account(make_person: Callable[..., Person]) -> None:
    make_person("ada", password=PASSWORD)
    asked = [Client().post("/account/password/reset/", {"email": f"{name}@example.org"}) for name in ("ada", "nobody")]
    assert [(answer.status_code, answer.get("Location")) for answer in asked] == [
        (302, "/account/password/reset/sent/")
    ] * 2


# --- own sessions ----------------------------------------------------------------------------------------------------


def code_of(secret: str) -> str:
    cache.clear()  # a code counts once, and both browsers come within its half minute
    return code_now(secret)


def code_now(secret: str) -> str:
    return str(totp.format_hotp_value(totp.hotp_value(secret, next(totp.yield_hotp_counters_from_time()))))


def test_own_sessions_are_listed_and_the_others_can_be_ended(
    office: object, make_person: Callable[..., Person]
) -> None:
    colleague = make_person("colleague")
    UserSession.objects.create(user=colleague, ip="127.0.0.1", session_key="made-up", user_agent="Browser-of-another")
    one, two = (Client(headers={"user-agent": f"Browser-{name}"}) for name in ("one", "two"))
    join(one, actions.make_machine_link(Role.ADMINISTRATOR))
    one.get("/account/factors/app/")
    secret = one.session["mfa.totp.secret"]
    one.post("/account/factors/app/", {"code": code_of(secret)})
    two.post("/account/login/", {"login": "first@example.org", "password": PASSWORD})
    two.post("/account/factors/authenticate/", {"code": code_of(secret)})
    assert [client.get("/people/").status_code for client in (one, two)] == [200, 200]
    page = two.get("/account/sessions/").content.decode()
    assert [f"Browser-{name}" in page for name in ("one", "two", "of-another")] == [True, True, False]
    two.post("/account/sessions/")
    assert one.get("/people/")["Location"].startswith("/account/login/")
    assert two.get("/people/").status_code == 200
    assert "Browser-one" not in two.get("/account/sessions/").content.decode()
    assert UserSession.objects.filter(user=colleague).exists()
