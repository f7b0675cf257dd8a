"""`leadline exchange`: sources are set up, checked, pulled, looked at; credentials never show."""

from __future__ import annotations

import json
import os
import re
import shlex
import stat
import sys
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import Field
from tests.subscriptions.sources import BAD, GONE, UNKNOWN, MadeUpSource, record_of

from leadline.cli import exchange_mock
from leadline.custody.keys import InstanceKey
from leadline.errors import CredentialsRefused, SourceUnavailable
from leadline.exchange import connectors
from leadline.exchange.connector import Checked, ListConnector, LookUpConnector, Options, Page
from leadline.match.bank import Bank

SECRET = "kept-to-oneself-7391"


class MadeUpOptions(Options):
    address: str
    pages: int = Field(3, ge=1)
    tags: tuple[str, ...] = ()


class MadeUp(ListConnector):
    name = "made-up"
    title = "A source of the tests"
    secret_names = ("key",)
    unverified = ("how it ends",)
    options_type = MadeUpOptions
    source: ClassVar[MadeUpSource]

    def check(self) -> Checked:
        if self.secrets["key"] != SECRET:
            raise CredentialsRefused("it answers 401", where=self.name, mend="check them")
        return Checked("42 Example", ("a test environment",))

    def pull(self, checkpoint: Mapping[str, Any] | None) -> Iterator[Page]:
        self.check()
        return self.source.pull(checkpoint)

    def confirm(self, checkpoint: Mapping[str, Any]) -> None:
        if not self.source.takes_receipts:
            raise SourceUnavailable("the receipt was not taken", where=self.name)
        self.source.confirmed.append(dict(checkpoint))

    def start_at(self, since_s: int) -> dict[str, int]:
        return {"at": 2}


class Asked(LookUpConnector):
    name = "asked"
    title = "A look-up of the tests"

    def check(self) -> Checked:
        return Checked()

    def look_up(self, asked: Any) -> list[Any]:
        return []


@pytest.fixture(autouse=True)
def source(monkeypatch: pytest.MonkeyPatch, home: Path) -> MadeUpSource:
    module = types.ModuleType("leadline.exchange.made_up")
    module.__dict__.update(MadeUp=MadeUp, Asked=Asked)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(connectors.CONNECTORS, "made-up", "made_up:MadeUp")
    monkeypatch.setitem(connectors.CONNECTORS, "asked", "made_up:Asked")
    MadeUp.source = MadeUpSource()
    for number in range(7):
        MadeUp.source.tell(f"k{number}", 1)
    return MadeUp.source


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    monkeypatch.setenv("LEADLINE_HOME", str(home))
    return home


@pytest.fixture
def key(home: Path) -> Path:
    (home / "keys").mkdir(parents=True, mode=0o700)
    InstanceKey.create(home / "keys" / "instance.key")
    return home / "keys" / "instance.key"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "credential"
    path.write_text(SECRET + "\n")
    return path


BASE = ("exchange", "add", "src", "--connector", "made-up", "--kind", "illegal", "--option", "address=x")


@pytest.fixture
def added(run: Any, file: Path) -> None:
    assert run(*BASE, "--secret", f"key=file:{file}").code == 0


def test_what_is_kept_and_not_compared_is_counted_and_printed(run: Any, added: None, source: MadeUpSource) -> None:
    source.tell("u1", UNKNOWN)
    [pulled] = run("exchange", "pull", "src", "--json").objects
    assert (pulled["added"], pulled["kept"], pulled["refused"]) == (7, 1, 0)
    [status] = run("exchange", "status", "src", "--json").objects
    assert (status["kept"], status["last_run"]["kept"], status["entries"]) == ({"made-up": 1}, 1, 7)
    assert re.search(r"kept, not compared +made-up 1\n", run("exchange", "status", "src").out)
    ended = run("exchange", "status", "--kept")
    value, digest = f"print {UNKNOWN}", record_of("u1", UNKNOWN).digest.hex()
    assert [json.loads(line) for line in ended.out.splitlines()] == [
        {"source": "src", "key": "u1", "kind": "made-up", "value": value, "digest": digest}
    ]


# --- adding -----------------------------------------------------------------------------------------------------------


def test_credentials_that_only_some_acts_need_may_be_given(run: Any) -> None:
    stopncii = ("--connector", "stopncii", "--kind", "other", "--secret", "subscription_key=env:A")
    needed = ("--secret", "fetch_key=env:B")
    assert run("exchange", "add", "few", *stopncii, *needed).code == 0
    assert run("exchange", "add", "more", *stopncii, *needed, "--secret", "submit_key=env:C").code == 0
    ended = run("exchange", "add", "wrong", *stopncii, "--secret", "submit_key=env:C")
    assert "a credential is missing (--secret fetch_key)" in ended.faults[0]
    assert "takes too: submit_key, feedback_key" in ended.faults[0]


