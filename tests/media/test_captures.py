"""Web captures give up what was stored in them, undone from how it was carried; damaged ones get an honest answer."""

from __future__ import annotations

import base64
import gzip
import io
import json
import random
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import brotli
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.media.foreign import files, har, har_entry, http, open_members, pack_records, record
from tests.media.test_archives import zipped
from warcio.archiveiterator import ArchiveIterator
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from leadline.media.client import Sandbox
from leadline.media.limits import MIB, Limits
from leadline.media.transfer import zstd

PICTURE = b"\xff\xd8\xff\xe0" + random.Random(5).randbytes(9000)
URL = "http://example.org/a.jpg"
INFO = record("warcinfo", "", b"software: x\r\n", mime="application/warc-fields")
ANSWER = record("response", URL, http(PICTURE, "Content-Type: image/jpeg"), "WARC-Payload-Digest: sha1:ABC")


def deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


def chunked(data: bytes, size: int = 1000) -> bytes:
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    return b"".join(b"%x;ext=1\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


# --- WARC ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pack", [lambda *r: b"".join(r), pack_records, lambda *r: gzip.compress(b"".join(r))])
def test_a_warc_gives_what_each_address_answered(sandbox: Sandbox, pack: object) -> None:
    told, end = open_members(sandbox, pack(INFO, ANSWER))  # type: ignore[operator]
    assert end == ""
    (info, _), (answer, data) = told
    assert info.facts["warc_type"] == "warcinfo"
    assert (answer.name, data) == (URL.encode(), PICTURE)
    assert {name: value for name, value in answer.facts.items() if name != "record_id"} == {
        "format": "warc",
        "url": URL,
        "mime": "image/jpeg",
        "time": "2024-01-01T10:00:00Z",
        "direction": "response",
        "http_status": "200",
        "warc_type": "response",
        "payload_digest": "sha1:ABC",
    }


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # warcio leaves its own files open
@pytest.mark.parametrize("is_packed", [False, True])
def test_it_reads_what_warcio_writes_and_sees_what_warcio_sees(sandbox: Sandbox, is_packed: bool) -> None:
    stream = io.BytesIO()
    writer = WARCWriter(stream, gzip=is_packed, warc_version="1.0")
    bodies = {f"http://example.org/{number}": random.Random(number).randbytes(number * 999) for number in range(1, 9)}
    for url, body in bodies.items():
        fields = [("Content-Type", "image/png"), ("Transfer-Encoding", "chunked"), ("Content-Encoding", "gzip")]
        header = StatusAndHeaders("200 OK", fields, protocol="HTTP/1.1")
        payload = io.BytesIO(chunked(gzip.compress(body)))
        writer.write_record(writer.create_warc_record(url, "response", payload=payload, http_headers=header))
    told, end = open_members(sandbox, stream.getvalue())
    stream.seek(0)
    theirs = {
        one.rec_headers.get_header("WARC-Target-URI").encode(): one.content_stream().read()
        for one in ArchiveIterator(stream)
    }
    assert files(told) == theirs == {url.encode(): body for url, body in bodies.items()}
    assert end == ""


CODINGS = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "deflate without its header": deflated,
    "br": brotli.compress,
    "zstd": zstd.compress,
}


@pytest.mark.parametrize("is_chunked", [False, True])
@pytest.mark.parametrize("coding", CODINGS)
def test_a_picture_is_given_as_it_was_before_it_was_carried(sandbox: Sandbox, coding: str, is_chunked: bool) -> None:
    body = CODINGS[coding](PICTURE)
    fields = [f"Content-Encoding: {coding.partition(' ')[0]}"]
    if is_chunked:
        body, fields = chunked(body), [*fields, "Transfer-Encoding: chunked"]
    told, end = open_members(sandbox, record("response", URL, http(body, *fields)))
    assert (files(told), end) == ({URL.encode(): PICTURE}, "")


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "x-none", "gzip, br"])
def test_a_header_that_outlived_its_coding_does_no_harm(sandbox: Sandbox, coding: str) -> None:
    """Recorders keep the header and store the body undone."""
    fields = (f"Content-Encoding: {coding}", "Transfer-Encoding: chunked")
    told, end = open_members(sandbox, record("response", URL, http(PICTURE, *fields)))
    assert (files(told), end) == ({URL.encode(): PICTURE}, "")


