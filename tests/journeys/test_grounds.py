"""The same office on other ground: behind TLS as beyond one machine, and on PostgreSQL."""

from __future__ import annotations

import datetime
import ipaddress
import shutil
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from tests.journeys.conftest import serve_office
from tests.journeys.test_newcomer import set_up
from tests.journeys.test_reporting import report_anonymously
from tests.machine import Machine
from tests.servers import postgresql, skip_without

YEAR_S = 365 * 24 * 3600


def make_certificate(folder: Path) -> dict[str, str]:
    """Signed by itself, for this machine; the settings that name it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, SHA256())
    )
    chain, secret = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(certificate.public_bytes(Encoding.PEM))
    secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    secret.chmod(0o600)
    return {"LEADLINE_TLS_CERTIFICATE": str(chain), "LEADLINE_TLS_KEY": str(secret)}


def test_behind_tls_cookies_are_bound_to_the_host_and_forms_to_the_site(
    make_visitor: Any, prepared: Machine, tmp_path: Path
) -> None:
    visitor = make_visitor(ignore_https_errors=True)
    home = shutil.copytree(prepared.home, tmp_path / "home")
    with serve_office(home, make_certificate(tmp_path)) as office:
        set_up(visitor, office, alone=True)
        page, at = visitor.page, office.address
        answer = page.goto(f"{at}/people/")
        page.get_by_role("heading", name="People").wait_for()
        visitor.look("people")

        cookies = {cookie["name"]: cookie for cookie in page.context.cookies()}
        assert {"__Host-leadline", "__Host-leadline-csrf"} <= cookies.keys()
        for name in ("__Host-leadline", "__Host-leadline-csrf"):  # kept by a browser under no other terms
            told = cookies[name]
            assert (told["secure"], told["httpOnly"], told["path"]) == (True, True, "/")
            assert told["domain"] == "localhost"
        public = page.request.get(f"{office.public_address}/en/")
        for headers in (answer.headers, public.headers):
            assert headers["strict-transport-security"] == f"max-age={YEAR_S}; includeSubDomains"
        assert "set-cookie" not in public.headers

        page.goto(f"{at}/people/invite/")
        token = page.locator("main input[name=csrfmiddlewaretoken]").first.input_value()
        form = {"email": "second@example.org", "roles": "analyst"}
        own, other = {"Origin": at}, {"Origin": "https://made-up.example.org"}
        elsewhere = {"Referer": "https://made-up.example.org/"}
        for headers, sent in (
            (own, form),
            (other, {**form, "csrfmiddlewaretoken": token}),
            (elsewhere, {**form, "csrfmiddlewaretoken": token}),
            ({}, {**form, "csrfmiddlewaretoken": token}),
        ):
            assert page.request.post(f"{at}/people/invite/", form=sent, headers=headers).status == 403
        sent = {**form, "csrfmiddlewaretoken": token}
        assert page.request.post(f"{at}/people/invite/", form=sent, headers=own).status == 200
        page.goto(f"{at}/people/")
        assert page.get_by_text("second@example.org").count() > 0

        for address in (office.address, office.public_address):
            try:
                urllib.request.urlopen(address.replace("https://", "http://"), timeout=20)
            except (OSError, urllib.error.URLError):
                continue
            raise AssertionError("it answered without TLS")


def test_an_office_on_postgresql_receives_a_report_and_its_chain_holds(
    make_visitor: Any, tmp_path_factory: Any
) -> None:
    skip_without("postgresql")
    folder, visitor, stranger = tmp_path_factory.mktemp("postgresql"), make_visitor(), make_visitor("stranger")
    with postgresql() as url, serve_office(folder / "home", {"DATABASE_URL": url}) as office:
        set_up(visitor, office, alone=True)
        report_anonymously(stranger.page, office.public_address)
        page = visitor.page
        page.goto(f"{office.address}/reports/")
        page.get_by_role("link", name="R-").first.click()
        page.get_by_text("I came across this by chance.").first.wait_for()
        visitor.look("report")
        assert office.ask("count_reports") == 1
        page.goto(f"{office.address}/health/")
        page.get_by_role("heading", name="Health").wait_for()
        visitor.look("health")
        office.command("journal", "verify")
        office.command("vault", "verify")
        assert not (office.home / "leadline.sqlite3").exists()
