"""Mails and saved pages give up their parts, byte for byte, and hostile ones get an honest answer."""

from __future__ import annotations

import base64
import email
import email.policy
import quopri
import random
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.media.foreign import HEAD, attached, crlf, files, mail, mhtml, multipart, open_members
from tests.media.test_archives import zipped

from leadline.media.client import Sandbox
from leadline.media.limits import MIB, Limits

PICTURE = b"\xff\xd8\xff\xe0" + random.Random(5).randbytes(9000)
PLAIN = {"Content-Type": "text/plain; charset=utf-8"}


def test_a_mail_gives_its_headers_parts_and_plain_text(sandbox: Sandbox) -> None:
    told, end = open_members(sandbox, mail("Grüße\n", ("bild ä.jpg", PICTURE)))
    assert end == ""
    assert [(m.role, m.name) for m, _ in told] == [
        ("headers", b"headers"),
        ("file", b"part-1"),
        ("file", "bild ä.jpg".encode()),
        ("text", b"text"),
    ]
    (headers, raw), (text, said), (picture, data), (_, plain) = told
    assert headers.facts["from"] == "Zoë <zoe@example.org>"
    assert headers.facts["subject"] == "Zoë’s report"
    assert headers.facts["date"] == "Mon, 01 Jan 2024 10:00:00 +0000"
    assert headers.facts["message_id"] == "<1@example.org>"
    assert str(raw, "ascii").startswith("From: =?utf-8?") if isinstance(raw, bytes) else False
    assert said == plain == "Grüße\n".encode()
    assert data == PICTURE
    assert picture.facts == {"format": "mail", "mime": "image/jpeg", "part": "2", "disposition": "attachment"}
    assert text.facts["mime"] == "text/plain"


def test_parts_are_numbered_as_they_are_nested(sandbox: Sandbox) -> None:
    inner = multipart([(PLAIN, b"words"), ({"Content-Type": "text/html"}, b"<p>words</p>")], "in", "alternative", b"")
    head, _, body = inner.partition(b"\r\n\r\n")
    fields = dict([head.decode().split(": ", 1)])
    told, end = open_members(sandbox, multipart([(fields, body), attached("a.jpg", PICTURE)]))
    assert end == ""
    assert [(m.facts.get("part"), m.facts.get("mime")) for m, _ in told if m.role == "file"] == [
        ("1.1", "text/plain"),
        ("1.2", "text/html"),
        ("2", "image/jpeg"),
    ]


@pytest.mark.parametrize(
    ("headers", "body", "wanted"),
    [
        ({"Content-Transfer-Encoding": "base64"}, base64.b64encode(PICTURE), PICTURE),
        ({"Content-Transfer-Encoding": "BASE64 "}, base64.encodebytes(PICTURE).rstrip(b"=\n"), PICTURE),
        ({"Content-Transfer-Encoding": "base64"}, b"aGk*\r\n -gdG\xff8=\r\n", b"hi to"),
        ({"Content-Transfer-Encoding": "quoted-printable"}, b"a=3Db =\r\nc=E9=", b"a=b c\xe9"),
        ({"Content-Transfer-Encoding": "quoted-printable"}, b"x" * 70_000 + b"=3D=\r\ny", b"x" * 70_000 + b"=y"),
        ({"Content-Transfer-Encoding": "8bit"}, b"caf\xe9\r\n\r\n", b"caf\xe9\r\n\r\n"),
        ({"Content-Transfer-Encoding": "binary"}, PICTURE, PICTURE),
        ({}, b"line\nline\r\r\n", b"line\nline\r\r\n"),
    ],
)
def test_a_parts_bytes_are_those_that_were_attached(
    sandbox: Sandbox, headers: dict[str, str], body: bytes, wanted: bytes
) -> None:
    told, end = open_members(sandbox, multipart([({"Content-Type": "image/png", **headers}, body)]))
    assert (files(told), end) == ({b"part-1": wanted}, "")


def test_a_transfer_encoding_it_does_not_know_is_told(sandbox: Sandbox) -> None:
    headers = {"Content-Type": "image/png", "Content-Transfer-Encoding": "x-uuencode"}
    told, end = open_members(sandbox, multipart([(headers, b"begin 644 a\r\n`\r\nend"), (PLAIN, b"words")]))
    assert (files(told), end) == ({b"part-1": "unsupported", b"part-2": b"words"}, "")


