"""The type of a file from its first bytes, never from its name. Compares bytes at fixed offsets; parses nothing."""

from __future__ import annotations

from leadline.media.sniff_text import sniff_text

UNKNOWN = "application/octet-stream"

PICTURE_TYPES = frozenset(
    {
        "image/jpeg",
        "image/png",
        "image/gif",
        "image/webp",
        "image/avif",
        "image/heic",
        "image/bmp",
        "image/tiff",
        "image/x-icon",
    }
)
ARCHIVE_TYPES = frozenset(
    {
        "application/zip",
        "application/wacz",  # a zip of web captures
        "application/x-7z-compressed",
        "application/x-tar",
        "application/gzip",
        "application/x-bzip2",
        "application/x-xz",
    }
)
# What else is opened for what it holds: mails and web captures, whose files are stored in them ...
REPORT_TYPES = frozenset({"message/rfc822", "multipart/related", "application/warc", "application/har+json"})
# ... and exported chats, which hold words only; their files lie beside them.
CHAT_TYPES = frozenset(
    {"application/x-telegram-export+json", "application/x-discord-export+json", "text/x-whatsapp-chat"}
)
CONTAINER_TYPES = ARCHIVE_TYPES | REPORT_TYPES | CHAT_TYPES
AV_TYPES = frozenset(
    {
        "video/mp4",
        "video/quicktime",
        "video/3gpp",
        "video/x-matroska",
        "video/webm",
        "video/x-msvideo",
        "video/mp2t",
        "video/mpeg",
        "video/x-flv",
        "video/x-ms-asf",
        "video/ogg",
        "audio/ogg",
        "audio/wav",
        "audio/mpeg",
        "audio/aac",
        "audio/flac",
        "audio/mp4",
        "audio/amr",
        "audio/aiff",
        "audio/midi",
    }
)

# Recognised so that a finding can say of them what was not done: type -> its name for people.
NOT_OPENED = {
    "application/vnd.rar": "RAR",
    "application/zstd": "Zstandard",
    "application/pdf": "PDF",
    "application/x-ole-storage": "OLE (old Office documents, Outlook messages)",
    "application/vnd.ms-cab-compressed": "CAB",
    "application/x-arj": "ARJ",
    "application/x-lha": "LHA",
    "application/x-lzip": "lzip",
    "application/x-lz4": "LZ4",
    "application/x-compress": "compress (.Z)",
    "application/x-cpio": "cpio",
    "application/x-squashfs": "SquashFS",
    "application/vnd.sqlite3": "SQLite",
}
NOT_DECODED = {
    "image/jp2": "JPEG 2000",
    "image/jxl": "JPEG XL",
    "image/jxr": "JPEG XR",
    "image/vnd.adobe.photoshop": "PSD",
    "image/svg+xml": "SVG",
    "image/x-xcf": "XCF",
    "image/x-exr": "OpenEXR",
    "image/vnd.djvu": "DjVu",
    "image/vnd-ms.dds": "DDS",
    "image/emf": "EMF",
    "image/wmf": "WMF",
    "image/qoi": "QOI",
    "image/icns": "ICNS",
    "image/x-canon-cr3": "Canon CR3",
    "image/x-fuji-raf": "Fujifilm RAF",
}

_STARTS: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"II+\0", "image/tiff"),
    (b"MM\0+", "image/tiff"),
    (b"PK\x03\x04", "application/zip"),
    (b"PK\x05\x06", "application/zip"),
    (b"PK\x07\x08", "application/zip"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"\x1f\x8b\x08", "application/gzip"),
    (b"\xfd7zXZ\0", "application/x-xz"),
    (b"\x1aE\xdf\xa3", "video/x-matroska"),
    (b"FLV\x01", "video/x-flv"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "video/x-ms-asf"),
    (b"\0\0\x01\xba", "video/mpeg"),
    (b"\0\0\x01\xb3", "video/mpeg"),
    (b"OggS", "audio/ogg"),
    (b"fLaC", "audio/flac"),
    (b"ID3", "audio/mpeg"),
    (b"#!AMR", "audio/amr"),
    (b"MThd\0\0\0\x06", "audio/midi"),
    (b"%PDF-", "application/pdf"),
    (b"Rar!\x1a\x07", "application/vnd.rar"),
    (b"\x28\xb5\x2f\xfd", "application/zstd"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
    (b"MSCF\0\0\0\0", "application/vnd.ms-cab-compressed"),
    (b"LZIP\x01", "application/x-lzip"),
    (b"\x04\x22\x4d\x18", "application/x-lz4"),
    (b"\x1f\x9d\x90", "application/x-compress"),
    (b"070701", "application/x-cpio"),
    (b"070702", "application/x-cpio"),
    (b"070707", "application/x-cpio"),
    (b"hsqs", "application/x-squashfs"),
    (b"SQLite format 3\0", "application/vnd.sqlite3"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "image/jp2"),
    (b"\xff\x4f\xff\x51", "image/jp2"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "image/jxl"),
    (b"II\xbc\x01", "image/jxr"),
    (b"8BPS\0\x01", "image/vnd.adobe.photoshop"),
    (b"8BPS\0\x02", "image/vnd.adobe.photoshop"),
    (b"gimp xcf ", "image/x-xcf"),
    (b"\x76\x2f\x31\x01", "image/x-exr"),
    (b"AT&TFORM", "image/vnd.djvu"),
    (b"DDS \x7c\0\0\0", "image/vnd-ms.dds"),
    (b"\xd7\xcd\xc6\x9a\0\0", "image/wmf"),
    (b"qoif\0", "image/qoi"),
    (b"icns\0", "image/icns"),
    (b"FUJIFILMCCD-RAW ", "image/x-fuji-raf"),
    (b"WARC/1.", "application/warc"),
    (b"WARC/0.1", "application/warc"),
)
_RIFF = {b"WEBP": "image/webp", b"AVI ": "video/x-msvideo", b"WAVE": "audio/wav"}
# Brands of ISO base media files (mp4ra.org); a still-picture brand wins over mif1/msf1, which say only "a container".
_AVIF = {b"avif", b"avis"}
_HEIC = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs"}
_STILL = {b"mif1", b"msf1", b"mif2", b"1pic"}
_MP4_BOXES = {b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"}  # a QuickTime file may lack ftyp


def sniff(head: bytes) -> str:
    """MIME type from the first <= 4096 bytes of a file; "application/octet-stream" where nothing fits."""
    head = bytes(head[:4096])
    for start, mime in _STARTS:
        if head.startswith(start):
            return _refine(mime, head)
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12], UNKNOWN)
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return "audio/aiff"
    if head[4:8] == b"ftyp":
        return _iso_media(head)
    if head[4:8] in _MP4_BOXES:
        return "video/quicktime"
    return _weak(head)


