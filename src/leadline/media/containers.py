"""One hostile container -> its members, each format by its own reader. Runs inside the sandbox only; opens no second.

Nothing is fetched, no link is followed, no script is run. What a damaged container still yields is yielded before
the error. A container within a container is a member: opening it is for the caller, within its limits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

from leadline.media import archives, charsets, chats, har, mail, sevenzip, signatures, warc, whatsapp, zips
from leadline.media.keyring import DKIM_CHECK
from leadline.media.limits import Limits
from leadline.media.outlet import Counted, Outlet, status_of
from leadline.media.sniff import sniff
from leadline.media.wire import Refused, Status


def prepare() -> None:
    """Load now what the libraries would look for later, when nothing can be opened any more."""
    archives.prepare()
    charsets.prepare()
    mail.prepare()
    signatures.prepare()


def unpack(source: BinaryIO, size_bytes: int, limits: Limits, outlet: Outlet, mime: str = "") -> Status:
    """Stream every member of the container at `source` to `outlet`; how it ended. Raises nothing but Refused."""
    counted = Counted(outlet, size_bytes, limits)
    try:
        source.seek(0)
        mime = mime or sniff(source.read(4096))
        source.seek(0)
        reader = _READERS.get(mime)
        return reader(source, counted) if reader else Status.UNSUPPORTED
    except MemoryError:
        return Status.OUT_OF_MEMORY
    except Refused as refused:
        return refused.status
    except Exception as error:
        return status_of(error)


def _unpack_gzip(source: BinaryIO, out: Counted) -> Status:
    if warc.is_packed(source):
        return warc.unpack_warc(source, out)
    return archives.unpack_stream("application/gzip", source, out)


_READERS: dict[str, Callable[[BinaryIO, Counted], Status]] = {
    "application/zip": zips.unpack_zip,
    "application/wacz": zips.unpack_zip,
    "application/x-7z-compressed": sevenzip.unpack_7z,
    "application/x-tar": archives.unpack_tar,
    "application/gzip": _unpack_gzip,
    "application/x-bzip2": lambda source, out: archives.unpack_stream("application/x-bzip2", source, out),
    "application/x-xz": lambda source, out: archives.unpack_stream("application/x-xz", source, out),
    "message/rfc822": mail.unpack_mail,
    "multipart/related": mail.unpack_mail,
    "application/warc": warc.unpack_warc,
    "application/har+json": har.unpack_har,
    "application/x-telegram-export+json": chats.unpack_telegram,
    "application/x-discord-export+json": chats.unpack_discord,
    "text/x-whatsapp-chat": whatsapp.unpack_whatsapp,
    DKIM_CHECK: signatures.check_signatures,
}
