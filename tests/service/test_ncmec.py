"""A published bank read as NCMEC's protocol reads lists: documents, ranges, pages, tombstones, feedback, who may."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest
from tests.service.conftest import MD5, PDQ, SHA1, Worker

from leadline.domain import Entry, Kind, Tlp
from leadline.errors import ConfigError
from leadline.match.bank import Bank
from leadline.service.lists import Lists
from leadline.service.options import Options, Publication, read_publication
from leadline.service.serving import check_published
from leadline.service.tokens import Scope, Tokens

NAMESPACE = "{https://hashsharing.ncmec.org/hashsharing/v2}"
NOW = 1_800_000_000
BASE = "/ncmec/listed"
Open = Callable[..., "Reader"]


class Moment:
    now = float(NOW)

    def __call__(self) -> float:
        return self.now


class Reader:
    """A subscriber, who sends its token as a password, and the bank's own side beside it."""

    def __init__(self, worker: Worker, bank: Bank, moment: Moment, token: str) -> None:
        self.worker, self.bank, self.moment, self.token = worker, bank, moment, token

    def settle(self) -> None:
        self.worker.refresh()
        desk = self.worker.service.desk
        desk.publisher.submit(desk.publish).result()  # in the turn of what the worker does by itself
        assert desk.warnings == {}

    def get(self, path: str, method: str = "GET", **request: Any) -> httpx.Response:
        auth = httpx.BasicAuth("anybody", self.token)
        header = next(auth.auth_flow(httpx.Request("GET", "http://x"))).headers["authorization"]
        return self.worker.ask(method, BASE + path, token="", headers={"authorization": header}, **request)

    def page(self, path: str) -> ElementTree.Element:
        answer = self.get(path)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/xml"
        return ElementTree.fromstring(answer.content)

    def range(self, after: int = 0, until: int | None = None, more: str = "") -> ElementTree.Element:
        return self.page(f"/v2/entries?from={iso(after)}&to={iso(self.now if until is None else until)}{more}")

    @property
    def now(self) -> int:
        return int(self.moment.now)

    def later(self, seconds: int = 10) -> int:
        """The time before; then it is so much later."""
        self.moment.now += seconds
        return self.now - seconds


