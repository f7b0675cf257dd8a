"""docs/connectors.md, followed by somebody who has nothing else: two sources, their health, a feed, a subscriber."""

from __future__ import annotations

import json
import shlex
import time
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from tests.cli.conftest import Run
from tests.cli.manual import PAGE, after, commands, the_json

from leadline.cli import exchange_mock
from leadline.exchange.mock import servers


@pytest.fixture(autouse=True)
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LEADLINE_HOME", str(tmp_path / "home"))
    return tmp_path


def follow(run: Run, told: list[list[str]]) -> list[str]:
    """What each command says, in one line; each does what it should."""
    said = []
    for words in told:
        ended = run(*words)
        assert ended.code == 0, (words, ended.err)
        said.append(" ".join(ended.out.split()))
    return said


def test_the_first_minute(run: Run) -> None:
    added, pulled, status, info = follow(run, after("leadline", commands("The first minute")))
    assert "It tells seven entries" in PAGE
    assert "added 7" in pulled
    assert "last success" in status
    assert added
    assert info


def test_a_second_source_in_a_rehearsal(
    run: Run, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the other shell: what the stand-in prints, then what the page shows."""
    follow(run, after("leadline", commands("The first minute"))[:2])
    made, behind_s, in_the_other_shell = servers.make_mock, [60], list[str]()

    def late(name: str, entries: int) -> Any:
        mock = made(name, entries)
        mock.clock = lambda: time.time() - behind_s[0]
        return mock

    def other_shell() -> None:
        printed = capfdbinary.readouterr()[0].decode()
        for line in printed.splitlines():
            if line.startswith("  export "):
                monkeypatch.setenv(*shlex.split(line)[1].split("=", 1))
        follow(run, [shlex.split(line)[1:] for line in printed.splitlines() if line.startswith("  leadline ")])
        bank = str(Path("home/banks/rehearsal-ncmec"))
        listing, curl, pull, match = commands("Rehearse with a stand-in")[2:]
        (entry,) = run(*[word.replace("BANK", bank) for word in listing[1:]]).objects
        behind_s[0] = 30
        address = printed.splitlines()[0].rpartition(" on ")[2]
        body = curl[2].replace("KEY", entry["source_id"])
        urlopen(Request(curl[3].replace("http://127.0.0.1:PORT", address), body.encode())).close()
        behind_s[0] = 0  # the page asks for six seconds of patience
        asked = [word.replace("DIGITS", entry["fingerprints"]["md5"]).replace("BANK", bank) for word in match[1:]]
        assert run(*asked, "--json").objects[0]["matches"]
        in_the_other_shell.extend(follow(run, [pull[1:]]))
        assert not run(*asked, "--json").objects[0]["matches"]
        health, _ = follow(run, [["exchange", "status"], ["exchange", "remove", "rehearsal-ncmec"]])
        assert [f"{name}: good" in health for name in ("first", "rehearsal-ncmec")] == [True, True]

    monkeypatch.setattr(servers, "make_mock", late)
    monkeypatch.setattr(exchange_mock, "_wait", other_shell)
    monkeypatch.setenv("LEADLINE_TRACEBACK", "1")  # of the other shell, which runs inside this command
    follow(run, [commands("Rehearse with a stand-in")[0][1:]])
    assert "withdrawn 1" in in_the_other_shell[0]
    assert "`leadline exchange remove rehearsal-ncmec`" in PAGE


def test_publishing_to_another_leadline_and_reading_it(run: Run, office: Path) -> None:
    """Of the bank of the first minute, as that section says."""
    follow(run, after("leadline", commands("The first minute"))[:2])
    assert 'write `banks/first`, and put `"other"` among the `kinds`' in PAGE
    told = commands("Publishing to another Leadline")
    ((_, partners),) = (words for words in told if words[0] == "mkdir")
    make_keys, publish = after("leadline", told)
    make_card, subscribe, check, pull = after("leadline", commands("Leadline feed"))
    follow(run, [make_card, make_keys])
    card, shown = json.loads((office / "mykey/subscriber.json").read_text()), the_json("Publishing to another Leadline")
    assert {**shown, **card} == {**card, "tlp": shown["tlp"], "kinds": shown["kinds"]}, "the page shows this card"
    (office / partners).mkdir()
    card = {**shown, **card, "kinds": [*shown["kinds"], "other"]}
    (office / partners / "hotline-b.json").write_text(json.dumps(card))
    follow(run, [[word.replace("banks/known", "banks/first") for word in publish]])
    (office / "root.json").write_bytes((office / "keys/1.root.json").read_bytes())
    token = subscribe.index("--token")  # a folder needs none
    here = [{"https://lists.example/feed/known": "feed"}.get(word, word) for word in subscribe]
    said = follow(run, [here[:token] + here[token + 2 :], check, pull])
    assert "added 7" in said[-1]
