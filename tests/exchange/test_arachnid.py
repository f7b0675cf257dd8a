"""Project Arachnid Shield against its stand-in: what is asked, what leaves, what an answer is taken for."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
from typing import Any, ClassVar

import pytest
from tests.contracts.connector import Given, LookUpConnectorContract

from leadline.domain import Fingerprints, PdqFamily, ViewHashes
from leadline.errors import ConfigError, SourceBroken, UrlFormatError
from leadline.exchange.arachnid import ArachnidShield
from leadline.exchange.connector import Found
from leadline.exchange.mock.arachnid import ArachnidMock
from leadline.exchange.mock.base import PASSWORD, USER, Mock, json_reply

MEDIA = b"bytes that stand for a file"
PAGE = "https://example.org/page"


def picture(*hashes: bytes, quality: int = 90) -> Fingerprints:
    view = ViewHashes("picture", PdqFamily.B, hashes, quality, 512, 512)
    return Fingerprints({"sha256": hashlib.sha256(MEDIA).digest()}, (view,))


class TestArachnidShield(LookUpConnectorContract):
    connector = ArachnidShield
    secrets: ClassVar = {"user": USER, "password": PASSWORD}

    def make_mock(self) -> ArachnidMock:
        return ArachnidMock(entries=10)

    def options(self, address: str) -> dict[str, Any]:
        return {"address": address}

    def known(self, mock: Mock) -> Fingerprints:
        assert isinstance(mock, ArachnidMock)
        return picture(mock.hash(4))

    def unknown(self, mock: Mock) -> Fingerprints:
        assert isinstance(mock, ArachnidMock)
        return picture(mock.hash(5))

    @pytest.fixture
    def shield(self, mock: Mock) -> ArachnidMock:
        assert isinstance(mock, ArachnidMock)
        return mock

    def test_only_pdq_hashes_leave_each_once(self, given: Given, shield: ArachnidMock) -> None:
        one, two = shield.hash(4), shield.hash(5)
        with contextlib.closing(given.connector()) as connector:
            connector.look_up([picture(one), picture(two), picture(one)])
        (asked,) = shield.asked
        assert asked.path == "/v1/pdq/"
        assert json.loads(asked.body) == {"hashes": [base64.b64encode(one).decode(), base64.b64encode(two).decode()]}

    def test_an_answer_is_told_in_the_words_of_the_service(self, given: Given, shield: ArachnidMock) -> None:
        with contextlib.closing(given.connector()) as connector:
            near, grave = connector.look_up([picture(shield.hash(2)), picture(shield.hash(4))])
        assert (near.classification, grave.classification) == ("harmful-abusive-material", "csam")
        assert not near.is_exact
        assert near.details["match_type"] == "near"
        assert near.details["sha256_hex"] == hashlib.sha256(shield.hash(2)).hexdigest().upper()

    def test_a_word_that_nobody_here_knows_is_a_match(self, given: Given, shield: ArachnidMock) -> None:
        shield.labels[shield.hash(5)] = "a-new-word"
        with contextlib.closing(given.connector()) as connector:
            (found,) = connector.look_up([picture(shield.hash(5))])
        assert (found.is_known, found.classification) == (True, "a-new-word")

    def test_of_several_hashes_of_a_file_the_gravest_answer_counts(self, given: Given, shield: ArachnidMock) -> None:
        shield.labels[shield.hash(5)] = "a-new-word"
        turned = picture(shield.hash(7), shield.hash(2), shield.hash(4), shield.hash(5))
        with contextlib.closing(given.connector(transforms=True)) as connector:
            (found,) = connector.look_up([turned])
        assert found.classification == "csam"

    def test_turned_pictures_are_asked_about_where_that_is_switched_on(
        self, given: Given, shield: ArachnidMock
    ) -> None:
        turned = picture(shield.hash(5), shield.hash(4))
        for transforms, is_known in ((False, False), (True, True)):
            with contextlib.closing(given.connector(transforms=transforms)) as connector:
                (found,) = connector.look_up([turned])
            assert found.is_known is is_known

    @pytest.mark.parametrize("quality", [49, 0])
    def test_a_hash_that_says_little_is_not_asked_about_and_its_answer_says_so(
        self, given: Given, shield: ArachnidMock, quality: int
    ) -> None:
        with contextlib.closing(given.connector()) as connector:
            found = connector.look_up([picture(shield.hash(4), quality=quality), Fingerprints({"md5": b"0" * 16})])
        assert found == [Found(False, details={"asked": "no"})] * 2
        assert not shield.asked

    def test_many_hashes_are_asked_about_in_batches(self, given: Given, shield: ArachnidMock) -> None:
        with contextlib.closing(given.connector(batch=3)) as connector:
            found = connector.look_up([picture(shield.hash(number)) for number in range(8)])
        assert [one.is_known for one in found] == [True, False] * 4
        assert [len(json.loads(one.body)["hashes"]) for one in shield.asked] == [3, 3, 2]

    @pytest.mark.parametrize("option", ["send_urls", "send_media"])
    def test_neither_address_nor_file_leaves_unless_it_is_switched_on(
        self, given: Given, shield: ArachnidMock, option: str
    ) -> None:
        others = {"send_urls": option != "send_urls", "send_media": option != "send_media"}
        with contextlib.closing(given.connector(**others)) as connector:
            urls, media = (connector.look_up_url, PAGE), (connector.look_up_media, MEDIA, "image/png")
            look_up, *told = urls if option == "send_urls" else media
            with pytest.raises(ConfigError) as caught:
                look_up(*told)
        assert option in caught.value.mend
        assert not shield.asked

    def test_a_file_is_asked_about_where_that_is_switched_on(self, given: Given, shield: ArachnidMock) -> None:
        shield.media[hashlib.sha256(MEDIA).hexdigest()] = "csam"
        with contextlib.closing(given.connector(send_media=True)) as connector:
            found = connector.look_up_media(MEDIA, "image/png")
            other = connector.look_up_media(MEDIA[1:], "image/png")
        assert (found.is_known, found.is_exact, found.classification) == (True, True, "csam")
        assert not other.is_known
        assert shield.asked[0].headers["content-type"] == "image/png"

    def test_an_address_is_asked_about_where_that_is_switched_on(self, given: Given, shield: ArachnidMock) -> None:
        shield.urls[PAGE] = "harmful-abusive-material"
        with contextlib.closing(given.connector(send_urls=True)) as connector:
            assert connector.look_up_url(PAGE).is_known
            assert not connector.look_up_url(f"{PAGE}/2").is_known
            with pytest.raises(UrlFormatError):
                connector.look_up_url("file:///etc/hostname")
        assert len(shield.asked) == 2

    @pytest.mark.parametrize(
        "answer",
        [
            {},
            {"scanned_hashes": {}},
            {"scanned_hashes": []},
            {"scanned_hashes": {"HASH": "csam"}},
            {"scanned_hashes": {"HASH": {}}},
            {"scanned_hashes": {"HASH": {"classification": ""}}},
            {"scanned_hashes": {"HASH": {"classification": 1}}},
        ],
    )
    def test_an_answer_that_says_nothing_is_never_taken_for_an_unknown_file(
        self, given: Given, shield: ArachnidMock, monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any]
    ) -> None:
        text = json.dumps(answer).replace("HASH", base64.b64encode(shield.hash(4)).decode())
        monkeypatch.setattr(shield, "answer", lambda asked: json_reply(json.loads(text)))
        with contextlib.closing(given.connector()) as connector, pytest.raises(SourceBroken):
            connector.look_up([picture(shield.hash(4))])

    @pytest.mark.parametrize("answer", [None, {"classification": None, "match_type": None}])
    def test_null_is_no_match(
        self, given: Given, shield: ArachnidMock, monkeypatch: pytest.MonkeyPatch, answer: object
    ) -> None:
        told = {"scanned_hashes": {base64.b64encode(shield.hash(4)).decode(): answer}}
        monkeypatch.setattr(shield, "answer", lambda asked: json_reply(told))
        with contextlib.closing(given.connector()) as connector:
            assert connector.look_up([picture(shield.hash(4))]) == [Found(is_known=False)]