def test_a_source_is_added_checked_pulled_and_looked_at(run: Any, home: Path, file: Path, source: MadeUpSource) -> None:
    ended = run(*BASE, "--secret", f"key=file:{file}", "--tlp", "green", "--licence", "on loan", "--json")
    assert (ended.code, ended.err) == (0, "")
    bank = home / "banks" / "src"
    assert ended.objects[0]["bank"] == str(bank)
    assert stat.S_IMODE(home.stat().st_mode) == 0o700, "else the workbench would refuse it"
    checked = run("exchange", "check", "src", "--json")
    [found] = checked.objects
    assert (found["ok"], found["identity"], found["notes"]) == (True, "42 Example", ["a test environment"])
    assert found["unverified"] == ["how it ends"]
    [pulled] = run("exchange", "pull", "src", "--json").objects
    assert (pulled["added"], pulled["entries"], pulled["is_complete"]) == (7, 7, True)
    assert source.confirmed == [{"at": 7}]
    manifest = Bank.open(bank).snapshot.manifest
    assert (manifest.name, manifest.source, manifest.tlp, manifest.licence) == ("src", "src", "green", "on loan")
    source.tell("k1", GONE)
    source.tell("bad", BAD)
    again = run("exchange", "pull", "--all", "--json")
    assert (again.code, again.objects[0]["withdrawn"], again.objects[0]["refused"]) == (3, 1, 1)
    assert again.faults == ["leadline: a hash of 5 bytes (bad, md5): md5 has 16 bytes"]
    [status] = run("exchange", "status", "--json").objects
    assert (status["standing"], status["entries"], status["by_fingerprint"]) == ("good", 6, {"md5": 6})
    assert status["last_run"]["withdrawn"] == 1
    assert status["withdrawals_pending"] == 0
    assert 0 <= status["lag_s"] < 60
    assert len(status["faults"]) == 1
    assert status["by_kind"] == {"other": 6}  # what the source's own records say


def test_people_read_the_same(run: Any, added: None) -> None:
    run("exchange", "pull", "src")
    told = run("exchange", "status").out
    assert "src: good" in told
    assert re.search(r"entries +7", told)
    assert re.search(r"last run .*added 7", told)
    assert "src  made-up" in run("exchange", "list").out


def test_a_bank_is_made_where_it_is_wished(run: Any, file: Path, tmp_path: Path) -> None:
    assert run(*BASE, "--secret", f"key=file:{file}", "--bank", tmp_path / "deep" / "mine").code == 0
    assert Bank.open(tmp_path / "deep" / "mine").name == "mine"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--option", "nothing=1"), "--option nothing"),
        (("--option", "pages=0"), "--option pages"),
        (("--option", "pages=many"), "--option pages"),
        (("--option", "address=y"), "given twice"),
        (("--label-kind", "A=wrong"), "--label-kind"),
        (("--secret", "other=env:X"), "--secret other"),
        (("--secret", "key=env:X", "--secret", "key=env:Y"), "given twice"),
        (("--secret", "key=env:LEADLINE_KEY"), "Leadline's own"),
        (("--secret", "key=env:1"), "--secret key"),
        ((), "a credential is missing (--secret key)"),
    ],
)
def test_what_is_wrong_names_its_field_and_nothing_is_set_up(
    run: Any, home: Path, options: tuple[str, ...], says: str
) -> None:
    ended = run(*BASE, *options, *(() if "--secret" in options or not options else ("--secret", "key=env:X")))
    assert ended.code == 2
    [fault] = ended.faults
    assert says in fault
    assert not (home / "banks").exists()
    assert run("exchange", "list").code == 1


def test_an_option_that_is_needed_is_named(run: Any) -> None:
    ended = run(*BASE[:-2], "--secret", "key=env:X")
    assert (ended.code, "needed (--option address)" in ended.err) == (2, True)


def test_an_option_given_again_is_a_list(run: Any, file: Path) -> None:
    ended = run(*BASE, "--option", "tags=a", "--option", "tags=b=c", "--secret", f"key=file:{file}", "--json")
    assert ended.objects[0]["options"]["tags"] == ["a", "b=c"]