def test_what_follows_the_end_of_base64_is_not_hidden(sandbox: Sandbox) -> None:
    part = ({"Content-Type": "image/png", "Content-Transfer-Encoding": "base64"}, b"aGkK\r\naGk=\r\naGkKaGkK")
    told, end = open_members(sandbox, multipart([part]))
    assert (files(told), end) == ({b"part-1": b"hi\nhi"}, "undecodable")


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ('attachment; filename="a b.jpg"', "a b.jpg"),
        ("attachment; filename*=utf-8''%e2%82%ac.jpg", "€.jpg"),
        ("attachment; filename*0*=utf-8''%e2%82; filename*1*=%ac; filename*2=.jpg", "€.jpg"),
        ('attachment; filename="=?utf-8?b?4oKsLmpwZw==?="', "€.jpg"),
        ('attachment; filename="../../etc/passwd"', "../../etc/passwd"),
        ('attachment; filename="nul\0in.jpg"', "nul\0in.jpg"),
        ("attachment; filename*=zlib''%78%9c.jpg", "x\x9c.jpg"),
        ('attachment; filename="€.jpg"', "€.jpg"),
        ("attachment; filename=", "part-1"),
        ("attachment; filename*9999999999999999999999=x; filename*=y'z", None),
    ],
)
def test_names_are_read_as_mail_programs_write_them_and_lead_nowhere(
    sandbox: Sandbox, tmp_path: Path, field: str, name: str | None
) -> None:
    part = ({"Content-Type": "image/jpeg", "Content-Disposition": field}, b"data")
    told, end = open_members(sandbox, multipart([part]))
    assert end == ""
    ((found, data),) = files(told).items()
    assert data == b"data"
    assert name is None or found == name.encode()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("charset", "raw", "text", "read_as"),
    [
        ("utf-8", "é".encode(), "é", "utf_8"),
        ("ISO-8859-1", b"\xe9", "é", "latin_1"),
        ("windows-1251", "дом".encode("cp1251"), "дом", "cp1251"),
        ("iso-2022-jp", "絵".encode("iso2022_jp"), "絵", "iso2022_jp"),
        ("gb18030", "图".encode("gb18030"), "图", "gb18030"),
        ("koi8-r", "дом".encode("koi8_r"), "дом", "koi8_r"),
        ("us-ascii", b"caf\xe9", "café", "latin_1, declared us-ascii"),
        ("x-no-such-set", b"caf\xe9", "café", "latin_1, declared x-no-such-set"),
        ("zlib_codec", b"plain", "plain", "utf_8, declared zlib_codec"),
        ("utf-8", b"caf\xe9", "caf\ufffd", "utf_8, damaged"),
        ("", b"caf\xe9", "café", "latin_1, declared nothing"),
    ],
)
def test_text_is_read_by_a_closed_list_of_character_sets_and_says_so(
    sandbox: Sandbox, charset: str, raw: bytes, text: str, read_as: str
) -> None:
    kind = f"text/plain; charset={charset}" if charset else "text/plain"
    told, end = open_members(sandbox, HEAD + crlf(f"Content-Type: {kind}", "") + raw)
    made = [(content, m.facts["charset"]) for m, content in told if m.role == "text"]
    assert (made, end) == ([(text.encode(), read_as)], "")


def test_no_text_is_made_of_html_and_of_attached_texts(sandbox: Sandbox) -> None:
    note = {"Content-Type": "text/plain", "Content-Disposition": "attachment; filename=note.txt"}
    told, _ = open_members(sandbox, multipart([({"Content-Type": "text/html"}, b"<p>words</p>"), (note, b"a note")]))
    assert [m.role for m, _ in told] == ["headers", "file", "file"]


def test_a_mail_within_a_mail_is_a_member_to_be_opened_again(sandbox: Sandbox) -> None:
    inner = mail("inner\n", ("a.jpg", PICTURE))
    told, end = open_members(sandbox, multipart([({"Content-Type": "message/rfc822"}, inner), (PLAIN, b"outer")]))
    assert end == ""
    assert files(told)[b"part-1"] == inner
    again, _ = open_members(sandbox, inner)
    assert files(again)[b"a.jpg"] == PICTURE


def test_an_archive_within_a_mail_is_a_member_to_be_opened_again(sandbox: Sandbox) -> None:
    packed = zipped({"a.jpg": PICTURE}, zipfile.ZIP_STORED)
    told, _ = open_members(sandbox, multipart([attached("a.zip", packed, "application/zip")]))
    assert files(told)[b"a.zip"] == packed