def test_questions_without_content_are_passed_over_and_others_are_not(sandbox: Sandbox) -> None:
    asked = record("request", URL, b"GET /a.jpg HTTP/1.1\r\nHost: example.org\r\n\r\n")
    sent = record("request", URL, b"POST /a HTTP/1.1\r\nContent-Type: image/jpeg\r\n\r\n" + PICTURE)
    told, end = open_members(sandbox, asked + sent)
    assert [(m.facts["method"], m.facts["direction"], data) for m, data in told] == [("POST", "request", PICTURE)]
    assert end == ""


def test_a_revisit_is_told_as_absent_with_what_it_refers_to(sandbox: Sandbox) -> None:
    refers = "WARC-Refers-To-Target-URI: http://example.org/b"
    again = record("revisit", URL, http(b""), refers, mime="application/http")
    ((member, reason),), end = open_members(sandbox, again)
    assert (member.kind, reason, member.facts["refers_to"], end) == ("skipped", "absent", "http://example.org/b", "")


def test_resources_and_records_of_other_kinds_are_given_as_they_are(sandbox: Sandbox) -> None:
    found = record("resource", "file:///a.jpg", PICTURE, mime="image/jpeg")
    odd = record("x-kind", "urn:x", b"block", mime="x/y")
    told, end = open_members(sandbox, found + odd)
    assert (files(told), end) == ({b"file:///a.jpg": PICTURE, b"urn:x": b"block"}, "")


@pytest.mark.parametrize("length", [0, 40, len(PICTURE), 10**6, 10**15 - 1])
def test_a_wrong_length_does_not_hide_the_records_behind_it(sandbox: Sandbox, length: int) -> None:
    liar = record("response", "http://example.org/liar", http(PICTURE), length=length)
    told, end = open_members(sandbox, INFO + liar + ANSWER)
    assert files(told)[URL.encode()] == PICTURE
    assert end in ("undecodable", "truncated")


@pytest.mark.parametrize("length", ["", "x", "-1", "1" * 5000, "٣"])
def test_a_length_that_is_none_is_told(sandbox: Sandbox, length: str) -> None:
    block = f"WARC/1.0\r\nWARC-Type: resource\r\nContent-Length: {length}\r\n\r\n".encode() + b"block\r\n\r\n"
    told, end = open_members(sandbox, block + ANSWER)
    assert (list(files(told)), end) == ([URL.encode()], "undecodable")


def test_a_damaged_record_does_not_hide_the_next(sandbox: Sandbox) -> None:
    records = [gzip.compress(record("resource", f"urn:{n}", random.Random(n).randbytes(5000))) for n in range(3)]
    records[1] = records[1][:900] + bytes(300) + records[1][1200:]
    told, end = open_members(sandbox, b"".join(records))
    found = files(told)
    assert len(found[b"urn:0"]) == len(found[b"urn:2"]) == 5000
    assert "then undecodable" in str(found[b"urn:1"])
    assert end in ("undecodable", "truncated")


def test_rubbish_between_records_is_passed_over_and_told(sandbox: Sandbox) -> None:
    for data in (ANSWER + b"rubbish\r\n" * 99 + INFO, pack_records(ANSWER) + b"rubbish" * 99 + pack_records(INFO)):
        told, end = open_members(sandbox, data)
        assert (len(told), end) == (2, "undecodable")