@pytest.mark.parametrize("address", ["https://user:pass-4711@host.example", "https://host.example?token=pass-4711"])
def test_an_address_that_holds_a_credential_is_never_stored(run: Any, home: Path, address: str) -> None:
    ncmec = ("--connector", "ncmec", "--kind", "other", "--secret", "user=env:A", "--secret", "password=env:B")
    ended = run("exchange", "add", "src", *ncmec, "--option", f"address={address}")
    assert (ended.code, "not an address (--option address)" in ended.err) == (2, True)
    assert "pass-4711" not in ended.out + ended.err
    assert not (home / "exchanges").exists()


def test_names_are_taken_once_and_so_are_banks(run: Any, added: None, file: Path, home: Path) -> None:
    again = run(*BASE, "--secret", f"key=file:{file}")
    assert (again.code, "there is such a source already" in again.err) == (2, True)
    other = [*BASE[:2], "other", *BASE[3:]]
    ended = run(*other, "--secret", f"key=file:{file}", "--bank", home / "banks" / "src")
    assert (ended.code, "another source's entries (src)" in ended.err) == (2, True)
    assert run("exchange", "add", "No Name", *BASE[3:], "--secret", f"key=file:{file}").code == 2


def test_a_bank_of_other_entries_is_not_taken(run: Any, bank: Path, file: Path) -> None:
    ended = run(*BASE, "--secret", f"key=file:{file}", "--bank", bank)
    assert (ended.code, "other entries" in ended.err) == (2, True)
    assert Bank.open(bank).count == 3


def test_a_connector_that_is_none_names_those_that_are(run: Any) -> None:
    ended = run("exchange", "add", "src", "--connector", "nothing", "--kind", "other")
    assert (ended.code, "made-up" in ended.err) == (2, True)


def test_a_removed_source_goes_on_with_its_bank_when_it_is_added_again(
    run: Any, added: None, file: Path, home: Path
) -> None:
    run("exchange", "pull", "src")
    ids = [entry.id for entry in Bank.open(home / "banks" / "src").entries()]
    assert run("exchange", "remove", "src").code == 0
    assert run("exchange", "pull", "src").code == 2
    assert run(*BASE, "--secret", f"key=file:{file}", "--label-kind", "some=exploitative").code == 0
    [pulled] = run("exchange", "pull", "src", "--json").objects
    assert (pulled["added"], pulled["changed"]) == (0, 7)
    entries = list(Bank.open(home / "banks" / "src").entries())
    assert sorted(entry.id or 0 for entry in entries) == sorted(i or 0 for i in ids)
    assert {str(entry.kind) for entry in entries} == {"exploitative"}