def test_a_saved_page_gives_what_was_on_it_with_its_addresses(sandbox: Sandbox) -> None:
    url = "https://example.org/"
    told, end = open_members(sandbox, mhtml(url, b"<img src=a.jpg>", **{"a.jpg": PICTURE, "b.jpg": PICTURE[::-1]}))
    assert end == ""
    assert told[0][0].facts["url"] == url
    assert files(told) == {
        b"https://example.org/": b"<img src=a.jpg>",
        b"https://example.org/a.jpg": PICTURE,
        b"https://example.org/b.jpg": PICTURE[::-1],
    }
    assert {m.facts["format"] for m, _ in told} == {"mhtml"}


def test_headers_that_come_twice_are_told(sandbox: Sandbox) -> None:
    told, _ = open_members(sandbox, HEAD + crlf("From: other@example.org", "", "text"))
    assert told[0][0].facts["from"] == "Anna <anna@example.org>"
    assert told[0][0].facts["repeated"] == "from"


def test_control_characters_in_headers_are_replaced_and_told(sandbox: Sandbox) -> None:
    told, end = open_members(sandbox, HEAD.replace(b"a report", b"a\0re\x1bport \xff") + b"\r\ntext")
    facts = told[0][0].facts
    assert (facts["subject"], facts["cut"], end) == ("a\ufffdre\ufffdport ÿ", "subject", "")


# --- the same parts as Python's own parser sees ----------------------------------------------------------------------

BODIES = st.sampled_from([b"", b"words\r\n", b"--x", b"\r\n\r\n", b"--=_b-", b"a" * 300, bytes(range(256))])


@given(st.lists(st.tuples(st.sampled_from(["7bit", "base64", "quoted-printable"]), BODIES), max_size=5))
@settings(max_examples=25, deadline=None)
def test_it_sees_what_pythons_own_parser_sees(sandbox: Sandbox, parts: list[tuple[str, bytes]]) -> None:
    carry = {"7bit": bytes, "base64": base64.encodebytes, "quoted-printable": quopri.encodestring}
    made = [({"Content-Type": "application/x", "Content-Transfer-Encoding": how}, carry[how](b)) for how, b in parts]
    data = multipart(made)
    theirs = email.message_from_bytes(data, policy=email.policy.compat32)
    wanted = [part.get_payload(decode=True) for part in theirs.walk() if not part.is_multipart()] if parts else []
    told, end = open_members(sandbox, data)
    assert end == ""
    assert [content for m, content in told if m.role == "file"] == wanted


# --- damage and malice -----------------------------------------------------------------------------------------------


CUTTABLE = {
    "mail": mail("words\n", ("a.jpg", PICTURE[:400])),
    "page": mhtml("https://example.org/", b"x", a=PICTURE[:300]),
}


@pytest.mark.parametrize("data", CUTTABLE.values(), ids=CUTTABLE)
def test_a_mail_cut_anywhere_gives_what_was_there_and_says_so(sandbox: Sandbox, data: bytes) -> None:
    whole, _ = open_members(sandbox, data)
    for cut in [*range(1, len(data) - 60, 37), *range(len(data) - 60, len(data) - 4)]:
        told, end = open_members(sandbox, data[:cut], "message/rfc822")
        assert end == "truncated"
        stored = [content for m, content in told if m.role == "file"]
        for number, content in enumerate(stored[:-1]):
            assert content == whole[number + 1][1]
        assert not stored or isinstance(stored[-1], bytes) or stored[-1].endswith("then truncated")


def test_any_damage_gets_an_answer(sandbox: Sandbox) -> None:
    data = mail("words\n", ("a.jpg", PICTURE[:600]))
    chance = random.Random(9)
    ends = set()
    for _ in range(60):
        damaged = bytearray(data)
        for _ in range(chance.randint(1, 8)):
            damaged[chance.randrange(len(damaged))] = chance.choice((0, 10, 45, 61, chance.randrange(256)))
        ends.add(open_members(sandbox, bytes(damaged), "message/rfc822")[1])
    assert ends <= {"", "truncated", "undecodable"}


@given(st.binary(max_size=400))
@settings(max_examples=40, deadline=None)
def test_any_bytes_called_a_mail_get_an_answer(sandbox: Sandbox, data: bytes) -> None:
    _, end = open_members(sandbox, data or b"x", "message/rfc822")
    assert end in ("", "truncated", "undecodable")


