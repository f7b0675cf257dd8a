"""The ways that are made short for speed answer as the long ones do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.service.conftest import MD5, PDQ, SHA1, SHA256, Worker

from leadline.client import packed
from leadline.domain import Entry, Kind
from leadline.match.bank import Bank
from leadline.service.tokens import Scope

NEAR, FAR = "c2" + PDQ[2:], "5" * 64
PICTURES = (PDQ, NEAR, FAR, SHA256)
HASHES = (MD5, SHA1, *PICTURES, "0" * 32)


@pytest.fixture(params=[(), (Scope.MATCH,)], ids=["details", "no details"])
def asked(request: pytest.FixtureRequest, make_worker: Callable[..., Worker], shelf: Path) -> Worker:
    """With a false positive, so that marks are there to be told."""
    cleared = Bank.create(shelf / "cleared", name="cleared", kind=Kind.FALSE_POSITIVE)
    cleared.add([Entry(Kind.FALSE_POSITIVE, {"pdq": bytes.fromhex(PDQ)}, 3, radius_bits=4)])
    return make_worker(*request.param)


def match(worker: Worker, *hashes: Any, **more: Any) -> list[Any]:
    answer = worker.ask("POST", "/v1/match", json={"hashes": hashes, **more})
    assert answer.status_code == 200, answer.text
    return list(answer.json()["answers"])


def test_one_hash_alone_is_answered_as_among_few_and_among_many(asked: Worker) -> None:
    alone = [match(asked, text)[0] for text in HASHES]
    assert [bool(answer["matches"]) for answer in alone] == [True, True, True, True, False, True, False]
    assert match(asked, *HASHES) == alone
    assert match(asked, *HASHES * 20) == alone * 20  # in a thread
    assert match(asked, *HASHES, banks=["cleared", "harmless", "known"]) == alone
    assert [match(asked, text.upper())[0] for text in HASHES] == alone


def test_the_packed_form_tells_what_json_tells(asked: Worker) -> None:
    rows = np.frombuffer(bytes.fromhex("".join(PICTURES)), np.uint8).reshape(-1, 32)
    headers = {"content-type": packed.REQUEST_TYPE}
    answer = asked.ask("POST", "/v1/match", content=packed.encode_request("", rows), headers=headers)
    told = packed.decode_answer(answer.content)
    kinds = list(Kind)
    by_packed: list[list[Any]] = [[] for _ in PICTURES]
    for row in told.matches:
        found = (told.banks[row["bank"]][0], str(kinds[row["kind"]]), bool(row["flags"] & packed.SUPPRESSED))
        if found not in by_packed[row["hash"]]:
            by_packed[row["hash"]].append(found)
    by_json: list[list[Any]] = [[] for _ in PICTURES]
    for number, one in enumerate(match(asked, *PICTURES)):
        for met in one["matches"]:
            found = (met["bank"], met["kind"], bool(met.get("suppressed", met.get("suppressed_by"))))
            if found not in by_json[number]:
                by_json[number].append(found)
    assert by_packed == by_json
    assert by_json[0]


def test_hmas_look_up_meets_what_our_own_meets(asked: Worker) -> None:
    for text, signal_type in ((MD5, "video_md5"), (SHA1, "sha1"), (SHA256, "sha256"), *((p, "pdq") for p in PICTURES)):
        algorithm = signal_type.removeprefix("video_")
        told = asked.ask("GET", "/m/lookup", params={"signal": text, "signal_type": signal_type}).json()
        ours = match(asked, f"{algorithm}:{text}")[0]["matches"]
        marked = {met["bank"]: bool(met.get("suppressed", met.get("suppressed_by"))) for met in ours}
        assert {bank: contents[0].get("suppressed", False) for bank, contents in told.items()} == marked
        if ours and "distance" in ours[0]:
            distances = {met["bank"]: str(met["distance"]) if algorithm == "pdq" else "-" for met in ours}
            assert {bank: contents[0]["distance"] for bank, contents in told.items()} == distances
