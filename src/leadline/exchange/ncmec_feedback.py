"""What we tell NCMEC of its entries: that one is right, or why not. Each act is sent once."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote
from xml.sax.saxutils import escape

from leadline.errors import ActNotOffered, CredentialsRefused, ExchangeError
from leadline.exchange.connector import Act, Outgoing, Sent
from leadline.exchange.ncmec_xml import parse_document
from leadline.exchange.web import Web

NAMESPACE = "https://hashsharing.ncmec.org/hashsharing/v2"
TYPES = {
    "md5": "MD5", "sha1": "SHA1", "photodna": "PDNA", "pdq": "PDQ", "netclean": "NETCLEAN",
    "videntifier": "VIDENTIFIER", "tmk_pdqf": "TMK_PDQF", "ssvh_pdna": "SSVH_PDNA",
    "ssvh_safer_hash": "SSVH_SAFER_HASH",
}  # fmt: skip
_MOST_BYTES = 1 << 20


class Feedback:
    """Over one source's address. where: its name, for errors."""

    def __init__(self, web: Web, where: str) -> None:
        self._web, self._where = web, where
        self._known: dict[str, dict[str, str]] = {}

    def reasons(self, algorithm: str) -> dict[str, str]:
        """Code -> name of the reasons that a dispute about this kind of fingerprint may give; codes differ between
        environments. ActNotOffered for a kind that NCMEC does not know."""
        if algorithm not in self._known:
            untrusted = self._web.get(f"/v2/feedback/{_type_of(algorithm)}/reasons", most_bytes=_MOST_BYTES)
            found = parse_document(untrusted, "", self._where).iter("{*}reason")
            self._known[algorithm] = {one.get("guid") or "": (one.get("name") or "")[:200] for one in found}
        return self._known[algorithm]

    def send(self, outgoing: Sequence[Outgoing]) -> list[Sent]:
        """Each act's outcome, in order."""
        sent: list[Sent] = []
        for act in outgoing:
            try:
                self._send_one(act)
                sent.append(Sent(act))
            except ExchangeError as error:
                sent.append(Sent(act, error=error))
                if isinstance(error, CredentialsRefused):  # one refusal is enough: more may lock the account
                    return [*sent, *(Sent(other, error=error) for other in outgoing[len(sent) :])]
        return sent

    def _send_one(self, outgoing: Outgoing) -> None:
        member, _, entry_id = outgoing.key.partition("-")
        if not (member.isdigit() and entry_id):
            raise ActNotOffered("not the key of an entry", where=outgoing.key[:100], mend="give MEMBER-ID")
        path = f"/v2/entries/{member}/{quote(entry_id, safe='')}/{_type_of(outgoing.algorithm)}/feedback"
        body = f'<feedbackSubmission xmlns="{NAMESPACE}">{self._said(outgoing)}</feedbackSubmission>'
        self._web.send("PUT", path, content=body.encode(), content_type="application/xml")

    def _said(self, outgoing: Outgoing) -> str:
        if outgoing.act is Act.AFFIRM:
            return "<affirmative/>"
        if outgoing.act is not Act.DISPUTE:
            raise ActNotOffered("only feedback is taken", where=outgoing.key, mend="affirm or dispute an entry")
        offered = self.reasons(outgoing.algorithm)
        if not outgoing.reasons or not set(outgoing.reasons) <= set(offered):
            mend = f"use: {', '.join(f'{code} ({name})' for code, name in offered.items())}"
            raise ActNotOffered("a dispute gives reasons of the source", where=outgoing.key, mend=mend)
        guids = "".join(f"<guid>{escape(reason)}</guid>" for reason in outgoing.reasons)
        return f"<negative><reasonIds>{guids}</reasonIds></negative>"


def _type_of(algorithm: str) -> str:
    if algorithm not in TYPES:
        mend = f"name one of {', '.join(TYPES)}"
        raise ActNotOffered("feedback is about one fingerprint of an entry", where=algorithm[:40], mend=mend)
    return TYPES[algorithm]