def test_parts_without_end_stop_at_the_limit() -> None:
    limits = Limits(max_file_bytes=8 * MIB, max_pixels=100_000, memory_bytes=512 * MIB, max_members=2000)
    data = multipart([({}, b"")] * 100_000)
    with Sandbox(limits) as sandbox:
        told, end = open_members(sandbox, data)
    assert (len(told), end) == (2000, "too-many-members")


def test_parts_nested_without_end_are_told_as_too_deep(sandbox: Sandbox) -> None:
    data = HEAD
    for depth in range(5000):
        data += crlf(f'Content-Type: multipart/mixed; boundary="b{depth}"', "", f"--b{depth}")
    data += crlf("Content-Type: image/png", "", "deep")
    told, end = open_members(sandbox, data)
    assert [content for m, content in told if m.role == "file"] == ["too-deep"]
    assert end == "truncated"


def test_a_part_after_one_nested_too_deep_is_still_read(sandbox: Sandbox) -> None:
    deep = b"".join(
        crlf(f'Content-Type: multipart/mixed; boundary="b{depth}"', "", f"--b{depth}") for depth in range(99)
    )
    data = HEAD + crlf('Content-Type: multipart/mixed; boundary="out"', "", "--out") + deep
    data += crlf("", "x", "--out", "Content-Type: image/png", "", "shallow", "--out--")
    told, end = open_members(sandbox, data)
    assert [content for m, content in told if m.role == "file"] == ["too-deep", b"shallow"]
    assert end == ""


@pytest.mark.parametrize(
    "bomb",
    [
        b"".join(b"X-%d: y\r\n" % number for number in range(200_000)),
        b"Subject: " + b"x" * (3 * MIB) + b"\r\n",
        b"Subject: x\r\n" + b" folded\r\n" * 300_000,
        b"Content-Type: text/plain; a=" + b'";' * 200_000 + b"\r\n",
        b"Subject: " + b"=?utf-8?q?a?= =?" * 100_000 + b"\r\n",
    ],
    ids=["many", "long", "folded", "parameters", "words"],
)
def test_a_bomb_of_headers_is_cut_and_the_parts_are_still_read(sandbox: Sandbox, bomb: bytes) -> None:
    data = HEAD + bomb + crlf('Content-Type: multipart/mixed; boundary="b"', "", "--b", "", "words", "--b--")
    told, end = open_members(sandbox, data)
    assert told[0][0].facts["from"] == "Anna <anna@example.org>"
    assert sum(len(value.encode()) for value in told[0][0].facts.values()) < 9000
    assert end in ("", "truncated")
    assert len(told) >= 2


def test_headers_without_end_are_refused_as_too_large(sandbox: Sandbox) -> None:
    data = HEAD + b"X: " + b"y" * 1000 + b"\r\n" + b" z" * (9 * MIB)
    told, end = open_members(sandbox, data)
    assert (told, end) == ([], "too-large")


def test_a_line_without_end_is_a_part_like_any_other(sandbox: Sandbox) -> None:
    body = bytes(200) + b"\xff" * (3 * MIB) + b"--=_b"
    headers = {"Content-Type": "image/png", "Content-Transfer-Encoding": "binary"}
    told, end = open_members(sandbox, multipart([(headers, body)]))
    assert (files(told), end) == ({b"part-1": body}, "")


def test_a_mail_that_unpacks_to_more_than_it_may_is_cut_member_by_member() -> None:
    limits = Limits(max_file_bytes=8 * MIB, max_pixels=100_000, memory_bytes=512 * MIB, max_member_bytes=MIB)
    data = multipart([attached("large.jpg", bytes(2 * MIB)), attached("small.jpg", PICTURE)])
    with Sandbox(limits) as sandbox:
        told, end = open_members(sandbox, data)
    found = files(told)
    assert "then too-large" in str(found[b"large.jpg"])
    assert found[b"small.jpg"] == PICTURE
    assert end == ""


def test_a_part_nobody_reads_is_passed_over(sandbox: Sandbox) -> None:
    data = multipart([attached("a.jpg", bytes(6 * MIB)), attached("b.jpg", PICTURE)])
    sandbox.input_buffer(len(data))[:] = data
    names = [member.name for member in sandbox.members(len(data), from_fd=False)]
    assert names == [b"headers", b"a.jpg", b"b.jpg"]