@pytest.mark.parametrize("is_packed", [False, True])
def test_a_warc_cut_anywhere_gives_what_was_there_and_says_so(sandbox: Sandbox, is_packed: bool) -> None:
    small = record("response", URL, http(chunked(gzip.compress(PICTURE[:300])), "Transfer-Encoding: chunked"))
    parts = [INFO, record("resource", "urn:b", PICTURE[:500]), small]
    parts = [pack_records(one) for one in parts] if is_packed else parts
    data = b"".join(parts)
    whole, _ = open_members(sandbox, data)
    ends_well = {len(parts[0]), len(parts[0] + parts[1])}
    for cut in range(30, len(data) - 10, 11):
        told, end = open_members(sandbox, data[:cut], "application/warc")
        assert end in ("truncated", "undecodable") or {cut, cut + 1, cut + 2, cut + 3, cut + 4} & ends_well
        for (_, content), (_, wanted) in zip(told[:-1], whole, strict=False):
            assert content == wanted


def test_any_damage_to_a_capture_gets_an_answer(sandbox: Sandbox) -> None:
    chance = random.Random(9)
    ends = set()
    for data in (INFO + ANSWER * 3, pack_records(INFO, ANSWER, ANSWER), har(har_entry(URL, PICTURE[:900]))):
        for _ in range(40):
            damaged = bytearray(data)
            for _ in range(chance.randint(1, 8)):
                damaged[chance.randrange(len(damaged))] = chance.choice((0, 10, 31, 139, chance.randrange(256)))
            ends.add(open_members(sandbox, bytes(damaged))[1])
    assert ends <= {"", "truncated", "undecodable", "unsupported"}


@given(st.binary(max_size=300))
@settings(max_examples=40, deadline=None)
def test_any_bytes_called_a_capture_get_an_answer(sandbox: Sandbox, data: bytes) -> None:
    for head in (b"", b"WARC/1.0\r\n", b"{"):
        mime = "application/har+json" if head == b"{" else "application/warc"
        _, end = open_members(sandbox, head + (data or b"x"), mime)
        assert end in ("", "truncated", "undecodable", "unsupported")


@pytest.fixture(scope="module")
def narrow() -> object:
    limits = Limits(
        max_file_bytes=32 * MIB, max_pixels=100_000, memory_bytes=512 * MIB, max_members=500, max_member_bytes=20 * MIB,
        timeout_s=10.0,
    )  # fmt: skip
    with Sandbox(limits) as started:
        yield started


def test_bombs_in_records_are_stopped(narrow: Sandbox) -> None:
    zeros = bytes(30 * MIB)
    for data in (
        pack_records(record("resource", "urn:bomb", zeros)),
        record("response", URL, http(gzip.compress(zeros), "Content-Encoding: gzip")),
        record("response", URL, http(brotli.compress(zeros), "Content-Encoding: br")),
        pack_records(record("response", URL, http(gzip.compress(zeros), "Content-Encoding: gzip"))),
    ):
        told, end = open_members(narrow, data)
        assert "ratio-exceeded" in (end, *str(told[0][1]).split()) or "too-large" in str(told)
        assert len(told) == 1


def test_bombs_around_records_are_stopped(narrow: Sandbox) -> None:
    between = gzip.compress(INFO + b"rubbish\r\n" * (4 * MIB))
    headers = gzip.compress(b"WARC/1.0\r\n" + b"X: y\r\n" * (8 * MIB))
    told, end = open_members(narrow, between)
    assert (len(told), end) == (1, "ratio-exceeded")
    assert open_members(narrow, headers) == ([], "too-large")


def test_records_without_end_stop_at_the_limit(narrow: Sandbox) -> None:
    told, end = open_members(narrow, INFO * 600)
    assert (len(told), end) == (500, "too-many-members")


def test_records_that_claim_one_another_end(narrow: Sandbox) -> None:
    """Each claims to hold all that follows: it is read again and again, within the limit on bytes in all."""
    data = b"".join(record("resource", f"urn:{n}", b"", length=10**9) for n in range(3000))
    _, end = open_members(narrow, data)
    assert end in ("too-many-members", "ratio-exceeded", "truncated")