def _refine(mime: str, head: bytes) -> str:
    if mime == "video/x-matroska" and b"webm" in head[:64]:
        return "video/webm"
    if mime == "audio/ogg" and (b"theora" in head[28:36] or head[28:33] == b"BBCD\0"):
        return "video/ogg"
    if mime == "application/zip" and _is_wacz(head):
        return "application/wacz"
    return mime


def _is_wacz(head: bytes) -> bool:
    """The first name in the zip is one that the format prescribes (specs.webrecorder.net/wacz/1.1.1, section 4)."""
    name = head[30 : 30 + int.from_bytes(head[26:28], "little")]
    return name == b"datapackage.json" or (name.startswith(b"archive/") and name.endswith((b".warc", b".warc.gz")))


def _iso_media(head: bytes) -> str:
    size = min(int.from_bytes(head[:4], "big"), len(head))
    major, brands = head[8:12], {head[at : at + 4] for at in range(16, size - 3, 4)}
    for brand, mime in ((_AVIF, "image/avif"), (_HEIC, "image/heic")):
        if major in brand:
            return mime
    if major == b"crx ":
        return "image/x-canon-cr3"
    if major in _STILL:
        return "image/avif" if brands & _AVIF else "image/heic"
    if major == b"qt  ":
        return "video/quicktime"
    if major[:3] in (b"3gp", b"3g2"):
        return "video/3gpp"
    return "audio/mp4" if major[:3] in (b"M4A", b"M4B") else "video/mp4"


def _weak(head: bytes) -> str:
    """Types whose marks are short: tried last, each with a second condition."""
    if head[:3] == b"BZh" and head[3:4] in b"123456789" and head[4:10] in (b"1AY&SY", b"\x17rE8P\x90"):
        return "application/x-bzip2"
    if head[257:262] == b"ustar" or _is_old_tar(head):
        return "application/x-tar"
    if head[:2] == b"BM" and head[14:18] in _BMP_HEADERS:
        return "image/bmp"
    if head[:4] == b"\0\0\x01\0" and head[4:6] != b"\0\0" and head[9:10] == b"\0":
        return "image/x-icon"
    if head[:1] == b"\x47" and head[188:189] == b"\x47" and head[376:377] == b"\x47":
        return "video/mp2t"
    if len(head) > 2 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
        return "audio/aac"
    if len(head) > 2 and head[0] == 0xFF and head[1] & 0xE6 in (0xE2, 0xE4) and head[2] & 0xF0 != 0xF0:
        return "audio/mpeg"
    if head[:2] == b"\xff\x0a" and len(head) > 2:  # its codestream, bare: no longer mark exists (ISO 18181-1)
        return "image/jxl"
    if head[:4] == b"\x01\0\0\0" and head[40:44] == b" EMF":
        return "image/emf"
    if head[:2] == b"\x60\xea" and head[10:11] in (b"\0", b"\x01", b"\x02"):
        return "application/x-arj"
    if head[2:5] == b"-lh" and head[6:7] == b"-":
        return "application/x-lha"
    return sniff_text(head) or UNKNOWN


_BMP_HEADERS = {size.to_bytes(4, "little") for size in (12, 16, 40, 52, 56, 64, 108, 124)}


def _is_old_tar(head: bytes) -> bool:
    """A V7 tar header has no magic; its checksum (octal at 148) of the other 504 bytes is the mark."""
    field = head[148:156].strip(b" \0")
    if len(head) < 512 or not head[0] or not 0 < len(field) <= 7 or field.strip(b"01234567"):
        return False
    return sum(head[:148]) + 8 * 32 + sum(head[156:512]) == int(field, 8)


ZIP_END_BYTES = 22 + 0xFFFF  # its record and the longest comment


def ends_as_zip(tail: bytes) -> bool:
    """Whether a file's last bytes (ZIP_END_BYTES of them, or all) are the end of a ZIP with something in it.

    A ZIP is read from its end, so it may stand behind a picture or a program; `sniff` sees only what is in front.
    """
    at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) - at < 22:
        return False
    members, comment_bytes = (int.from_bytes(tail[at + start : at + start + 2], "little") for start in (10, 20))
    return members > 0 and tail[at + 4 : at + 8] == bytes(4) and at + 22 + comment_bytes <= len(tail)
