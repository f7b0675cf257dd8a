"""Meta's ThreatExchange: one privacy group's hashes in (threat_updates), our hashes and opinions out. Decides nothing.

Source: developers.facebook.com/docs/threat-exchange. The token stands in the address of a request, as documented there;
it is in no error, no log and no checkpoint: of the next page's address only the cursor is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlencode, urlsplit

from pydantic import Field

from leadline.domain import Entry, Kind, Tlp
from leadline.errors import (
    ActNotOffered,
    CredentialsRefused,
    ExchangeError,
    InputError,
    LeadlineError,
    SourceBroken,
    SourceUnavailable,
    sentence,
)
from leadline.exchange.connector import (
    Act,
    Checked,
    Checkpoint,
    ListConnector,
    Outgoing,
    Page,
    Sent,
    WebOptions,
)
from leadline.exchange.telling import Telling, Told, begin_at, pull_told
from leadline.exchange.threatexchange_record import REACTIONS, read_updates
from leadline.exchange.web import Web, read_json

_FIELDS = (
    "id,indicator,type,creation_time,last_updated,should_delete,"
    "descriptors{id,owner{id},status,share_level,tags,reactions}"
)
_STALE_S = 85 * 86_400  # deletions are told for 90 days
_MAX_PAGE_BYTES = 64 << 20
_TYPES = {"pdq": "HASH_PDQ", "md5": "HASH_MD5", "sha1": "HASH_SHA1", "sha256": "HASH_SHA256"}
_STATUSES = {
    Kind.ILLEGAL: "MALICIOUS", Kind.EXPLOITATIVE: "MALICIOUS", Kind.OTHER: "SUSPICIOUS",
    Kind.FALSE_POSITIVE: "NON_MALICIOUS", Kind.BENIGN: "NON_MALICIOUS",
}  # fmt: skip
_OPINIONS = {Act.AFFIRM: ("HELPFUL", "SAW_THIS_TOO"), Act.DISPUTE: ("DISAGREE_WITH_TAGS",)}
# Codes of the Graph API (docs/graph-api/guides/error-handling), which it sends with status 400 or 403 alike
_TOKEN_REFUSED, _MAY_NOT = frozenset({102, 190}), frozenset({3, 10, *range(200, 300)})
_TOO_BUSY, _PASSING = frozenset({4, 17, 341}), frozenset({1, 2, 368})
_FORM = "application/x-www-form-urlencoded"


class ThreatExchangeOptions(WebOptions):
    """privacy_group: its number. types: IndicatorTypes asked for, comma between; empty: all of the group.

    description, tags: of the descriptors that a submission makes
    """

    address: str = "https://graph.facebook.com/v21.0"
    privacy_group: str = Field(pattern=r"^\d{1,30}$")
    types: str = Field("", pattern=r"^([A-Z0-9_]+(,[A-Z0-9_]+)*)?$")
    page_size: int = Field(100, ge=1, le=1000)
    description: str = "hash of a file"
    tags: str = ""


class ThreatExchange(ListConnector):
    """Record keys are the ids of indicators. Secret `token`: APP_ID|APP_SECRET.

    An opinion is a reaction on every descriptor of the indicator that is visible to us and not ours. A submission makes
    one descriptor for each fingerprint, for the privacy group alone; its remote_id (descriptor ids, comma between) is
    the key of a later withdrawal.
    """

    name = "threatexchange"
    title = "Meta ThreatExchange threat_updates"
    secret_names = ("token",)
    act_names = frozenset(Act)
    unverified: ClassVar[tuple[str, ...]] = (
        "how large a page may be, and how long the cursor of a page lives",
        "whether an opinion reaches descriptors of other privacy groups that see the same hash",
        "the types HASH_VIDEO_SHA256 and others that only Meta's published client names",
    )
    options_type = ThreatExchangeOptions
    options: ThreatExchangeOptions

    _web: Web | None = None

    @property
    def _where(self) -> str:
        return self.defaults.source or self.name

    def _open(self) -> Web:
        if self._web is None:
            self._web = Web(
                self._where, self.options.address, sleep=self.sleep, timeout_s=self.options.timeout_s,
                ca_file=self.options.ca_file, explain=self._explain,
            )  # fmt: skip
        return self._web

    def close(self) -> None:
        if self._web is not None:
            self._web.close()
            self._web = None

    def _explain(self, status: int, untrusted_body: bytes) -> ExchangeError | None:
        try:
            fault = read_json(untrusted_body, self._where).get("error")
        except SourceBroken:
            return None
        untrusted_code = fault.get("code") if isinstance(fault, dict) else None
        code = untrusted_code if isinstance(untrusted_code, int) else None
        what = sentence("it answers %(status)s, error %(code)s", status=status, code=code)
        if code in _TOKEN_REFUSED:
            return CredentialsRefused(what, where=self._where, mend="give a live token: APP_ID|APP_SECRET")
        if code in _MAY_NOT:
            return CredentialsRefused(what, where=self._where, mend="ask that the app may use this privacy group")
        if code in _TOO_BUSY | _PASSING:
            busy = "too-busy" if code in _TOO_BUSY else "remote-status"
            return SourceUnavailable(what, where=self._where, mend="try later", code=busy)
        return None

    def check(self) -> Checked:
        asked = {"fields": "id,name,members_can_see,members_can_use,threat_updates_enabled"}
        group = self._get(f"/{self.options.privacy_group}", asked)
        notes = []
        if group.get("threat_updates_enabled") is False:
            notes.append("threat_updates is not enabled for this privacy group: ask the ThreatExchange team")
        if group.get("members_can_use") is False:
            notes.append("members may not share with this privacy group: nothing can be submitted")
        name = group.get("name")
        identity = f"privacy group {self.options.privacy_group}" + (f" {name[:100]}" if isinstance(name, str) else "")
        return Checked(identity, tuple(notes))

    def _get(self, path: str, asked: dict[str, Any]) -> dict[str, Any]:
        told = {**asked, "access_token": self.secrets["token"]}
        return read_json(self._open().get(path, told, most_bytes=_MAX_PAGE_BYTES), self._where)

    # --- the list ----------------------------------------------------------------------------------------------------

    def pull(self, checkpoint: Checkpoint | None) -> Iterator[Page]:
        yield from pull_told(checkpoint, self._tell, self.clock, first_s=0, stale_s=_STALE_S)

    def start_at(self, since_s: int) -> Checkpoint:
        return begin_at(since_s, self.clock())

    def _tell(self, telling: Telling) -> Told:
        asked: dict[str, Any] = {"start_time": telling.since_s, "limit": self.options.page_size, "fields": _FIELDS}
        asked |= {"types": self.options.types} if self.options.types else {}
        asked |= {"after": telling.token} if telling.token else {}
        answer = self._get(f"/{self.options.privacy_group}/threat_updates/", asked)
        updates, paging = answer.get("data"), answer.get("paging")
        if not isinstance(updates, list):  # as an empty last page it would take the whole list away
            raise SourceBroken("its answer is no page of updates", where=self._where, mend="retry, tell the source")
        link = paging.get("next") if isinstance(paging, dict) else None
        return read_updates(
            updates, self.defaults, self._where, token=self._cursor(link) if link else "", next_s=telling.next_s
        )

    def _cursor(self, untrusted_link: object) -> str:
        """Of the next page's address, which holds the token, too."""
        try:
            found = parse_qs(urlsplit(untrusted_link).query).get("after") if isinstance(untrusted_link, str) else None
        except ValueError:
            found = None
        if not found or self.secrets["token"] in found[0]:
            raise SourceBroken("its next page has no cursor", where=self._where, mend="retry, then tell the source")
        return found[0]

    # --- sending -----------------------------------------------------------------------------------------------------

    def send(self, outgoing: Sequence[Outgoing]) -> list[Sent]:
        return [self._send(one) for one in outgoing]

    def _send(self, one: Outgoing) -> Sent:
        done: list[str] = []
        try:
            for made in self._act(one):
                done.append(made)
        except LeadlineError as error:  # what was done before it stands, and its ids are told
            return Sent(one, ",".join(done), error)
        return Sent(one, ",".join(done))

    def _act(self, one: Outgoing) -> Iterator[str]:
        """The id of each descriptor that it made, removed, or reacted to."""
        if one.act is Act.SUBMIT:
            yield from self._submit(one)
        elif one.act is Act.WITHDRAW:
            for descriptor in one.key.split(","):
                self._change("DELETE", f"/{self._number(descriptor)}", {})
                yield descriptor
        else:
            yield from self._react(one)

    def _react(self, one: Outgoing) -> Iterator[str]:
        reactions = one.reasons or _OPINIONS[one.act]
        if not REACTIONS.issuperset(reactions):
            raise InputError("not a reaction there", where=self._where, mend=f"use {', '.join(sorted(REACTIONS))}")
        ours, asked = self.secrets["token"].partition("|")[0], {"fields": "id,owner{id}", "limit": 1000}
        found = self._get(f"/{self._number(one.key)}/descriptors", asked).get("data")
        descriptors = [d for d in found if isinstance(d, dict)] if isinstance(found, list) else []
        others = [d for d in descriptors if not (isinstance(d.get("owner"), dict) and d["owner"].get("id") == ours)]
        if not others:
            raise ActNotOffered("no other member's descriptor of it is visible", where=self._where)
        for descriptor in others:
            number = self._number(str(descriptor.get("id")))
            self._change("POST", f"/{number}", {"reactions": ",".join(reactions)})
            yield number

    def _submit(self, one: Outgoing) -> Iterator[str]:
        entry = one.entry
        wanted = [name for name in _TYPES if entry and name in entry.fingerprints and one.algorithm in ("", name)]
        if entry is None or not wanted:
            raise InputError("no fingerprint that it takes", where=self._where, mend=f"it takes {', '.join(_TYPES)}")
        for name in wanted:
            answer = self._change("POST", "/threat_descriptors", self._descriptor(name, entry))
            yield str(answer.get("id", ""))[:40]

    def _descriptor(self, name: str, entry: Entry) -> dict[str, str]:
        """For one privacy group, which goes with share levels RED and AMBER only."""
        fields = {
            "indicator": entry.fingerprints[name].hex(), "type": _TYPES[name], "status": _STATUSES[entry.kind],
            "description": self.options.description, "privacy_type": "HAS_PRIVACY_GROUP",
            "privacy_members": self.options.privacy_group, "share_level": "RED" if entry.tlp is Tlp.RED else "AMBER",
        }  # fmt: skip
        return {**fields, **({"tags": self.options.tags} if self.options.tags else {})}

    def _change(self, method: str, path: str, form: dict[str, str]) -> dict[str, Any]:
        query = urlencode({"access_token": self.secrets["token"]})
        body = self._open().send(method, f"{path}?{query}", content=urlencode(form).encode(), content_type=_FORM)
        answer = read_json(body, self._where)
        if answer.get("success") is not True:
            raise SourceBroken("it does not say that this was done", where=self._where, mend="look there")
        return answer

    def _number(self, untrusted_id: str) -> str:
        """An id as it may stand in an address."""
        if not (untrusted_id.isascii() and untrusted_id.isdigit() and len(untrusted_id) <= 40):
            raise InputError("not an id of this source", where=self._where, mend="give digits")
        return untrusted_id
