"""Exported chats become one list of messages each, saying what the export says and what it does not."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.media.foreign import discord, discord_message, files, open_members, telegram, telegram_message
from tests.media.test_archives import zipped

from leadline.errors import UntrustedMediaError
from leadline.media.client import Sandbox
from leadline.media.limits import MIB, Limits
from leadline.media.transcript import MAX_TEXT, Message, read_messages, write_message

TELEGRAM, DISCORD = "application/x-telegram-export+json", "application/x-discord-export+json"
WHATSAPP = "text/x-whatsapp-chat"


def messages(sandbox: Sandbox, data: bytes, mime: str = "") -> tuple[list[Message], dict[str, Any]]:
    """Of the one conversation in it, which ends well; and its facts."""
    ((member, content),), end = open_members(sandbox, data, mime)
    assert (end, member.role) == ("", "messages")
    assert isinstance(content, bytes)
    return list(read_messages([content])), {"name": member.name, **member.facts}


# --- Telegram --------------------------------------------------------------------------------------------------------


def test_a_telegram_chat_is_read_with_its_senders_and_times(sandbox: Sandbox) -> None:
    link = {"type": "text_link", "text": "here", "href": "http://example.org/x"}
    read, facts = messages(
        sandbox,
        telegram(
            telegram_message(1, "hello"),
            telegram_message(2, ["look ", link, " and ", {"type": "bold", "text": "there"}], reply_to_message_id=1),
            telegram_message(3, "", photo="photos/photo_1.jpg", width=640, height=480),
            telegram_message(4, "", file="(File not included. Change data exporting settings to download.)"),
            {"id": 5, "type": "service", "date": "2024-01-01T11:00:00", "actor": "Bob", "actor_id": "user13",
             "action": "phone_call", "text": ""},
        ),
    )  # fmt: skip
    assert facts == {
        "name": b"Anna", "format": "telegram", "title": "Anna", "chat_type": "personal_chat", "chat_id": "4711"
    }  # fmt: skip
    first = Message(
        at="2024-01-01T10:00:00Z", at_raw="2024-01-01T11:00:00", author="Anna", author_id="user12", text="hello", id="1"
    )
    assert read[0] == first
    assert (read[1].text, read[1].links, read[1].reply_to) == ("look here and there", ["http://example.org/x"], "1")
    assert (read[2].attachments, read[2].absent) == (["photos/photo_1.jpg"], False)
    assert (read[3].attachments, read[3].absent) == ([], True)
    assert (read[4].kind, read[4].author, read[4].text, read[4].at) == (
        *("service", "Bob", "phone_call", "2024-01-01T11:00:00"),
    )


def test_an_account_of_telegram_is_a_conversation_for_each_chat(sandbox: Sandbox) -> None:
    def chat(name: str, *texts: str) -> str:
        return telegram(*[telegram_message(1, text) for text in texts], name=name).decode()

    data = (
        '{"about": "Here is the data you requested.", "personal_information": {"name": "me", "id": 1},'
        f'"chats": {{"about": "x", "list": [{chat("One", "a", "b")}, {chat("Two")}]}},'
        f'"left_chats": {{"list": [{chat("Left", "c")}]}}}}'
    )
    told, end = open_members(sandbox, data.encode())
    read = {m.name: [one.text for one in read_messages([content])] for m, content in told}  # type: ignore[list-item]
    assert (read, end) == ({b"One": ["a", "b"], b"Two": [], b"Left": ["c"]}, "")


def test_what_telegram_writes_that_is_no_json_is_read_too(sandbox: Sandbox) -> None:
    """It writes a control character as backslash, x and two digits (SerializeString in export_output_json.cpp)."""
    for before in range(65_500, 65_560, 7):  # so that the escape meets the end of a piece that is read
        data = telegram(telegram_message(1, "_" * 600 + "MARK"), name="n" * before)
        data = data.replace(b"MARK", b"be\\x07ll \\\\x07 \\n")
        read, _ = messages(sandbox, data, TELEGRAM)
        assert read[0].text.strip("_") == "be\x07ll \\x07 \n"


# --- Discord ---------------------------------------------------------------------------------------------------------


def test_a_discord_channel_is_read_with_its_senders_and_times(sandbox: Sandbox) -> None:
    attachment = {"id": "9", "url": "roses_Files/a.png", "fileName": "a.png", "fileSizeBytes": 3}
    read, facts = messages(
        sandbox,
        discord(
            discord_message(1, "hello"),
            discord_message(2, "look", type="Reply", reference={"messageId": "1"}, attachments=[attachment]),
            discord_message(3, "Bob joined.", type="GuildMemberJoin"),
            discord_message(4, "", embeds=[{"title": "x", "url": "http://example.org/y"}]),
            discord_message(5, "", forwardedMessage={"content": "from elsewhere", "attachments": [attachment]}),
        ),
    )
    assert facts["title"] == "Gardeners / Plants / roses"
    assert (facts["format"], facts["chat_type"], facts["exported_at"]) == (
        *("discord", "GuildTextChat", "2024-02-01T00:00:00+00:00"),
    )
    assert read[0] == Message(at="2024-01-01T11:00:00.123+01:00", author="Bob", author_id="77", text="hello", id="1")
    assert (read[1].kind, read[1].reply_to, read[1].attachments) == ("message", "1", ["roses_Files/a.png"])
    assert read[2].kind == "service"
    assert read[3].links == ["http://example.org/y"]
    assert (read[4].text, read[4].attachments) == ("from elsewhere", ["roses_Files/a.png"])


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        *(("Default", "message"), ("Reply", "message"), ("20", "message"), ("21", "message")),
        *(("RecipientAdd", "service"), ("ChannelPinnedMessage", "service"), ("8", "service"), ("18", "service")),
    ],
)
def test_kinds_that_the_exporter_knows_only_by_number_are_told_apart_too(
    sandbox: Sandbox, written: str, kind: str
) -> None:
    (only,), _ = messages(sandbox, discord(discord_message(1, "x", type=written)))
    assert only.kind == kind


# --- WhatsApp --------------------------------------------------------------------------------------------------------

LOCALES = {
    "[13/03/2024, 14:08:18] Anna: hi": "2024-03-13T14:08:18",
    "[13/03/2024, 2:08:18 PM] Anna: hi": "2024-03-13T14:08:18",
    "[3/13/24, 2:08:18\u202fPM] Anna: hi": "2024-03-13T14:08:18",
    "\u200e[13/03/2024, 12:08:18\u202fAM] Anna: hi": "2024-03-13T00:08:18",
    "[13.03.24, 14:08:18] Anna: hi": "2024-03-13T14:08:18",
    "[13.3.2024 klo 14.08.18] Anna: hi": "2024-03-13T14:08:18",
    "[13-03-2024 14:08:18] Anna: hi": "2024-03-13T14:08:18",
    "[2024-03-13, 14:08:18] Anna: hi": "2024-03-13T14:08:18",
    "[2024/3/13 下午2:08:18] Anna: hi": "2024-03-13T14:08:18",
    "[2024. 3. 13. 오후 2:08:18] Anna: hi": "2024-03-13T14:08:18",
    "13/03/2024, 14:08 - Anna: hi": "2024-03-13T14:08:00",
    "13/03/2024, 2:08 p. m. - Anna: hi": "2024-03-13T14:08:00",
    "13/03/2024 à 14:08 - Anna: hi": "2024-03-13T14:08:00",
    "3/13/24, 2:08 PM - Anna: hi": "2024-03-13T14:08:00",
    "13.03.24, 14:08 - Anna: hi": "2024-03-13T14:08:00",
    "2024. 3. 13. 오후 2:08, Anna : hi": "2024-03-13T14:08:00",
    "١٣/٣/٢٠٢٤, ٢:٠٨ م - Anna: hi": "2024-03-13T14:08:00",
    "13/03/2567, 14:08 - Anna: hi": "",  # a calendar we do not know is not guessed at
    "13/03/2024, 2:08 xx - Anna: hi": "",  # nor is a half of the day
    "03/04/2024, 14:08 - Anna: hi": "",  # April or March?
}


@pytest.mark.parametrize(("line", "at"), LOCALES.items())
def test_whatsapps_lines_are_read_in_the_ways_of_many_countries(sandbox: Sandbox, line: str, at: str) -> None:
    (only,), facts = messages(sandbox, line.encode(), WHATSAPP)
    assert (only.at, only.author, only.text, only.kind) == (at, "Anna", "hi", "message")
    assert only.at_raw.replace("\u202f", " ")[:2] in line
    assert facts["format"] == "whatsapp"


@pytest.mark.parametrize(
    ("dates", "order", "at"),
    [
        (["03/04/2024", "04/04/2024", "13/04/2024"], "day-first", "2024-04-03T10:00:00"),
        (["03/04/2024", "03/05/2024", "03/13/2024"], "month-first", "2024-03-04T10:00:00"),
        (["05/01/2024", "02/02/2024"], "day-first", "2024-01-05T10:00:00"),  # the other way it would go back
        (["01/05/2024", "02/02/2024"], "month-first", "2024-01-05T10:00:00"),
        (["01/02/2024", "02/02/2024"], "unknown", ""),
        (["13/01/2024", "01/13/2024"], "unknown", ""),
    ],
)
def test_the_whole_file_decides_whether_days_or_months_come_first(
    sandbox: Sandbox, dates: list[str], order: str, at: str
) -> None:
    data = "".join(f"{date}, 10:00 - Anna: hi\n" for date in dates).encode()
    read, facts = messages(sandbox, data, WHATSAPP)
    assert (facts["date_order"], read[0].at, read[0].at_raw) == (order, at, f"{dates[0]}, 10:00")


def test_messages_run_over_lines_and_attachments_are_named(sandbox: Sandbox) -> None:
    data = (
        "13/03/2024, 14:00 - Messages and calls are end-to-end encrypted.\r\n"
        "13/03/2024, 14:01 - Anna: one\r\ntwo: 3\r\n\r\nfour\r\n"
        "13/03/2024, 14:02 - Anna: \u200eIMG-20240313-WA0001.jpg (file attached)\r\n"
        "13/03/2024, 14:03 - Anna: <Media omitted>\r\n"
        "[13/03/2024, 14:04:00] Bob: \u200e<allegato: 00000012-PHOTO-2024-03-13.jpg>\r\n"
        "[13/03/2024, 14:05:00] Bob: \u200eimage omitted\r\n"
    ).encode()
    read, _ = messages(sandbox, data)
    assert [(one.kind, one.author) for one in read[:2]] == [("service", ""), ("message", "Anna")]
    assert read[1].text == "one\ntwo: 3\n\nfour"
    assert [(one.attachments, one.absent) for one in read[2:]] == [
        (["IMG-20240313-WA0001.jpg"], False),
        ([], True),
        (["00000012-PHOTO-2024-03-13.jpg"], False),
        ([], True),
    ]


def test_a_whatsapp_export_with_media_is_a_zip_whose_chat_is_opened_again(sandbox: Sandbox) -> None:
    chat = b"[13/03/2024, 14:08:18] Anna: <attached: a.jpg>\n"
    told, end = open_members(sandbox, zipped({"_chat.txt": chat, "a.jpg": b"picture"}))
    assert (files(told), end) == ({b"_chat.txt": chat, b"a.jpg": b"picture"}, "")
    assert messages(sandbox, chat)[0][0].attachments == ["a.jpg"]


def test_a_text_that_is_no_chat_is_unsupported(sandbox: Sandbox) -> None:
    for data in (b"just text\n" * 9, b"word\n" * 300 + b"13/03/2024, 14:08 - Anna: hi\n", b"\0" * 999, b"\xff\n" * 99):
        assert open_members(sandbox, data, WHATSAPP) == ([], "unsupported")


# --- damage and malice -----------------------------------------------------------------------------------------------

EXPORTS = {
    TELEGRAM: telegram(telegram_message(1, "hello", file="a.jpg"), telegram_message(2, ["a", {"text": "b"}])),
    DISCORD: discord(discord_message(1, "hello"), discord_message(2, "there")),
    WHATSAPP: b"[13/03/2024, 14:08:18] Anna: hello\n[13/03/2024, 14:09:18] Bob: <attached: a.jpg>\nmore\n",
}


@pytest.mark.parametrize("mime", [TELEGRAM, DISCORD])
def test_an_export_cut_anywhere_gives_the_messages_before_and_says_so(sandbox: Sandbox, mime: str) -> None:
    data = EXPORTS[mime]
    whole, _ = messages(sandbox, data)
    for cut in range(2, len(data.rstrip()), 13):
        sandbox.input_buffer(cut)[:] = data[:cut]
        read: list[Message] = []
        code = ""
        try:
            for member in sandbox.members(cut, from_fd=False, mime=mime):
                read += read_messages(map(bytes, member.chunks()))
        except UntrustedMediaError as error:
            code = error.code
        assert code in ("truncated", "undecodable")
        assert read == whole[: len(read)]


@pytest.mark.parametrize("mime", EXPORTS)
def test_any_damage_to_an_export_gets_an_answer(sandbox: Sandbox, mime: str) -> None:
    chance = random.Random(9)
    for _ in range(40):
        damaged = bytearray(EXPORTS[mime])
        for _ in range(chance.randint(1, 6)):
            damaged[chance.randrange(len(damaged))] = chance.choice((0, 34, 92, 123, 10, chance.randrange(256)))
        told, end = open_members(sandbox, bytes(damaged), mime)
        assert end in ("", "truncated", "undecodable", "unsupported")
        for _, content in told:
            assert not isinstance(content, bytes) or list(read_messages([content])) is not None


@given(st.binary(max_size=300), st.sampled_from(sorted(EXPORTS)))
@settings(max_examples=60, deadline=None)
def test_any_bytes_called_an_export_get_an_answer(sandbox: Sandbox, data: bytes, mime: str) -> None:
    _, end = open_members(sandbox, data or b"x", mime)
    assert end in ("", "truncated", "undecodable", "unsupported")


def test_a_message_larger_than_it_may_be_is_cut_and_marked(sandbox: Sandbox) -> None:
    for data in (
        telegram(telegram_message(1, "x" * 200_000), telegram_message(2, "next")),
        telegram(telegram_message(1, ["x" * 900] * 5000), telegram_message(2, "next")),
        discord(discord_message(1, "x" * 200_000), discord_message(2, "next")),
        b"13/03/2024, 14:00 - A: " + b"x" * 200_000 + b"\n13/03/2024, 14:00 - A: next",
        b"13/03/2024, 14:00 - A: x" + b"xxx\n" * 50_000 + b"\n13/03/2024, 14:00 - A: next",
    ):
        read, _ = messages(sandbox, data)
        assert (len(read[0].text), read[0].cut) == (MAX_TEXT, True)
        assert (read[1].text, read[1].cut) == ("next", False)


def test_long_names_and_many_attachments_are_cut_and_marked(sandbox: Sandbox) -> None:
    many = [{"url": f"http://example.org/{number}"} for number in range(5000)]
    read, facts = messages(
        sandbox, telegram(telegram_message(1, "x", **{"from": "A" * 99_999}), name="\u202e" + "N" * 99_999), TELEGRAM
    )
    assert (len(read[0].author), read[0].cut, facts["cut"]) == (2048, True, "title")
    read, _ = messages(sandbox, discord(discord_message(1, "x", attachments=many)))
    assert (len(read[0].attachments), read[0].cut) == (100, True)


def test_keys_that_come_twice_are_both_read(sandbox: Sandbox) -> None:
    data = telegram(telegram_message(1, "FIRST")).replace(b'"FIRST"', b'"first", "text": "second"', 1)
    assert messages(sandbox, data)[0][0].text == "firstsecond"


def test_times_that_are_none_are_kept_as_written(sandbox: Sandbox) -> None:
    odd = telegram_message(1, "x", date="yesterday", date_unixtime="9" * 40)
    (only,), _ = messages(sandbox, telegram(odd))
    assert (only.at, only.at_raw) == ("", "yesterday")
    (only,), _ = messages(sandbox, discord(discord_message(1, "x", timestamp="<script>")))
    assert (only.at, only.at_raw) == ("", "<script>")


def test_a_conversation_too_large_is_cut_and_the_next_is_read() -> None:
    limits = Limits(max_file_bytes=8 * MIB, max_pixels=100_000, memory_bytes=512 * MIB, max_member_bytes=MIB)
    long = telegram(*[telegram_message(n, "x" * 900) for n in range(2000)]).decode()
    data = f'{{"chats": {{"list": [{long}, {telegram(telegram_message(1, "next")).decode()}]}}}}'.encode()
    with Sandbox(limits) as sandbox:
        told, end = open_members(sandbox, data, TELEGRAM)
    assert "then too-large" in str(told[0][1])
    assert [one.text for one in read_messages([told[1][1]])] == ["next"]  # type: ignore[list-item]
    assert end == ""


def test_chats_without_end_stop_at_the_limit() -> None:
    limits = Limits(max_file_bytes=8 * MIB, max_pixels=100_000, memory_bytes=512 * MIB, max_members=50)
    data = b'{"chats": {"list": [' + b",".join([b'{"name": "x", "messages": []}'] * 90) + b"]}}"
    with Sandbox(limits) as sandbox:
        told, end = open_members(sandbox, data, TELEGRAM)
    assert (len(told), end) == (50, "too-many-members")


# --- the lines themselves --------------------------------------------------------------------------------------------


def test_a_message_comes_back_from_its_line() -> None:
    message = Message(at="2024-01-01T10:00:00Z", author="Zoë", text="a\nb\u2028", attachments=["a.jpg"], absent=True)
    line = write_message(message)
    assert line.count(b"\n") == 1
    assert list(read_messages([line[:7], memoryview(line[7:])])) == [message]


@pytest.mark.parametrize(
    "line",
    [
        b"{}",  # no line end
        b"[]\n",
        b"\n",
        b'{"text": 3}\n',
        b'{"kind": "other"}\n',
        b'{"evil": "x"}\n',
        b'{"at": "yesterday"}\n',
        b'{"text": "\xff"}\n',
        b'{"author": "' + b"x" * 3000 + b'"}\n',
        b'{"text": "' + b"x" * 3_000_000 + b'"}\n',
        b'{"links": [' + b'"",' * 200 + b'""]}\n',
        b'{"links": ' + b"[" * 100_000 + b"\n",
    ],
)
def test_a_line_out_of_bounds_is_refused_outside(line: bytes) -> None:
    with pytest.raises(UntrustedMediaError) as caught:
        list(read_messages([line]))
    assert caught.value.code == "out-of-bounds"


@given(st.text(max_size=99), st.lists(st.text(max_size=9), max_size=3))
def test_whatever_is_written_can_be_read(text: str, names: list[str]) -> None:
    message = Message(at=text, author=text, text=text, attachments=names, links=names, id=text)
    (read,) = read_messages([write_message(message)])
    assert read.text == text
    assert read.at in ("", text)


def test_names_of_chats_lead_nowhere(sandbox: Sandbox, tmp_path: Path) -> None:
    ((member, _),), end = open_members(sandbox, telegram(name="../../etc/\0passwd"))
    assert (member.name, end) == (b"../../etc/\0passwd", "")
    assert list(tmp_path.iterdir()) == []