def test_without_its_libraries_the_command_says_what_to_install(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("leadline.exchange.ncmec", "leadline.exchange.web"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "httpx", None)
    ended = run("exchange", "add", "src", "--connector", "ncmec", "--kind", "other")
    assert (ended.code, "(httpx): pip install 'leadline[exchange]'" in ended.err) == (2, True)
    found = {record["name"]: record for record in run("exchange", "list", "--connectors", "--json").objects}
    assert "not installed" in found["ncmec"]["title"]


def test_connectors_are_listed_with_what_they_need(run: Any) -> None:
    found = {record["name"]: record for record in run("exchange", "list", "--connectors", "--json").objects}
    made_up = found["made-up"]
    assert (made_up["credentials"], made_up["options"]["address"]) == (["key"], "needed")
    assert made_up["unverified"] == ["how it ends"]
    assert found["asked"]["is"] == "a look-up"


# --- credentials ------------------------------------------------------------------------------------------------------


def everything(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_a_credential_that_is_asked_for_is_sealed(run: Any, home: Path, key: Path) -> None:
    added = run(*BASE, "--secret", "key=-", "--json", stdin=SECRET.encode() + b"\n")
    assert (added.code, added.objects[0]["secrets"]) == (0, {"key": "sealed with the instance key"})
    assert SECRET.encode() not in everything(home)
    assert run("exchange", "check", "src").code == 0
    settings = home / "exchanges" / "src"
    assert stat.S_IMODE(settings.stat().st_mode) == 0o700
    assert stat.S_IMODE((settings / "secrets.json").stat().st_mode) == 0o600


def test_a_sealed_credential_opens_for_its_source_alone(run: Any, home: Path, key: Path, file: Path) -> None:
    run(*BASE, "--secret", "key=-", stdin=SECRET.encode() + b"\n")
    run("exchange", "add", "other", *BASE[3:], "--secret", f"key=file:{file}")
    exchanges = home / "exchanges"
    (exchanges / "other" / "secrets.json").write_bytes((exchanges / "src" / "secrets.json").read_bytes())
    ended = run("exchange", "check", "other")
    assert ended.code == 1
    assert ended.faults


def test_without_an_instance_key_nothing_is_sealed(run: Any, home: Path) -> None:
    ended = run(*BASE, "--secret", "key=-", stdin=SECRET.encode() + b"\n")
    assert (ended.code, "file:PATH" in ended.err) == (2, True)
    assert not (home / "exchanges").exists()
    assert not (home / "banks" / "src").exists()


def test_a_credential_in_the_command_line_is_refused_and_not_repeated(run: Any) -> None:
    for given in (f"key={SECRET}", SECRET, f"key=file:{'' or ''}"):
        ended = run(*BASE, "--secret", given)
        assert ended.code == 2
        assert SECRET not in ended.err


def test_a_credential_from_the_environment_is_read_at_each_use(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run(*BASE, "--secret", "key=env:SOURCE_KEY")
    ended = run("exchange", "check", "src")
    assert (ended.code, "(SOURCE_KEY)" in ended.err) == (1, True)
    monkeypatch.setenv("SOURCE_KEY", SECRET)
    assert run("exchange", "check", "src").code == 0


def test_a_wrong_credential_is_told_and_never_shown(run: Any, file: Path, home: Path, added: None) -> None:
    file.write_text("wrong-" + SECRET)
    for arguments in (("check", "src"), ("pull", "src"), ("pull", "src", "--json"), ("status",), ("list", "--json")):
        ended = run("exchange", *arguments)
        assert SECRET not in ended.out + ended.err
    [status] = run("exchange", "status", "--json").objects
    assert (status["standing"], "401" in status["error"]) == ("failed", True)
    assert SECRET.encode() not in everything(home)


# --- pulling ----------------------------------------------------------------------------------------------------------


def test_which_sources_must_be_said(run: Any, added: None) -> None:
    assert run("exchange", "pull").code == 2
    assert run("exchange", "pull", "src", "--all").code == 2
    assert run("exchange", "pull", "src", "nobody").code == 2
    assert run("exchange", "status", "nobody").code == 2


def test_a_receipt_that_is_not_taken_is_said_apart_from_the_pull_and_sent_again(run: Any, added: None) -> None:
    MadeUp.source.takes_receipts = False
    ended = run("exchange", "pull", "src")
    assert (ended.code, "src: pulled; receipt not confirmed" in ended.out) == (3, True)
    assert "the receipt was not taken" in ended.faults[0]
    owing = run("exchange", "status", "--json")
    [status] = owing.objects
    assert (owing.code, status["standing"], status["error"]) == (4, "pulled; receipt not confirmed", "")
    assert status["last_success"]
    assert "the receipt was not taken" in status["unconfirmed"]
    MadeUp.source.takes_receipts = True
    assert run("exchange", "pull", "src").code == 0
    assert MadeUp.source.confirmed == [{"at": 7}]
    assert run("exchange", "status", "--json").objects[0]["standing"] == "good"


def test_a_dry_run_changes_nothing(run: Any, added: None, home: Path) -> None:
    [dry] = run("exchange", "pull", "src", "--dry-run", "--json").objects
    assert MadeUp.source.confirmed == []
    assert (dry["added"], dry["is_dry"]) == (7, True)
    assert Bank.open(home / "banks" / "src").count == 0
    assert run("exchange", "status", "--json").objects[0]["standing"] == "never pulled"


def test_a_person_sees_which_source_is_pulled_and_how_far(run: Any, added: None, watch: Any) -> None:
    terminal = watch()
    assert run("exchange", "pull", "src").code == 0
    assert "7/? src added 7 changed 0 withdrawn 0" in terminal.text


def test_since_is_for_the_first_pull(run: Any, added: None) -> None:
    assert run("exchange", "pull", "src", "--since", "yesterday").code == 2
    [first] = run("exchange", "pull", "src", "--since", "2026-11-01", "--json").objects
    assert first["added"] == 5
    ended = run("exchange", "pull", "src", "--since", "2026-11-01")
    assert (ended.code, "first pull" in ended.err) == (1, True)


def test_a_source_that_fails_does_not_keep_the_others_from_being_pulled(
    run: Any, added: None, tmp_path: Path, file: Path
) -> None:
    bad = tmp_path / "bad"
    bad.write_text("wrong")
    run("exchange", "add", "another", *BASE[3:], "--secret", f"key=file:{bad}")
    run("exchange", "add", "asked", "--connector", "asked", "--kind", "other")
    ended = run("exchange", "pull", "--all", "--json")
    assert ended.code == 3
    assert [(record["name"], record["ok"]) for record in ended.objects] == [("another", False), ("src", True)]
    assert run("exchange", "status").code == 4
    assert run("exchange", "pull", "asked").code == 1


def test_a_source_is_pulled_by_one_at_a_time(run: Any, added: None, home: Path) -> None:
    import fcntl

    run("exchange", "pull", "src")
    with (home / "exchanges" / "src" / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ended = run("exchange", "pull", "src")
        removed = run("exchange", "remove", "src")
    assert (ended.code, removed.code) == (1, 2)
    assert "another process works on this source" in ended.err


def test_what_a_kill_left_is_told(run: Any, added: None, home: Path) -> None:
    run("exchange", "pull", "src")
    path = home / "exchanges" / "src" / "status.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "started": 1_795_000_000}))
    [status] = run("exchange", "status", "--json").objects
    assert (status["standing"], status["is_well"], status["last_run"]["added"]) == ("cut off", False, 7)
    run("exchange", "pull", "src")
    assert run("exchange", "status", "--json").objects[0]["standing"] == "good"


def test_a_pull_that_a_person_stops_can_go_on(run: Any, added: None, monkeypatch: pytest.MonkeyPatch) -> None:
    real = MadeUpSource.pull

    def stopped(source: MadeUpSource, checkpoint: Any) -> Iterator[Page]:
        yield next(real(source, checkpoint))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(MadeUpSource, "pull", stopped)
        ended = run("exchange", "pull", "src")
    assert ended.code == 130
    assert len(ended.faults) == 1
    assert run("exchange", "status", "--json").objects[0]["standing"] == "cut off"
    assert run("exchange", "pull", "src", "--json").objects[0]["entries"] == 7


def test_a_list_that_shrank_is_pending_until_a_person_says_so(run: Any, added: None, source: MadeUpSource) -> None:
    source.is_whole, source.page_records = True, 100
    for number in range(300):
        source.tell(f"k{number}", 1)
    run("exchange", "pull", "src")
    for number in range(200):
        source.tell(f"k{number}", GONE)
    ended = run("exchange", "pull", "src")
    assert (ended.code, "--allow-shrink" in ended.err) == (1, True)
    [status] = run("exchange", "status", "--json").objects
    assert (status["withdrawals_pending"], status["entries"], status["standing"]) == (200, 300, "failed")
    assert run("exchange", "pull", "src", "--allow-shrink").code == 0
    [status] = run("exchange", "status", "--json").objects
    assert (status["withdrawals_pending"], status["entries"]) == (0, 100)


def test_damaged_settings_are_told_and_the_others_shown(run: Any, added: None, home: Path, file: Path) -> None:
    run("exchange", "add", "another", *BASE[3:], "--secret", f"key=file:{file}")
    (home / "exchanges" / "another" / "settings.json").write_text("{")
    ended = run("exchange", "status", "--json")
    assert (ended.code, [r["standing"] for r in ended.objects]) == (4, ["unreadable", "never pulled"])


def test_a_damaged_status_costs_no_pull(run: Any, added: None, home: Path) -> None:
    (home / "exchanges" / "src" / "status.json").write_text("[" * 100_000)
    assert run("exchange", "pull", "src").code == 0
    assert run("exchange", "status").code == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written_is_told(run: Any, added: None, home: Path) -> None:
    (home / "exchanges" / "src").chmod(0o500)
    assert run("exchange", "pull", "src").code in (1, 2)


# --- stand-ins --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [("nothing",), ("ncmec", "--fault", "odd"), ("ncmec", "--fault", "cut:x")])
def test_a_stand_in_or_fault_that_is_none_is_told(run: Any, arguments: tuple[str, ...]) -> None:
    ended = run("exchange", "mock", *arguments)
    assert ended.code == 2
    assert len(ended.faults) == 1


@pytest.mark.parametrize("name", ["ncmec", "stopncii", "arachnid", "threatexchange", "misp", "taxii"])
def test_a_stand_in_is_set_up_checked_and_asked_by_the_commands_that_it_prints(
    run: Any, name: str, home: Path, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it is served: in the place of a person who stops it."""
    rehearsed = []

    def rehearse() -> None:
        told = json.loads(capfdbinary.readouterr().out)
        assert told["protocol"] == name
        for variable, value in told["credentials"].items():
            monkeypatch.setenv(variable, value)
        rehearsed.extend(run(*shlex.split(command)[1:]).code for command in told["commands"])
        status = run("exchange", "status").out
        said = re.search(r"told whole +20\S+Z; what it deletes without a word is seen every 24 h\n", status)
        assert bool(said) == (name in ("misp", "taxii")), status

    monkeypatch.setattr(exchange_mock, "_wait", rehearse)
    assert run("exchange", "mock", name, "--entries", "3", "--json").code == 0
    assert rehearsed == [0, 0, 0]