def iso(at: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def told(page: ElementTree.Element) -> list[tuple[str, str]]:
    """(element, id) of each entry, in order."""
    entries = [entry for group in page if group.tag in (NAMESPACE + "images", NAMESPACE + "videos") for entry in group]
    return [(entry.tag.removeprefix(NAMESPACE), entry.findtext(NAMESPACE + "id") or "") for entry in entries]


def next_of(page: ElementTree.Element) -> str | None:
    return page.findtext(f"{NAMESPACE}paging/{NAMESPACE}next")


@pytest.fixture
def open_list(tmp_path: Path, make_worker: Callable[..., Worker]) -> Open:
    """A bank `listed` of the shelf, published up to `tlp`, and a reader of it."""

    def make(*entries: Entry, tlp: Tlp = Tlp.GREEN) -> Reader:
        moment = Moment()
        bank = Bank.create(
            tmp_path / "banks" / "listed", name="listed", kind=Kind.ILLEGAL, source="Hotline <A>", clock=moment
        )
        if entries:
            bank.add(entries)
        worker = make_worker(publish=(Publication("listed", tlp),))
        worker.service.desk.publications.clock = moment
        _, text = Tokens(worker.options.state).add("hotline b", frozenset({Scope.SUBSCRIBE}), lists=("listed",))
        reader = Reader(worker, bank, moment, text)
        give_up_s = time.monotonic() + 20
        while reader.get("/v2/entries").status_code != 200 and time.monotonic() < give_up_s:
            time.sleep(0.01)
        moment.now = max(moment.now, time.time()) + 60  # whatever it told before it had this clock is the past
        return reader

    return make


def entry(number: int, **more: Any) -> Entry:
    return Entry(Kind.ILLEGAL, {"md5": number.to_bytes(16, "big")}, number, **{"tlp": Tlp.GREEN, **more})


def test_an_entry_is_written_as_clients_read_it(open_list: Open) -> None:
    prints = {"md5": bytes.fromhex(MD5), "sha1": bytes.fromhex(SHA1), "pdq": bytes.fromhex(PDQ)}
    reader = open_list(Entry(Kind.ILLEGAL, prints, 7, tlp=Tlp.GREEN, scheme="ncmec", label="A1"), tlp=Tlp.GREEN)
    answer = reader.get(f"/v2/entries?from={iso(0)}&to={iso(reader.now)}")
    at = ElementTree.fromstring(answer.content).findtext(f".//{NAMESPACE}timestamp")
    assert answer.text == (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<queryResult xmlns="https://hashsharing.ncmec.org/hashsharing/v2">'
        f'<images count="1" maxTimestamp="{at}"><image><member id="1">Hotline &lt;A&gt;</member>'
        f"<timestamp>{at}</timestamp><id>7</id><classification>A1</classification>"
        f"<fingerprints><md5>{MD5}</md5><sha1>{SHA1}</sha1><pdq>{PDQ}</pdq></fingerprints></image></images>"
        '<videos count="0"/></queryResult>\n'
    )


def test_labels_of_other_schemes_are_not_told(open_list: Open) -> None:
    reader = open_list(entry(1, scheme="uk", label="A1"))
    assert reader.range().find(f".//{NAMESPACE}classification") is None


def test_what_is_withdrawn_is_a_tombstone_in_the_next_range(open_list: Open) -> None:
    reader = open_list(entry(1), entry(2, metadata='{"type":"video"}'), entry(3))
    assert told(reader.range()) == [("image", "1"), ("image", "3"), ("video", "2")]
    first = reader.later()
    reader.bank.remove([1, 2])
    reader.settle()
    assert told(reader.range(first, reader.now)) == []
    reader.later()
    page = reader.range(first)
    assert told(page) == [("deletedImage", "1"), ("deletedVideo", "2")]
    gone = page.find(f".//{NAMESPACE}deletedImage")
    assert gone is not None
    assert [child.tag.removeprefix(NAMESPACE) for child in gone] == ["member", "timestamp", "id"]
    assert told(reader.range(reader.now - 1)) == []
    assert told(reader.range()) == [("image", "3"), ("deletedImage", "1"), ("deletedVideo", "2")]


def test_pages_keep_their_places_while_the_bank_changes(open_list: Open) -> None:
    reader = open_list(*(entry(number) for number in range(1, 2501)))
    until = reader.now
    page = reader.range(until=until)
    following = next_of(page)
    assert following == f"/v2/entries?from={iso(0)}&to={iso(until)}&start=1001&size=1000&max=2500"
    assert len(told(page)) == 1000
    reader.later()
    reader.bank.update([entry(5, scheme="ncmec", label="B1"), entry(1500, scheme="ncmec", label="B1")])
    reader.bank.remove([6, 1501])
    reader.settle()
    seen = [number for _, number in told(page)]
    while following is not None:
        page = reader.page(following)
        seen += [number for _, number in told(page)]
        following = next_of(page)
    assert sorted(map(int, seen)) == [n for n in range(1, 2501) if n not in (1500, 1501)]
    reader.later()
    assert told(reader.range(until)) == [
        ("image", "5"), ("deletedImage", "6"), ("image", "1500"), ("deletedImage", "1501"),
    ]  # fmt: skip


def test_the_next_page_is_full_where_many_rows_count_no_more(open_list: Open) -> None:
    reader = open_list(*(entry(number) for number in range(1, 1501)))
    reader.bank.update([entry(number, scheme="ncmec", label="B1") for number in range(1, 1401)])
    reader.settle()
    reader.later()
    page = reader.range(more="&size=1000")
    assert len(told(page)) == 1000
    following = next_of(page)
    assert following is not None
    last = reader.page(following)
    assert len(told(last)) == 500
    assert next_of(last) is None


def test_a_time_that_has_not_come_is_refused(open_list: Open) -> None:
    reader = open_list(entry(1))
    answer = reader.get(f"/v2/entries?from={iso(0)}&to={iso(reader.now + 60)}")
    assert (answer.status_code, answer.json()["code"]) == (422, "range")
    assert "clock" in answer.json()["detail"]


@pytest.mark.parametrize(
    "query", ["from=yesterday", "to=2026-13-01T00:00:00Z", "start=0", "size=x", "start=99999999999999"]
)
def test_a_query_that_cannot_be_read_names_its_field(open_list: Open, query: str) -> None:
    answer = open_list().get(f"/v2/entries?{query}")
    assert answer.status_code == 422
    assert query.partition("=")[0] in answer.json()["detail"]


def test_red_never_leaves_and_stricter_than_agreed_stays(open_list: Open) -> None:
    reader = open_list(*(entry(number, tlp=tlp) for number, tlp in enumerate(Tlp, 1)), tlp=Tlp.AMBER)
    labels = list(Tlp)
    assert {labels[int(number) - 1] for _, number in told(reader.range())} == {Tlp.AMBER, Tlp.GREEN, Tlp.CLEAR}


def test_what_turned_red_since_it_was_told_is_passed_over_at_once(open_list: Open) -> None:
    reader = open_list(entry(1), entry(2))
    reader.bank.update([entry(1, tlp=Tlp.RED)])
    reader.worker.refresh()
    assert "1" not in [number for tag, number in told(reader.range()) if tag == "image"]


def test_status_and_members_name_the_asker_and_the_publisher(open_list: Open) -> None:
    reader = open_list()
    status = reader.page("/v2/status")
    assert [child.tag.removeprefix(NAMESPACE) for child in status] == ["ipAddress", "username", "member"]
    asker, (publisher, same) = status[2], reader.page("/v2/members")
    assert (asker.text, publisher.text, publisher.get("id")) == ("hotline b", "Hotline <A>", "1")
    assert (same.text, same.get("id")) == (asker.text, asker.get("id"))
    assert int(asker.get("id") or 0) > 1


def affirm(inner: str = "<affirmative/>") -> bytes:
    space = "https://hashsharing.ncmec.org/hashsharing/v2"
    return f'<feedbackSubmission xmlns="{space}">{inner}</feedbackSubmission>'.encode()


def test_feedback_is_kept_and_told_back_to_who_gave_it(open_list: Open) -> None:
    reader = open_list(Entry(Kind.ILLEGAL, {"md5": bytes.fromhex(MD5), "pdq": bytes.fromhex(PDQ)}, 7, tlp=Tlp.GREEN))
    reasons = reader.page("/v2/feedback/PDQ/reasons")
    assert reasons.tag == NAMESPACE + "availableFeedbackReasons"
    guid = reasons[0].get("guid")
    negative = affirm(f"<negative><reasonIds><guid>{guid}</guid></reasonIds></negative>")
    assert reader.get("/v2/entries/1/7/MD5/feedback", "PUT", content=affirm()).status_code == 204
    assert reader.get("/v2/entries/1/7/PDQ/feedback", "PUT", content=negative).status_code == 204
    said = reader.range().find(f".//{NAMESPACE}feedback")
    assert said is not None
    assert [(one.tag.removeprefix(NAMESPACE), one.get("type")) for one in said] == [
        ("affirmativeFeedback", "Md5"), ("negativeFeedback", "Pdq"),
    ]  # fmt: skip
    reason, members = said[1][0]
    assert (reason.get("guid"), members[0].text) == (guid, "hotline b")
    lines = (reader.bank.path / "subscribers.jsonl").read_text()
    assert lines.count('"act":"feedback"') == 2
    assert MD5 not in lines


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v2/entries/1/8/MD5/feedback", affirm(), 404),
        ("/v2/entries/2/1/MD5/feedback", affirm(), 404),
        ("/v2/entries/1/1/PDQ/feedback", affirm(), 404),
        ("/v2/entries/1/99999999999999999999/MD5/feedback", affirm(), 404),
        ("/v2/entries/1/1/MD4/feedback", affirm(), 422),
        ("/v2/entries/1/1/MD5/feedback", b"", 400),
        ("/v2/entries/1/1/MD5/feedback", b"<a>", 400),
        ("/v2/entries/1/1/MD5/feedback", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', 400),
        ("/v2/entries/1/1/MD5/feedback", affirm("<negative/>"), 422),
        ("/v2/entries/1/1/MD5/feedback", affirm("<affirmative/><affirmative/>"), 422),
        ("/v2/entries/1/1/MD5/feedback", affirm("<negative><reasonIds><guid>x</guid></reasonIds></negative>"), 422),
        ("/v2/entries/1/1/MD5/feedback", affirm(" " * 20_000), 413),
    ],
)
def test_feedback_that_is_none_is_refused_and_not_kept(open_list: Open, path: str, body: bytes, status: int) -> None:
    reader = open_list(entry(1))
    assert reader.get(path, "PUT", content=body).status_code == status
    kept = reader.bank.path / "subscribers.jsonl"
    assert not kept.exists() or "feedback" not in kept.read_text()


