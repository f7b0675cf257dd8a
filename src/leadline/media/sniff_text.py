"""Which text format a file is, from its first bytes: mail, saved pages, captures, exported chats; and pictures in SVG.

Looks for marks that a format's own programs write; a file that fits none is not one of them here, and whoever knows
better names the type (`Sandbox.members`). Parses nothing.
"""

from __future__ import annotations

import re

_FIELD = re.compile(rb"([!-9;-~]{1,76}):")
_MAIL_FIELDS = frozenset(
    (
        *(b"from", b"to", b"cc", b"subject", b"date", b"message-id", b"mime-version", b"received", b"return-path"),
        *(b"delivered-to", b"reply-to", b"dkim-signature", b"arc-seal", b"content-type", b"x-mailer", b"sender"),
        *(b"snapshot-content-location", b"content-transfer-encoding", b"x-original-to", b"envelope-to"),
    )
)
# One of these there must be, and three of the list in all.
_SURE = frozenset((b"from", b"mime-version", b"received", b"return-path", b"message-id", b"delivered-to"))
_RELATED = re.compile(rb"(?im)^content-type:\s*multipart/related\b")

_JSON = (
    (
        re.compile(rb'\s*\{\s*"log"\s*:\s*\{\s*"(?:version|creator|browser|pages|entries|comment)"\s*:'),
        "application/har+json",
    ),
    (
        re.compile(rb'\s*\{\s*"guild"\s*:\s*\{\s*"id"\s*:.*"channel"\s*:\s*\{', re.DOTALL),
        "application/x-discord-export+json",
    ),
    (
        re.compile(
            rb'\s*\{.*"type"\s*:\s*"(?:personal_chat|bot_chat|saved_messages|verification_codes|replies|'
            rb'(?:private|public)_(?:group|supergroup|channel))".*"messages"\s*:\s*\[',
            re.DOTALL,
        ),
        "application/x-telegram-export+json",
    ),
    (re.compile(rb'\s*\{\s*"about"\s*:\s*"Here is the data you requested\.'), "application/x-telegram-export+json"),
)
# Only the two commonest shapes: a log's lines begin with dates too.
_CHAT = re.compile(
    rb"(?:\xef\xbb\xbf|\xe2\x80[\x8e\x8f])*(?:"
    rb"\[\d{1,4}[-/.] ?\d{1,2}[-/.] ?\d{1,4}, \d{1,2}[:.]\d{2}[:.]\d{2}[^\]\n]{0,12}\] [^\n]*:"
    rb"|\d{1,4}[-/.] ?\d{1,2}[-/.] ?\d{1,4}, \d{1,2}[:.]\d{2}[^\d\n-]{0,12} - )"
)


_SVG = re.compile(rb"<(?:svg[\s/>]|\w{1,20}:svg[\s/>]|!DOCTYPE svg\b)")
_BEFORE_SVG = ((b"<?", b"?>"), (b"<!--", b"-->"))


def sniff_text(head: bytes) -> str:
    """MIME type, or "" where nothing fits. `head`: the first <= 4096 bytes."""
    bare = head.removeprefix(b"\xef\xbb\xbf")
    if bare.lstrip(b" \t\r\n")[:1] == b"{":
        return next((mime for pattern, mime in _JSON if pattern.match(bare)), "")
    if bare.lstrip(b" \t\r\n")[:1] == b"<":
        return "image/svg+xml" if _is_svg(bare) else ""
    if _CHAT.match(head):
        return "text/x-whatsapp-chat"
    return _sniff_mail(head)


def _is_svg(head: bytes) -> bool:
    """Its first element, behind declarations and comments (by search: patterns that skip them can take for ever)."""
    at = 0
    while True:
        at += len(head) - at - len(head[at:].lstrip())
        before = next((pair for pair in _BEFORE_SVG if head.startswith(pair[0], at)), None)
        if before is None:
            return bool(_SVG.match(head, at))
        end = head.find(before[1], at + len(before[0]))
        if end < 0:
            return False
        at = end + len(before[1])


def _sniff_mail(head: bytes) -> str:
    names: set[bytes] = set()
    *lines, last = head.split(b"\n")
    for line in lines if len(head) == 4096 else (*lines, last):
        if not line.strip(b"\r"):
            break
        if line[:1] in b" \t" and names:
            continue
        field = _FIELD.match(line)
        if not field:
            return ""
        names.add(field[1].lower())
    known = names & _MAIL_FIELDS
    if len(known) < 3 or not known & _SURE:
        return ""
    is_page = _RELATED.search(head) and not names & {b"to", b"received"}
    return "multipart/related" if is_page else "message/rfc822"
