"""An IMAP folder that reports are sent to: mails one by one, and what becomes of each. Reads nothing in them."""

from __future__ import annotations

import imaplib
import re
import ssl
from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple, Self

from leadline.errors import ConfigError, MailboxUnavailable
from leadline.workbench.reports.mail import MAX_MAIL_BYTES

_TIMEOUT_S = 30
_MAX_A_ROUND = 200
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_SIZE = re.compile(rb"RFC822\.SIZE (\d{1,18})")
_VALIDITY = re.compile(rb"\d{1,18}")
_CAME = re.compile(rb'INTERNALDATE "([0-9A-Za-z :+-]{20,30})"')


class Fate(StrEnum):
    """What becomes of a mail after it was taken in."""

    EXPUNGE = "expunge"  # media may not be kept here, so neither in the mailbox
    KEEP = "keep"  # marked as read
    LEAVE = "leave"  # could not be taken in: marked, for a person to look at


class Letter(NamedTuple):
    """name: of this mail in this folder for ever (UIDVALIDITY and UID); data: None where it is too large."""

    name: str
    uid: str
    data: bytes | None


class Mailbox:
    """A context manager. Raises MailboxUnavailable (try again) and ConfigError (folder or rights are wrong)."""

    def __init__(self, server: Mapping[str, Any]) -> None:
        self._server = server
        self._imap: imaplib.IMAP4 | None = None
        self._validity = ""

    def __enter__(self) -> Self:
        try:
            self._imap = self._connect()
            self._open_folder(self._imap)
        except (OSError, imaplib.IMAP4.error) as error:
            self._close()
            raise _fault(error) from None
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _connect(self) -> imaplib.IMAP4:
        host, port = self._server["host"], int(self._server["port"])
        context = ssl.create_default_context()
        if self._server["scheme"] == "imaps":
            imap: imaplib.IMAP4 = imaplib.IMAP4_SSL(host, port, ssl_context=context, timeout=_TIMEOUT_S)
        else:
            imap = imaplib.IMAP4(host, port, timeout=_TIMEOUT_S)
            if host not in _LOOPBACK:
                imap.starttls(context)
        self._imap = imap
        try:
            imap.login(self._server["user"], self._server["password"])
        except imaplib.IMAP4.error:
            mend = "check user and password"
            raise ConfigError("the mail server refuses to sign in", where="LEADLINE_IMAP_URL", mend=mend) from None
        return imap

    def _open_folder(self, imap: imaplib.IMAP4) -> None:
        folder = self._server["path"] or "INBOX"
        if not re.fullmatch(r"[^\"\\\x00-\x1f\x7f-\uffff]{1,200}", folder):
            raise ConfigError("no name of a folder", where="LEADLINE_IMAP_URL", mend="use plain letters")
        status, _ = imap.select(f'"{folder}"')
        if status != "OK":
            raise ConfigError("no such folder", where="LEADLINE_IMAP_URL", mend="check its name and rights")
        found = _VALIDITY.search((imap.response("UIDVALIDITY")[1] or [b""])[0] or b"")
        self._validity = found[0].decode() if found else "0"
        if not self._expunges_one and self._deleted():
            raise _others_deleted()

    def letters(self) -> Iterator[Letter]:
        """Unread ones, oldest first; none is marked by reading it here."""
        try:
            _, found = self._open.uid("SEARCH", "UNSEEN", "UNDELETED")
            for uid in (found[0] or b"").decode("ascii").split()[:_MAX_A_ROUND]:
                yield Letter(f"{self._validity}-{uid}", uid, self._fetch(uid))
        except (OSError, imaplib.IMAP4.error) as error:
            raise _fault(error) from None

    def waits_since(self) -> datetime | None:
        """When the oldest unread mail came to the server, of those that are next to be taken; None: none waits."""
        try:
            _, found = self._open.uid("SEARCH", "UNSEEN", "UNDELETED")
            uids = (found[0] or b"").decode("ascii").split()[:_MAX_A_ROUND]
            if not uids:
                return None
            _, told = self._open.uid("FETCH", ",".join(uids), "(INTERNALDATE)")
        except (OSError, imaplib.IMAP4.error) as error:
            raise _fault(error) from None
        times = [_time_of(part) for part in told if isinstance(part, bytes)]
        return min((time for time in times if time is not None), default=None)

    def _fetch(self, uid: str) -> bytes | None:
        _, told = self._open.uid("FETCH", uid, "(RFC822.SIZE)")
        size = _SIZE.search(b" ".join(part if isinstance(part, bytes) else part[0] for part in told if part))
        if size is None or int(size[1]) > MAX_MAIL_BYTES:
            return None
        _, told = self._open.uid("FETCH", uid, "(BODY.PEEK[])")
        return next((bytes(part[1]) for part in told if isinstance(part, tuple)), None)

    def settle(self, letter: Letter, fate: Fate) -> None:
        """After the report is on disk. Doing it twice does no harm."""
        flags = {Fate.EXPUNGE: r"(\Deleted)", Fate.KEEP: r"(\Seen)", Fate.LEAVE: r"(\Seen \Flagged)"}[fate]
        try:
            self._open.uid("STORE", letter.uid, "+FLAGS.SILENT", flags)
            if fate is Fate.EXPUNGE:
                self._expunge(letter.uid)
        except (OSError, imaplib.IMAP4.error) as error:
            raise _fault(error) from None

    def _expunge(self, uid: str) -> None:
        """Without UIDPLUS (RFC 4315) a server expunges all that is marked, also what others may still want back."""
        if self._expunges_one:
            self._open.uid("EXPUNGE", uid)
        elif self._deleted() <= {uid}:
            self._open.expunge()
        else:
            self._open.uid("STORE", uid, "-FLAGS.SILENT", r"(\Deleted)")
            raise _others_deleted()

    def _deleted(self) -> set[str]:
        _, found = self._open.uid("SEARCH", "DELETED")
        return set((found[0] or b"").decode("ascii").split())

    @property
    def _expunges_one(self) -> bool:
        """Asked after the sign-in: before it servers name only what matters there, and `imaplib` asks no more."""
        _, told = self._open.capability()
        return b"UIDPLUS" in (told[0] or b"").upper().split()

    @property
    def _open(self) -> imaplib.IMAP4:
        assert self._imap is not None, "use it as a context manager"
        return self._imap

    def _close(self) -> None:
        imap, self._imap = self._imap, None
        if imap is None:
            return
        try:
            imap.logout()
        except (OSError, imaplib.IMAP4.error):
            return  # it is gone already


def _time_of(untrusted_answer: bytes) -> datetime | None:
    found = _CAME.search(untrusted_answer)
    try:
        return None if found is None else datetime.strptime(found[1].decode("ascii").strip(), "%d-%b-%Y %H:%M:%S %z")
    except (ValueError, OverflowError):
        return None


def _fault(error: Exception) -> MailboxUnavailable:
    return MailboxUnavailable(f"the mail server does not answer: {type(error).__name__}", where="LEADLINE_IMAP_URL")


def _others_deleted() -> ConfigError:
    what = "mails that others marked as deleted lie in the folder, and this server cannot expunge one mail alone"
    return ConfigError(what, where="LEADLINE_IMAP_URL", mend="expunge them, and give Leadline a folder of its own")