def test_who_may_not_read_it_hears_that_it_is_not_there(open_list: Open) -> None:
    reader = open_list(entry(1))
    tokens = Tokens(reader.worker.options.state)
    for scopes, lists, path, status in [
        ({Scope.MATCH}, (), BASE, 403),
        ({Scope.SUBSCRIBE}, (), BASE, 404),
        ({Scope.SUBSCRIBE}, ("known", "listed"), "/ncmec/known", 404),
        ({Scope.SUBSCRIBE}, ("known", "listed"), "/ncmec/none", 404),
        ({Scope.SUBSCRIBE}, ("known", "listed"), BASE, 200),
    ]:
        _, text = tokens.add("other", frozenset(scopes), lists=lists)
        reader.worker.service._guard._tokens._looked_s = 0.0
        answer = reader.worker.ask("GET", f"{path}/v2/status", token=text)
        assert answer.status_code == status, (scopes, lists, path)


@pytest.mark.parametrize("header", ["", "Basic !!", "Basic YWJj", "Basic YTpsbHRfYQ==", "Digest x"])
def test_none_or_a_wrong_password_is_told_how_to_come_in(open_list: Open, header: str) -> None:
    reader = open_list()
    sent = {"authorization": header} if header else {}
    answer = reader.worker.ask("GET", f"{BASE}/v2/status", token="", headers=sent)
    assert answer.status_code == 401
    assert "Basic" in answer.headers["www-authenticate"]


