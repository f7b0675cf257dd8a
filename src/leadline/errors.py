"""Every error Leadline raises, in one tree; a message never holds evidence, only where and how to mend.

LeadlineError                       what, where, how to mend; `exit_code`, `code` and `permanent` for machines
├── InputError                      fix the input (a file, a line, a hash)
│   ├── HashFormatError             a hash that is not one
│   ├── ListFormatError             a list that cannot be read
│   │   ├── ListBroken              it ends here, and not as it should: what would have followed is not known
│   │   ├── HashesUnknown           a record whose hashes are all of kinds that nobody here can compare
│   │   └── HashRefused             one hash of a list's record; the rest of the record was taken
│   ├── UrlFormatError              a text that is no URL, or a URL that names no place
│   ├── AddressRefused              an address that is not fetched: private, without TLS, redirected too far
│   ├── RequestRefused              a request to the match service that cannot be read; `status` is HTTP's
│   ├── ReportFormatError           an incoming report, or one record of a delivery, that cannot be read
│   ├── CustodyFormatError          a custody line, anchor, timestamp or key that is not one, or may not enter a chain
│   ├── AssetRefused                bytes that were not sealed: too large, or not what their hash says
│   └── UntrustedMediaError         hostile or broken bytes: refused, truncated, too large, undecodable
├── ConfigError                     fix the configuration (an option, a folder, a plug-in)
│   ├── SandboxUnavailable          the kernel cannot isolate decoders: Leadline fails closed
│   ├── KeyUnavailable              a key is absent, open to others, or another one: restore it
│   └── LawDataError                a file of law data (docs/law.md); `where` names file, line and row
├── BankError                       a bank folder
│   ├── BankNotFound                fix the path
│   ├── BankCorrupt                 restore it; call someone
│   └── BankLocked                  retry: another writer is at work
├── ScanError                       a scan as a whole
│   └── WorkerLost                  retry: a worker process or node died
├── OfficeError                     an act of the workbench
│   ├── NotAllowed                  ask somebody who may, or a second person
│   └── WrongState                  the thing has moved on: look at it again
├── ServiceError                    the match service
│   ├── TokenRefused                send a live token
│   ├── ScopeMissing                the token is not for this: use another, or have its scope added
│   ├── TooBusy                     retry after `retry_after_s`: nothing was begun
│   ├── ShardLost                   retry: a shard does not answer, so there is no answer
│   ├── ServiceUnavailable          retry: no answer came, or the service says that it cannot give one now
│   └── AnswerBroken                call someone: what came is not what was asked for, and nothing of it counts
├── FetchFailed                     retry: an address that others named does not answer, or not as it should
├── ExchangeError                   another organisation's system that lists come from or acts go to
│   ├── CredentialsRefused          correct the credentials; they may be those of another environment
│   ├── SourceUnavailable           retry: it does not answer, is too busy, or its certificate is not accepted
│   ├── SourceBroken                what came is not its protocol: nothing of it counts; retry, then tell the source
│   │   └── FeedRefused             a Leadline feed is not what its publisher signed for us: nothing of it counts
│   ├── SourceShrank                a whole list came much smaller than before: look, then pull with --allow-shrink
│   └── ActNotOffered               this source takes no such act
├── BackupFailed                    retry: disk full, a folder or the database away; nothing half-made stays
├── MailboxUnavailable              retry: the mail server that reports are taken from does not answer
├── CustodyError                    what has to prove something later
│   ├── ChainBroken                 stop writing; call someone
│   ├── TimestampFailed             retry, or ask another authority
│   ├── AssetNotFound               no such file is sealed here: check the hash
│   ├── AssetErased                 it was erased, and stays so: a person decided it
│   ├── AssetHeld                   a legal hold forbids to erase it: end the hold first
│   ├── SealBroken                  sealed bytes are damaged, cut or swapped: restore them; call someone
│   ├── ErasureListBroken           the list of erasures is missing, damaged or old: put it back; call someone
│   └── VaultUnavailable            retry: disk full, storage away, or another writer at work
└── Interrupted                     stopped by a person; can be resumed
"""

from __future__ import annotations

from collections.abc import Mapping


class Sentence(str):
    """A sentence with its values in it, which still knows both apart: so a page can say it in another language."""

    template: str
    values: dict[str, object]


def sentence(template: str, **values: object) -> Sentence:
    """`sentence("more than %(most)s items", most=10)`. Values are counts, names of fields and codes; never evidence."""
    made = Sentence(template % values)
    made.template, made.values = template, values
    return made


class LeadlineError(Exception):
    """One fault. `what` happened, `where` (a path, field or id; never evidence), `mend` (what to do)."""

    code = "error"
    exit_code = 1
    permanent = True

    def __init__(self, what: str, *, where: str = "", mend: str = "", code: str | None = None) -> None:
        super().__init__(str(what))
        self.what, self.where, self.mend = str(what), where, str(mend)  # plain text: encoders take no other kind
        self.said = what, mend  # as they were said, for pages in other languages
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        where = f" ({self.where})" if self.where else ""
        mend = f": {self.mend}" if self.mend else ""
        return f"{self.what}{where}{mend}"


class InputError(LeadlineError):
    code = "input"


class HashFormatError(InputError):
    code = "hash-format"


class ListFormatError(InputError):
    code = "list-format"


class ListBroken(ListFormatError):
    """Not one record: the list ends here, so that what it does not tell may be in what is missing."""


class HashesUnknown(ListFormatError):
    """kept: {kind: text}, bounded; source_id: the list's own name of the record, or empty."""

    kept: Mapping[str, str] = {}
    source_id: str = ""


