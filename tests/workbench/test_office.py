"""Starting: keys, folders, addresses. It refuses rather than run unsafely."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests import forking

from leadline.custody.keys import InstanceKey, SigningKey
from leadline.custody.storage import open_storage
from leadline.errors import ConfigError, KeyUnavailable, LeadlineError
from leadline.workbench import office as offices


def test_the_first_start_makes_keys_that_only_the_owner_reads(settings: Any, tmp_path: Path) -> None:
    settings.LEADLINE_KEY_FILE = tmp_path / "keys" / "instance.key"
    settings.LEADLINE_SIGNING_KEY_FILE = tmp_path / "keys" / "signing.key"
    offices.prepare_keys(settings, is_new=True)
    assert (settings.LEADLINE_KEY_FILE.stat().st_mode & 0o777, (tmp_path / "keys").stat().st_mode & 0o777) == (
        0o600,
        0o700,
    )
    first = InstanceKey.load(settings.LEADLINE_KEY_FILE).key_id
    offices.prepare_keys(settings, is_new=True)
    assert InstanceKey.load(settings.LEADLINE_KEY_FILE).key_id == first


@pytest.mark.parametrize("name", ["LEADLINE_KEY_FILE", "LEADLINE_SIGNING_KEY_FILE"])
@pytest.mark.parametrize("fault", ["absent", "open to others", "too short", "a link"])
def test_a_later_start_without_its_keys_is_refused(office: Any, settings: Any, name: str, fault: str) -> None:
    path = getattr(settings, name)
    if fault == "absent":
        path.unlink()
    elif fault == "open to others":
        path.chmod(0o644)
    elif fault == "too short":
        path.write_bytes(b"short")
    else:
        path.rename(path.with_suffix(".real"))
        path.symlink_to(path.with_suffix(".real"))
    with pytest.raises(KeyUnavailable):
        offices.prepare_keys(settings, is_new=False)
    assert fault != "absent" or not path.exists()


def test_another_key_opens_nothing(tmp_path: Path) -> None:
    one, other = InstanceKey.create(tmp_path / "one"), InstanceKey.create(tmp_path / "other")
    wrapped = one.wrap(b"d" * 32, b"asset 7")
    assert one.unwrap(wrapped, b"asset 7") == b"d" * 32
    for key, context in ((other, b"asset 7"), (one, b"asset 8")):
        with pytest.raises(LeadlineError):
            key.unwrap(wrapped, context)


def test_keys_never_show_themselves(tmp_path: Path) -> None:
    key = InstanceKey.create(tmp_path / "k")
    signing = SigningKey.create(tmp_path / "s")
    raw = (tmp_path / "k").read_bytes()
    assert raw.hex() not in repr(key) + str(key) + key.key_id
    assert repr(raw) not in repr(key)
    assert (tmp_path / "s").read_bytes().hex() not in repr(signing)


@pytest.mark.parametrize(
    "address",
    ["0.0.0.0:8400", "192.0.2.7:8400", "leadline.example.org:443", "localhost.example.org:8400", "127.example.org:8400",
     "[::]:8400", "[::1],0.0.0.0", "unix:/run/leadline"],
)  # fmt: skip
def test_an_address_beyond_this_machine_needs_tls_or_a_proxy(settings: Any, address: str) -> None:
    settings.LEADLINE_ADDRESS, settings.LEADLINE_TLS, settings.LEADLINE_PROXY = address, ("", ""), ""
    with pytest.raises(ConfigError, match="TLS"):
        offices.check_addresses(settings)
    settings.LEADLINE_TLS = ("c.pem", "k.pem")
    offices.check_addresses(settings)
    settings.LEADLINE_TLS, settings.LEADLINE_PROXY = ("", ""), "192.0.2.1"
    offices.check_addresses(settings)


@pytest.mark.parametrize("address", ["127.0.0.1:8400", "localhost:1", "[::1]:9", "127.0.0.2:8400"])
def test_loopback_needs_nothing(settings: Any, address: str) -> None:
    settings.LEADLINE_ADDRESS = address
    offices.check_addresses(settings)


def test_an_address_that_is_none_is_named(settings: Any) -> None:
    settings.LEADLINE_PUBLIC_ADDRESS = "127.0.0.1:here"
    with pytest.raises(ConfigError, match="LEADLINE_PUBLIC_ADDRESS"):
        offices.check_addresses(settings)


def test_a_vault_in_s3_without_its_extra_is_refused_at_the_start(
    office: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    settings.LEADLINE_VAULT = "s3://made-up/office"
    for refused in (offices.check_office, lambda: open_storage(settings.LEADLINE_VAULT)):
        with pytest.raises(ConfigError, match=r"leadline\[s3\]"):
            refused()


def test_a_process_that_falls_over_is_started_again_and_all_end_in_order(tmp_path: Path) -> None:
    log = tmp_path / "log"
    story = f"""
import sys
from leadline.workbench import office
office._RESTART_AFTER_S = 0.1
fall = [sys.executable, "-c", "open({str(log)!r}, 'a').write('fell ')"]
stay = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
office.Supervisor({{"falls": fall, "stays": stay}}, lambda text: None).run()
print("ended", flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", story], stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "up\n"
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and (not log.exists() or log.read_text().count("fell") < 2):
            time.sleep(0.05)
        run.send_signal(signal.SIGTERM)
        assert run.stdout.readline() == "ended\n"
    assert log.read_text().count("fell") >= 2
    assert run.returncode == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LEADLINE_WEB_WORKERS", "many"),
        ("LEADLINE_MAIL_URL", "carrier-pigeon://loft"),
        ("LEADLINE_TLS_KEY", "only-half.pem"),
        ("DATABASE_URL", "mysql://host/name"),
        ("LEADLINE_TIMESTAMP_URLS", "https://tsa.example.org"),
        ("LEADLINE_KEY_SLOT", ":argument"),
    ],
)
def test_a_malformed_setting_is_named(tmp_path: Path, name: str, value: str) -> None:
    environment = {**os.environ, "LEADLINE_HOME": str(tmp_path / "h"), name: value}
    run = forking.run(["-m", "leadline", "up", "--check"], env=environment)
    assert run.returncode == 2
    assert name in run.stderr
    assert "Traceback" not in run.stderr