def test_a_password_opens_these_addresses_only(open_list: Open) -> None:
    reader = open_list()
    header = next(httpx.BasicAuth("x", reader.worker.token).auth_flow(httpx.Request("GET", "http://x"))).headers
    answer = reader.worker.ask("GET", "/v1/banks", token="", headers={"authorization": header["authorization"]})
    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("known", Publication("known", Tlp.GREEN)),
        ("known=clear", Publication("known", Tlp.CLEAR)),
        ("a=b=AMBER+STRICT", Publication("a=b", Tlp.AMBER_STRICT)),
    ],
)
def test_a_publication_is_a_bank_and_a_label(text: str, read: Publication) -> None:
    assert read_publication(text) == read


@pytest.mark.parametrize("text", ["known=red", "known=", "known=blue"])
def test_no_other_label_can_be_agreed(text: str) -> None:
    with pytest.raises(ConfigError, match="label"):
        read_publication(text)


def test_a_bank_that_is_not_there_cannot_be_published(shelf: Path) -> None:
    lists = Lists((), shelf=shelf)
    check_published(Options(publish=(Publication("known"),)), lists)
    with pytest.raises(ConfigError, match="twice"):
        check_published(Options(publish=(Publication("known"), Publication("known", Tlp.CLEAR))), lists)
