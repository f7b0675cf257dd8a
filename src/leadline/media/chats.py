"""Exported chats that are JSON (Telegram, Discord) -> one conversation a member. Inside the sandbox only.

Sources: Telegram Desktop, export/output/export_output_json.cpp (github.com/telegramdesktop/tdesktop);
DiscordChatExporter, Exporting/JsonMessageWriter.cs (github.com/Tyrrrz/DiscordChatExporter). Discord itself exports no
conversations. Read-only: nothing of the export is changed, and what is not read here stays in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import BinaryIO

from leadline.media.json_events import first_text, read_events
from leadline.media.outlet import Counted, name_member, status_of
from leadline.media.transcript import MAX_TEXT, Message, write_message
from leadline.media.wire import Skipped, Status

_MAX_VALUES = 1000  # of one key of one message: a text in more pieces is cut

Values = dict[str, list[object]]


@dataclass(slots=True)
class Fields:
    """The values of one JSON object by their places in it, bounded."""

    values: Values = field(default_factory=dict)
    cut: bool = False

    def add(self, name: str, value: object) -> None:
        if value is None:
            return
        values = self.values.setdefault(name, [])
        if len(values) >= _MAX_VALUES:
            self.cut = True
        elif isinstance(value, str) and len(value) > MAX_TEXT:
            values.append(value[:MAX_TEXT])
            self.cut = True
        else:
            values.append(value)

    def get(self, *names: str) -> str:
        for name in names:
            if (values := self.values.get(name)) and (text := first_text(values)):
                return text
        return ""

    def all(self, *names: str) -> list[str]:
        return [v for name in names for v in self.values.get(name, ()) if isinstance(v, str) and v]


class Conversation:
    """One member made of messages; begun when the first message or its list comes."""

    def __init__(self, out: Counted, name: str, facts: dict[str, str]) -> None:
        self._out = out
        self._wanted = out.begin(name_member(name or "conversation"), 0, Status.OK, facts)

    def write(self, message: Message) -> None:
        line = write_message(message)
        if not self._wanted:
            self._out.spend(len(line))
            return
        try:
            self._out.write(line)
        except Skipped:
            self._wanted = False

    def end(self, status: Status = Status.OK) -> None:
        if self._wanted:
            self._out.end(status)


@dataclass(frozen=True, slots=True)
class _Export:
    """How one exporter writes: where its lists of messages are, and what a message and its chat say."""

    lists: tuple[str, ...]
    wanted: Mapping[str, str]  # place in a message -> which field it fills, in the order in which they come
    about: frozenset[str]
    read_message: Callable[[Fields], Message]
    tell_chat: Callable[[Fields], tuple[str, dict[str, str]]]


def unpack_telegram(source: BinaryIO, out: Counted) -> Status:
    """The export of one chat, or of an account (its chats and the ones it left)."""
    return _unpack(source, out, _TELEGRAM)


def unpack_discord(source: BinaryIO, out: Counted) -> Status:
    return _unpack(source, out, _DISCORD)


def _unpack(source: BinaryIO, out: Counted, export: _Export) -> Status:
    chats = [place.removesuffix("messages") for place in export.lists]  # chats.list.item.
    told = {prefix + name: name for prefix in chats for name in export.about}
    items = {f"{place}.item" for place in export.lists}
    wanted = {f"{item}.{place}": name for item in items for place, name in export.wanted.items()}
    about, message = Fields(), Fields()
    conversation: Conversation | None = None
    seen = False
    try:
        for place, kind, value in read_events(source):
            if name := wanted.get(place):
                message.add(name, value)
            elif place in items and kind == "end_map" and conversation:
                conversation.write(export.read_message(message))
                message = Fields()
            elif place in export.lists and kind == "start_array":
                seen = True
                conversation = Conversation(out, *export.tell_chat(about))
            elif place in export.lists and kind == "end_array" and conversation:
                conversation.end()
                conversation = None
            elif kind == "end_map" and f"{place}." in chats:
                about = Fields()
            elif place in told:
                about.add(told[place], value)
    except (EOFError, ValueError) as error:
        status = status_of(error)
        if conversation:
            conversation.end(status)
        return status
    return Status.OK if seen else Status.UNSUPPORTED


def _same(*places: str) -> dict[str, str]:
    return {place: place for place in places}


# --- Telegram --------------------------------------------------------------------------------------------------------


def _read_telegram(fields: Fields) -> Message:
    files = fields.all("photo", "file")
    kept = [one for one in files if not one.startswith("(")]  # "(File not included. Change data exporting settings ..."
    at, raw = fields.get("date"), ""
    seconds = fields.get("date_unixtime")
    if seconds.isascii() and seconds.isdigit() and len(seconds) <= 10:
        at, raw = datetime.fromtimestamp(int(seconds), UTC).isoformat().replace("+00:00", "Z"), at
    service = fields.get("type") == "service"
    return Message(
        at=at,
        at_raw=raw,
        author=fields.get("from", "actor"),
        author_id=fields.get("from_id", "actor_id"),
        text="".join(fields.all("text")) or fields.get("action"),
        kind="service" if service else "message",
        attachments=kept,
        absent=len(kept) < len(files),
        id=fields.get("id"),
        reply_to=fields.get("reply_to_message_id"),
        links=fields.all("href"),
        cut=fields.cut,
    )


def _tell_telegram(about: Fields) -> tuple[str, dict[str, str]]:
    name = about.get("name")
    facts = {"format": "telegram", "role": "messages", "title": name}
    return name, facts | {"chat_type": about.get("type"), "chat_id": about.get("id")}


_TELEGRAM = _Export(
    lists=("messages", "chats.list.item.messages", "left_chats.list.item.messages"),
    wanted={
        **_same("id", "type", "date", "date_unixtime", "from", "from_id", "actor", "actor_id", "action"),
        **_same("photo", "file", "reply_to_message_id", "text"),
        **{"text.item": "text", "text.item.text": "text", "text.item.href": "href"},
    },
    about=frozenset(("name", "type", "id")),
    read_message=_read_telegram,
    tell_chat=_tell_telegram,
)


# --- Discord ---------------------------------------------------------------------------------------------------------

# IsSystemNotification in Discord/Data/MessageKind.cs: kinds 1 to 18, of which those it knows are written by name and
# the others as numbers. Every other kind is a message that someone wrote.
_DISCORD_SERVICE = frozenset(
    (
        *("RecipientAdd", "RecipientRemove", "Call", "ChannelNameChange", "ChannelIconChange", "ChannelPinnedMessage"),
        *("GuildMemberJoin", "ThreadCreated", *map(str, range(1, 19))),
    )
)


def _read_discord(fields: Fields) -> Message:
    return Message(
        at=fields.get("timestamp"),
        author=fields.get("author.nickname", "author.name"),
        author_id=fields.get("author.id"),
        text="\n".join(fields.all("content")),
        kind="service" if fields.get("type") in _DISCORD_SERVICE else "message",
        attachments=fields.all("attachments.item.url"),
        id=fields.get("id"),
        reply_to=fields.get("reference.messageId"),
        links=fields.all("embeds.item.url", "stickers.item.sourceUrl"),
        cut=fields.cut,
    )


def _tell_discord(about: Fields) -> tuple[str, dict[str, str]]:
    names = (about.get(name) for name in ("guild.name", "channel.category", "channel.name"))
    title = " / ".join(filter(None, names))
    facts = {"format": "discord", "role": "messages", "title": title, "exported_at": about.get("exportedAt")}
    return title, facts | {"chat_type": about.get("channel.type"), "chat_id": about.get("channel.id")}


_DISCORD = _Export(
    lists=("messages",),
    wanted={
        **_same("id", "type", "timestamp", "content", "author.id", "author.name", "author.nickname"),
        **_same("attachments.item.url", "embeds.item.url", "stickers.item.sourceUrl", "reference.messageId"),
        **{"forwardedMessage.content": "content", "forwardedMessage.attachments.item.url": "attachments.item.url"},
    },
    about=frozenset(
        ("guild.name", "channel.id", "channel.type", "channel.category", "channel.name", "exportedAt")
    ),
    read_message=_read_discord,
    tell_chat=_tell_discord,
)
