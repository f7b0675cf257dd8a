"""Small writers of the formats that reports arrive in, after their published descriptions; for tests only.

mail, MHTML  RFC 2045 to 2049, 5322, 2557; MHTML's own header as Chromium writes it (mhtml_generation_manager)
WARC         ISO 28500:2017, iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1, section 4
WACZ         specs.webrecorder.net/wacz/1.1.1
HAR          w3c.github.io/web-performance/specs/HAR/Overview.html
Telegram     github.com/telegramdesktop/tdesktop, export/output/export_output_json.cpp
Discord      github.com/Tyrrrz/DiscordChatExporter, DiscordChatExporter.Core/Exporting/JsonMessageWriter.cs
WhatsApp     undocumented; github.com/Pustur/whatsapp-chat-parser and github.com/starkdmi/whats_json
"""

from __future__ import annotations

import base64
import gzip
import json
from email.message import EmailMessage
from typing import Any

from leadline.errors import UntrustedMediaError
from leadline.media.client import Member, Sandbox

Part = tuple[dict[str, str], bytes]  # headers, body as it stands in the file


def crlf(*lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode("utf-8", "surrogateescape")


HEAD = crlf("From: Anna <anna@example.org>", "To: intake@example.net", "Subject: a report", "MIME-Version: 1.0")


def multipart(parts: list[Part], boundary: str = "=_b", kind: str = "mixed", head: bytes = HEAD) -> bytes:
    lines = [head, crlf(f'Content-Type: multipart/{kind}; boundary="{boundary}"', "")]
    for headers, body in parts:
        fields = [f"{name}: {value}" for name, value in headers.items()]
        lines += [crlf(f"--{boundary}", *fields, ""), body, b"\r\n"]
    return b"".join([*lines, crlf(f"--{boundary}--")])


def attached(name: str, data: bytes, mime: str = "image/jpeg") -> Part:
    headers = {"Content-Type": mime, "Content-Transfer-Encoding": "base64"}
    headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return headers, base64.encodebytes(data).replace(b"\n", b"\r\n").removesuffix(b"\r\n")


def mail(text: str, *files: tuple[str, bytes]) -> bytes:
    """As Python's own mail library writes one."""
    message = EmailMessage()
    message["From"], message["To"] = "Zoë <zoe@example.org>", "intake@example.net"
    message["Subject"], message["Date"] = "Zoë’s report", "Mon, 01 Jan 2024 10:00:00 +0000"
    message["Message-ID"] = "<1@example.org>"
    message.set_content(text)
    for name, data in files:
        message.add_attachment(data, maintype="image", subtype="jpeg", filename=name)
    return message.as_bytes()


def mhtml(url: str, page: bytes, **files: bytes) -> bytes:
    """As Chromium saves a page: file names are the addresses of the pictures."""
    head = crlf(
        "From: <Saved by Blink>",
        f"Snapshot-Content-Location: {url}",
        "Subject: a page",
        "Date: Mon, 1 Jan 2024 10:00:00 +0000",
        "MIME-Version: 1.0",
    )
    first = {"Content-Type": "text/html", "Content-Transfer-Encoding": "binary", "Content-Location": url}
    rest = [
        (
            {"Content-Type": "image/jpeg", "Content-Transfer-Encoding": "base64", "Content-Location": f"{url}{name}"},
            base64.encodebytes(data).replace(b"\n", b"\r\n"),
        )
        for name, data in files.items()
    ]
    return multipart([(first, page), *rest], "----MultipartBoundary--x----", "related", head)


def http(body: bytes, *fields: str, status: str = "200 OK") -> bytes:
    return crlf(f"HTTP/1.1 {status}", *fields, "") + body


def record(kind: str, url: str, block: bytes, *fields: str, mime: str = "", length: int | None = None) -> bytes:
    mime = mime or ("application/http; msgtype=" + kind if kind in ("response", "request") else "text/plain")
    length = len(block) if length is None else length
    head = crlf(
        "WARC/1.1",
        f"WARC-Type: {kind}",
        f"WARC-Target-URI: {url}",
        "WARC-Date: 2024-01-01T10:00:00Z",
        f"WARC-Record-ID: <urn:uuid:{abs(hash(block)) % 10**12:012}>",
        *fields,
        f"Content-Type: {mime}",
        f"Content-Length: {length}",
        "",
    )
    return head + block + b"\r\n\r\n"


def pack_records(*records: bytes) -> bytes:
    return b"".join(gzip.compress(one, mtime=0) for one in records)


def har(*entries: dict[str, Any], **log: Any) -> bytes:
    whole = {"version": "1.2", "creator": {"name": "x", "version": "1"}, "pages": [], "entries": entries, **log}
    return json.dumps({"log": whole}).encode()


def har_entry(url: str, body: bytes | str | None, mime: str = "image/jpeg", **request: Any) -> dict[str, Any]:
    content: dict[str, Any] = {"size": len(body or b""), "mimeType": mime}
    if isinstance(body, bytes):
        content |= {"text": base64.b64encode(body).decode(), "encoding": "base64"}
    elif body is not None:
        content["text"] = body
    return {
        "startedDateTime": "2024-01-01T10:00:00.000Z",
        "request": {"method": "GET", "url": url, "headers": [{"name": "Cookie", "value": "x"}], **request},
        "response": {"status": 200, "headers": [], "content": content},
        "serverIPAddress": "192.0.2.1",
    }


def telegram(*messages: dict[str, Any], **about: Any) -> bytes:
    whole = {"name": "Anna", "type": "personal_chat", "id": 4711, **about, "messages": messages}
    return json.dumps(whole, indent=1, ensure_ascii=False).encode()


def telegram_message(number: int, text: Any, **more: Any) -> dict[str, Any]:
    return {
        "id": number,
        "type": "message",
        "date": "2024-01-01T11:00:00",
        "date_unixtime": "1704103200",
        "from": "Anna",
        "from_id": "user12",
        "text": text,
        "text_entities": [{"type": "plain", "text": str(text)}],
        **more,
    }


def discord(*messages: dict[str, Any]) -> bytes:
    whole = {
        "guild": {"id": "1", "name": "Gardeners", "iconUrl": "https://cdn.example.org/i.png"},
        "channel": {
            "id": "2",
            "type": "GuildTextChat",
            "categoryId": "3",
            "category": "Plants",
            "name": "roses",
            "topic": None,
        },
        "dateRange": {"after": None, "before": None},
        "exportedAt": "2024-02-01T00:00:00+00:00",
        "messages": messages,
        "messageCount": len(messages),
    }
    return json.dumps(whole, indent=2, ensure_ascii=False).encode()


def discord_message(number: int, content: str, **more: Any) -> dict[str, Any]:
    author = {"id": "77", "name": "bob", "discriminator": "0000", "nickname": "Bob", "isBot": False, "roles": []}
    return {
        "id": str(number),
        "type": "Default",
        "timestamp": "2024-01-01T11:00:00.123+01:00",
        "timestampEdited": None,
        "isPinned": False,
        "content": content,
        "author": author,
        "attachments": [],
        "embeds": [],
        "stickers": [],
        "reactions": [],
        "mentions": [],
        **more,
    }


Told = tuple[Member, bytes | str]  # a member, and its bytes or why there are none


def open_members(sandbox: Sandbox, data: bytes, mime: str = "") -> tuple[list[Told], str]:
    """Every member and how it came out, and how the container ended ("" where well)."""
    sandbox.input_buffer(len(data))[:] = data
    told: list[Told] = []
    try:
        for member in sandbox.members(len(data), from_fd=False, mime=mime):
            told.append((member, read_member(member) if member.kind == "file" else member.reason))
    except UntrustedMediaError as error:
        return told, error.code
    return told, ""


def read_member(member: Member) -> bytes | str:
    content = bytearray()
    try:
        for chunk in member.chunks():
            content += chunk
    except UntrustedMediaError as error:
        return f"{len(content)} bytes, then {error.code}"
    return bytes(content)


def files(told: list[Told]) -> dict[bytes, bytes | str]:
    """Name -> bytes of what the container stores."""
    return {member.name: content for member, content in told if member.role == "file"}