def test_names_of_records_lead_nowhere(sandbox: Sandbox, tmp_path: Path) -> None:
    urls = ["../../etc/passwd", "http://example.org/\0", "file:///etc/passwd", "http://example.org/\x1b[3m", "x" * 9000]
    told, _ = open_members(sandbox, b"".join(record("resource", url, b"data") for url in urls))
    assert [content for _, content in told] == [b"data"] * 5
    assert told[1][0].name == b"http://example.org/\0"
    assert told[1][0].facts["url"] == "http://example.org/\ufffd"
    assert "url" in told[4][0].facts["cut"]
    assert list(tmp_path.iterdir()) == []


# --- WACZ ------------------------------------------------------------------------------------------------------------


def test_a_wacz_gives_its_captures_to_be_opened_again(sandbox: Sandbox) -> None:
    page = json.dumps({"format": "json-pages-1.0", "id": "pages"}).encode()
    members = {
        "datapackage.json": b"{}",
        "archive/data.warc.gz": pack_records(INFO, ANSWER),
        "pages/pages.jsonl": page,
        "indexes/index.cdx.gz": gzip.compress(b"x"),
    }
    told, end = open_members(sandbox, zipped(members, zipfile.ZIP_STORED))
    assert end == ""
    again, end = open_members(sandbox, files(told)[b"archive/data.warc.gz"])  # type: ignore[arg-type]
    assert (files(again)[URL.encode()], end) == (PICTURE, "")


# --- HAR -------------------------------------------------------------------------------------------------------------


def test_a_har_gives_what_was_sent_and_what_came_back(sandbox: Sandbox) -> None:
    sent = {"method": "POST", "postData": {"mimeType": "text/plain", "text": "q=é"}}
    told, end = open_members(
        sandbox, har(har_entry(URL, PICTURE), har_entry("http://example.org/", "<p>é", "text/html", **sent))
    )
    assert end == ""
    assert [(m.facts["direction"], m.facts["method"], content) for m, content in told] == [
        ("response", "GET", PICTURE),
        ("request", "POST", "q=é".encode()),
        ("response", "POST", "<p>é".encode()),
    ]
    assert told[0][0].facts == {
        "format": "har",
        "url": URL,
        "mime": "image/jpeg",
        "time": "2024-01-01T10:00:00.000Z",
        "direction": "response",
        "method": "GET",
        "http_status": "200",
        "ip_address": "192.0.2.1",
    }


def test_an_answer_kept_empty_is_told_as_absent(sandbox: Sandbox) -> None:
    told, end = open_members(sandbox, har(har_entry(URL, None)))
    assert ([(m.name, why) for m, why in told], end) == ([(URL.encode(), "absent")], "")


def test_keys_in_any_order_and_keys_that_come_twice_hide_nothing(sandbox: Sandbox) -> None:
    one, two = (base64.b64encode(data).decode() for data in (b"first", b"second"))
    data = '{"log": {"entries": [{"response": {"content": {"encoding": "base64", "text": "ONE", "text": "TWO"}},'
    data += '"request": {"url": "http://example.org/"}}], "entries": [{"response": {"content": {"text": "third"}}}],'
    data = (data + '"version": "1.2"}}').replace("ONE", one).replace("TWO", two)
    told, end = open_members(sandbox, data.encode())
    assert ([content for _, content in told], end) == ([b"first", b"second", b"third"], "")


def test_a_key_that_looks_like_a_place_is_none(sandbox: Sandbox) -> None:
    data = b'{"log.entries": [{"response.content.text": "x"}], "log": {"version": "1", "entries": []}}'
    assert open_members(sandbox, data, "application/har+json") == ([], "")


def test_an_address_that_is_itself_a_picture_does_no_harm(sandbox: Sandbox) -> None:
    url = "data:image/jpeg;base64," + "A" * 100_000
    ((member, content),), end = open_members(sandbox, har(har_entry(url, PICTURE)))
    assert (content, end) == (PICTURE, "")
    assert (member.name, member.facts["cut"]) == (url[:2048].encode(), "url")