class HashRefused(ListFormatError):
    code = "hash-refused"


class UrlFormatError(InputError):
    """`code`: url-format, url-too-long, url-no-place (mailto:, javascript:), url-holds-content (data:)."""

    code = "url-format"


class ReportFormatError(InputError):
    """`field` is the column or element at fault, or empty where the whole record is."""

    code = "report-format"

    def __init__(self, what: str, *, where: str = "", mend: str = "", code: str | None = None, field: str = "") -> None:
        super().__init__(what, where=where, mend=mend, code=code)
        self.field = field


class AddressRefused(InputError):
    """`code`: private-address, unresolved, no-tls, redirects."""

    code = "address-refused"


class RequestRefused(InputError):
    """`code`: body, too-large, media-type, length, timeout."""

    code = "body"

    def __init__(
        self, what: str, *, status: int = 422, where: str = "", mend: str = "", code: str | None = None
    ) -> None:
        super().__init__(what, where=where, mend=mend, code=code)
        self.status = status


class CustodyFormatError(InputError):
    code = "custody-format"


class AssetRefused(InputError):
    """`code`: asset-too-large, asset-hash-differs."""

    code = "asset-refused"


class UntrustedMediaError(InputError):
    """Bytes that could not be turned into pixels or parts. `code` is one of media.wire.Status, in kebab case."""

    code = "undecodable"


class ConfigError(LeadlineError):
    code = "config"
    exit_code = 2


class SandboxUnavailable(ConfigError):
    code = "sandbox-unavailable"
    exit_code = 1


class KeyUnavailable(ConfigError):
    code = "key-unavailable"


class LawDataError(ConfigError):
    code = "law-data"


class BankError(LeadlineError):
    code = "bank"


class BankNotFound(BankError):
    code = "bank-not-found"


class BankCorrupt(BankError):
    code = "bank-corrupt"


class BankLocked(BankError):
    code = "bank-locked"
    permanent = False


class ScanError(LeadlineError):
    code = "scan"


class WorkerLost(ScanError):
    code = "worker-lost"
    permanent = False


class OfficeError(LeadlineError):
    code = "office"


class NotAllowed(OfficeError):
    code = "not-allowed"


class WrongState(OfficeError):
    code = "wrong-state"


class ServiceError(LeadlineError):
    code = "service"


class TokenRefused(ServiceError):
    code = "token"


class ScopeMissing(ServiceError):
    code = "scope"


class TooBusy(ServiceError):
    """`code`: too-many-requests (of this token), busy (of all)."""

    code = "busy"
    permanent = False

    def __init__(self, what: str, *, retry_after_s: float, code: str | None = None) -> None:
        super().__init__(what, code=code)
        self.retry_after_s = retry_after_s


class ShardLost(ServiceError):
    code = "shard-lost"
    permanent = False


class ServiceUnavailable(ServiceError):
    """`code`: unreachable (nothing was sent), unavailable (no answer came), or what the service called it."""

    code = "unavailable"
    permanent = False

    def __init__(
        self, what: str, *, where: str = "", mend: str = "", code: str | None = None, retry_after_s: float = 0
    ) -> None:
        super().__init__(what, where=where, mend=mend, code=code)
        self.retry_after_s = retry_after_s


class AnswerBroken(ServiceError):
    code = "answer-broken"


class FetchFailed(LeadlineError):
    """`code`: timeout, no-answer, certificate, remote-status, cut-short, encoded."""

    code = "fetch-failed"
    permanent = False


class ExchangeError(LeadlineError):
    code = "exchange"


class CredentialsRefused(ExchangeError):
    code = "credentials-refused"


class SourceUnavailable(ExchangeError):
    """`code`: no-answer, timeout, certificate, too-busy, remote-status. retry_after_s: what was asked for, or 0."""

    code = "no-answer"
    permanent = False

    def __init__(
        self, what: str, *, where: str = "", mend: str = "", code: str | None = None, retry_after_s: float = 0.0
    ) -> None:
        super().__init__(what, where=where, mend=mend, code=code)
        self.retry_after_s = retry_after_s


class SourceBroken(ExchangeError):
    """`code`: source-broken, cut-short, too-large, redirected, page-expired."""

    code = "source-broken"
    permanent = False


class FeedRefused(SourceBroken):
    """`code`: unsigned, rolled-back, expired, mixed, missing, damaged, not-for-us."""

    code = "unsigned"
    permanent = True


class SourceShrank(ExchangeError):
    code = "source-shrank"


class ActNotOffered(ExchangeError):
    code = "act-not-offered"


class MailboxUnavailable(LeadlineError):
    code = "mailbox-unavailable"
    permanent = False


class CustodyError(LeadlineError):
    code = "custody"


class ChainBroken(CustodyError):
    code = "chain-broken"


class TimestampFailed(CustodyError):
    code = "timestamp-failed"
    permanent = False


class AssetNotFound(CustodyError):
    code = "asset-not-found"


class AssetErased(CustodyError):
    code = "asset-erased"


class AssetHeld(CustodyError):
    code = "asset-held"


class SealBroken(CustodyError):
    code = "seal-broken"


class ErasureListBroken(CustodyError):
    code = "erasure-list-broken"


class VaultUnavailable(CustodyError):
    code = "vault-unavailable"
    permanent = False


class BackupFailed(LeadlineError):
    code = "backup-failed"
    permanent = False


class Interrupted(LeadlineError):
    code = "interrupted"
    exit_code = 130
    permanent = False