def test_a_claimed_size_is_not_believed(sandbox: Sandbox) -> None:
    entry = har_entry(URL, PICTURE)
    entry["response"]["content"]["size"] = 1 << 30
    told, end = open_members(sandbox, har(entry))
    assert (files(told), end) == ({URL.encode(): PICTURE}, "")


def test_content_larger_than_it_may_be_is_told_and_the_next_is_read(narrow: Sandbox) -> None:
    told, end = open_members(narrow, har(har_entry("urn:large", bytes(21 * MIB)), har_entry(URL, PICTURE)))
    assert (files(told), end) == ({b"urn:large": "too-large", URL.encode(): PICTURE}, "")


def test_a_large_har_is_never_held_as_a_whole() -> None:
    """A hundred entries of a megabyte each, in a child that may take 64 MiB."""
    limits = Limits(max_file_bytes=256 * MIB, max_pixels=100_000, memory_bytes=64 * MIB)
    data = har(*[har_entry(f"urn:{number}", bytes(MIB)) for number in range(100)])
    with Sandbox(limits) as sandbox:
        told, end = open_members(sandbox, data)
    assert (len(told), end) == (100, "")


def test_nesting_without_end_is_followed_only_so_far(sandbox: Sandbox) -> None:
    deep = b'{"log":{"version":"1.2","comment":' + b'{"a":[' * 100_000 + b"]}" * 100_000
    entry = json.dumps(har_entry(URL, PICTURE)).encode()
    told, end = open_members(sandbox, deep + b',"entries":[' + entry + b"]}}")
    assert (files(told), end) == ({URL.encode(): PICTURE}, "")
    _, end = open_members(sandbox, b'{"log":{"entries":' + b"[" * 1_000_000, "application/har+json")
    assert end in ("truncated", "undecodable")


def test_a_har_cut_anywhere_gives_what_was_there_and_says_so(sandbox: Sandbox) -> None:
    data = har(har_entry("urn:1", PICTURE[:200]), har_entry("urn:2", PICTURE[:200]), har_entry("urn:3", "text"))
    whole, _ = open_members(sandbox, data)
    for cut in range(2, len(data), 9):
        told, end = open_members(sandbox, data[:cut], "application/har+json")
        assert end in ("truncated", "undecodable")  # undecodable: cut within "true" or a number
        for (_, content), (_, wanted) in zip(told, whole, strict=False):
            assert content == wanted


@pytest.mark.parametrize(
    ("data", "end"),
    [
        (b'{"log": {"version": "1.2", "entries": []}}', ""),
        (b'{"log": {"version": "1.2"}}', "unsupported"),
        (b'{"log": {"version": "1.2", "entries": [{"request": 3, "response": [1, {"content": null}]}, 7, null]}}', ""),
        (b'{"log": {"version": "1.2", "entries": [{"response": {"content": {"text": 3, "encoding": {}}}}]}}', ""),
        (b'{"log": {"version": NaN}}', "undecodable"),
        (b'{"log": {"version": "\xff"}}', "undecodable"),
        (b"\xef\xbb\xbf" + b'{"log": {"version": "1.2", "entries": []}}', ""),
        (b'{"log": {"version": 1' + b"1" * 100_000 + b"}}", "undecodable"),
    ],
)
def test_odd_json_gets_an_answer(sandbox: Sandbox, data: bytes, end: str) -> None:
    assert open_members(sandbox, data)[1] == end


def test_the_parent_holds_no_more_than_a_piece(sandbox: Sandbox) -> None:
    data = har(*[har_entry("urn:x", bytes(2 * MIB))] * 8)
    sandbox.input_buffer(len(data))[:] = data
    tracemalloc.start()
    total = sum(len(c) for m in sandbox.members(len(data), from_fd=False) for c in m.chunks())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == 16 * MIB
    assert peak < 2 * MIB
