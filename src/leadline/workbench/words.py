"""Words for codes: what a page says where the database, the journal and the API keep a code. Every word is translated.

In templates, without loading anything: {{ report.state|word:"report-state" }}. The kind of a code is the context of its
translation, since languages inflect: what is new may be a report here and an entry there. A code that has no word here
(an act of the journal, a name that a sender made up) is shown as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import template
from django.utils.translation import gettext, pgettext, pgettext_lazy

from leadline.errors import LeadlineError, Sentence

register = template.Library()


def _spelled(*codes: str) -> dict[str, str]:
    """Codes that are plain English once their hyphens are gone."""
    return {code: code.replace("-", " ") for code in codes}


_DECIDED = _spelled("open", "confirmed", "refused")
_PARTIES = _spelled("provider", "hotline", "police")
_KINDS = _spelled("illegal", "exploitative", "other", "false-positive", "benign")

WORDS: Mapping[str, Mapping[str, str]] = {
    "role": _spelled("analyst", "senior", "investigator", "curator", "auditor", "administrator"),
    "sensitivity": {"0": "ordinary", "1": "sensitive", "2": "restricted"},
    # --- reports -----------------------------------------------------------------------------------------------------
    "report-state": _spelled("new", "triage", "waiting", "forwarded", "closed", "reopened", "duplicate"),
    "report-reason": _spelled(
        "taken", "given-back", "answered", "overdue", "asked-reporter", "asked-partner", "asked-police", "to-police",
        "to-hotline", "to-host", "assessed", "no-answer", "out-of-scope", "same-report", "all-items-known",
        "no-duplicate", "reported-again", "new-information", "mistake", "appeal",
    ),
    "report-outcome": _spelled(
        "removed", "gone", "passed-on", "not-illegal", "not-for-us", "too-little", "no-report", "examined",
        "decision-changed", "decision-stands",
    ),
    "channel": {
        **_spelled("public-form", "staff-form", "mail"),
        "bulk": "bulk file", "api": "API", "iccam": "ICCAM", "ncmec": "NCMEC", "chat": "conversation",
        "capture": "web capture", "scan": "scan",
    },
    "urgency": _spelled(
        "child-at-risk-now", "ongoing", "known-victim-contact", "commercial", "sender-escalated"
    ),
    "urgency-why": {"tick": "ticked", "channel": "channel", "match": "match", "scan": "scan elsewhere"},
    "item-kind": {"url": "URL", **_spelled("file", "account", "text", "hash")},
    "flag": {
        **_spelled("scheme-assumed", "credentials", "not-public", "unknown-suffix", "mixed-script"),
        "ip-host": "IP address for a host", "idn": "international name", "onion-v2": "onion v2, retired",
        "onion-checksum": "onion address mistyped", "media-refused": "file refused by this office",
    },
    "contact": {"name": "name", "organisation": "organisation", "email": "e-mail", "phone": "telephone"},
    # --- evidence ----------------------------------------------------------------------------------------------------
    "kind": _KINDS,
    "verdict": _spelled("known", "near", "unknown", "unreadable", "skipped"),
    "asset-state": _spelled("kept", "discarded", "erased"),
    "asset-source": {
        "vics-import": "VICS case",
        **_spelled("staff-upload", "public-form", "staff-form", "mail", "scan"),
        "bulk": "bulk file", "api": "API", "chat": "conversation", "capture": "web capture",
    },
    "exhibit-state": _spelled("requested", "refused", "released", "ready", "failed", "received"),
    "transform": {
        "original": "as it is", "rotate90": "turned by 90°", "rotate180": "turned by 180°",
        "rotate270": "turned by 270°", "flip_x": "upside down, mirrored", "flip_y": "mirrored",
        "flip_plus1": "mirrored along one diagonal", "flip_minus1": "mirrored along the other diagonal",
    },
    "view": _spelled("picture", "on-white", "on-black", "frame", "frame-on-white", "frame-on-black"),
    "hold-reason": {
        "preservation-request": "Preservation request", "court-order": "Court order", "own-case": "Own case",
        "ended": "Its reason has ended",
    },
    "term-reason": {
        "legal-term": "Term set by law", "authority-asked": "An authority asked",
        "no-longer-needed": "No longer needed",
    },
    "handling-reason": {"source-asked": "Its source asked", "own-assessment": "Own assessment"},
    "exhibit-reason": {
        "court-order": "Court order", "police-request": "Request of the police", "prosecution": "Prosecution",
        "own-report": "Own report to an authority",
    },
    "release-reason": {"checked": "Checked", "not-lawful": "Not lawful", "incomplete": "Incomplete"},
    "setting": {"media-mode": "Files that arrive are", "evidence-retention-days": "Kept files are erased after days"},
    "setting-value": {"refuse": "refused", "hash-and-discard": "hashed and discarded", "keep": "kept"},
    # --- banks -------------------------------------------------------------------------------------------------------
    "bank-change": {
        "create": "made", "add": "entries added", "withdraw": "entries withdrawn", "set": "settings changed",
        "came": "entries that came from outside", "went": "entries that went outside",
        "altered": "settings altered outside", "confirm": "entries from outside confirmed",
        "trust": "trusted margin changed",
    },
    "bank-change-state": _spelled("begun", "done", "failed", "lost"),
    "bank-reason": {
        "new-list": "A new list", "own-list": "Our own list", "partner-list": "On a partner's list",
        "own-assessment": "Assessed by us", "authority": "At an authority's request",
        "correction": "Corrects an earlier entry", "list-withdrawn": "Withdrawn from its list",
        "listed-by-mistake": "Listed by mistake", "duplicate": "There twice", "court-order": "A court's order",
        "policy": "The office's policy", "too-many-wrong": "Too many wrong matches", "too-few": "Too few matches",
        "agreement-changed": "The agreement on the list changed",
        "outside": "Changed by the command line, or by another program", "harmless": "Seen, and harmless",
        "other-content": "Seen, and not what the entry says", "harmless-list": "On a list of harmless files",
    },
    "proposal-state": _DECIDED,
    # --- law ---------------------------------------------------------------------------------------------------------
    "answer": _spelled("yes", "no", "partial", "unknown"),
    "binds": {**_PARTIES, **_spelled("anyone", "state")},
    "law-role": _PARTIES,
    "involved": _spelled("host", "reporter", "suspect", "own"),
    "confidence": {"H": "high", "M": "medium", "L": "low"},
    "checked": {
        "verified": "read in the text itself", "search": "from a secondary source", "from-memory": "from memory",
        "unverified": "looked for and not found",
    },
    "unit": _spelled("hours", "days", "months", "years"),
    "sense": {"keep-until": "keep until", "act-before": "act before"},
    "event": {
        "received": "from its receipt", "report-sent": "from the report that was sent",
        "unknown": "from a moment that no source names",
    },
    # --- review ------------------------------------------------------------------------------------------------------
    "review-state": _spelled("waiting", "claimed", "held", "escalated", "decided", "set-aside"),
    "purpose": {
        **_spelled("decision", "second-opinion", "sample", "revision", "disagreement"),
        "double": "second answers, untold", "golden": "golden item", "reference": "agreeing on a golden item",
    },
    "level": {"tile": "small and blurred", "lens": "lens", "whole": "whole"},
    "seen": {"whole": "whole", "part": "a part", "tile-only": "small and blurred only", "not-viewed": "not viewed"},
    "standing": {
        "pending": "can still be undone", "in-force": "in force", "undone": "undone", "superseded": "superseded",
        "trial": "a golden item: no decision",
    },
    "category": {
        "near-illegal": "near: illegal", "near-exploitative": "near: exploitative", "near-other": "near: other",
        "unknown": "unknown", "video": "video", "sample": "sample of what is known",
    },
    "differs": _spelled("distance", "size", "partial", "type"),
    "revision-reason": _spelled(
        "mistake", "new-information", "appeal", "scheme-changed", "second-opinion", "disagreement"
    ),
    "review-hold-reason": _spelled(
        "waits-for-partner", "waits-for-police", "waits-for-law", "needs-translation", "other"
    ),
    "review-outcome": _spelled("removed", "safeguarded", "no-action", "unknown"),
    "outcome-says": {
        "safeguarded": "Somebody is safer now, and your decision was part of it.",
        "removed": "It is no longer where it was found.",
        "no-action": "Nothing was done. Others have limits and reasons that we do not see: your decision may be right.",
        "unknown": "Nobody could tell what became of it.",
    },
    "digest-period": {"this-week": "this week", "last-week": "last week", "earlier": "earlier"},
    "told-by": _spelled("police", "host", "partner", "own-check"),
    "appeal-state": _spelled("arrived", "in-review", "to-answer", "answered"),
    "appeal-told": {
        "examined": "examined; nothing else is said", "decision-changed": "the decision was changed",
        "decision-stands": "the decision stands",
    },
    "contest-outcome": {"upheld": "stands", "changed": "changed"},
    "uphold-reason": {
        "nothing-new": "nothing new in it", "not-about-this": "it is not about this decision",
        "decided-before": "decided on an earlier appeal", "assessed-again": "assessed again",
    },
    "reached": {
        "exhibit": "exhibit", "forwarded": "report passed on", "answered": "reporter answered", "webhook": "webhook",
        "reader": "program that may read the bank", "list-source": "list with a false entry",
        "share": "partner that was sent an entry or an opinion", "feed": "subscriber of the signed feed",
        "published": "subscriber of the published bank",
    },
    "remedy": {"share": "propose to take it back", "list-source": "propose to dispute it"},
    "how-told": {
        **_spelled("letter", "mail", "telephone", "portal"), "exchange": "by what was proposed here",
        "not-needed": "not needed",
    },
    # --- quality -----------------------------------------------------------------------------------------------------
    "pair-state": {
        "same": "the same", "open": "a third person will look", "confirmed": "what was in force stands",
        "revised": "a third person decided anew", "overtaken": "revised for another reason",
    },
    "measured-as": {"nominal": "same or not", "ordinal": "along its order"},
    "no-alpha": {
        "too-few": "too few", "no-variation": "everybody gave the same answer: not defined",
        "not-installed": "the package that calculates it is not installed",
    },
    # --- cases -------------------------------------------------------------------------------------------------------
    "case-state": _spelled("open", "suspended", "closed"),
    "case-reason": _spelled(
        "waits-for-authority", "waits-for-partner", "no-capacity", "answered", "new-information", "taken-up",
        "mistake", "court-order", "resolved", "handed-over", "not-illegal", "no-leads", "same-case",
    ),
    "case-outcome": _spelled("safeguarded", "removed", "passed-on", "no-action", "unknown"),
    "pap": {
        "red": "red: nothing that anybody could notice", "amber": "amber: passive sources only",
        "green": "green: active, without interfering", "clear": "clear: no limit",
    },
    "member-role": _spelled("worker", "reader"),
    "party-role": _spelled("victim", "suspect", "witness", "reporter", "other"),
    "party-roles": {
        "victim": "Victims", "suspect": "Suspects", "witness": "Witnesses", "reporter": "Reporters", "other": "Others",
    },
    "selector-kind": {
        "onion": "onion service", "i2p": "I2P", "freenet": "Freenet key", "wallet": "wallet", "handle": "handle",
        "e-mail": "e-mail", "phone": "telephone", "pgp-key": "PGP key", "link": "link", "other": "other",
    },
    "task-state": _spelled("waiting", "doing", "done", "dropped"),
    "thing-kind": _spelled("report", "item", "asset", "cluster"),
    "held-kind": _spelled("report", "item", "asset", "selector"),
    "removal-reason": _spelled("mistake", "not-related", "wrong-role", "in-another-case"),
    "leaving-reason": _spelled("work-done", "left-office", "conflict", "renewed", "mistake"),
    "lead-reason": _spelled("handed-over", "lead-absent", "left-office"),
    "case-answer": {"in-touch": "I get in touch", "nothing-to-tell": "nothing to tell"},
    "label-origin": {
        "assessed": "assessed by a person here", "derived": "derived by a published mapping",
        "propagated": "inferred from a near-duplicate", "imported": "imported: somebody else's word",
    },
    "import-state": {"taken": "came in", "without-file": "without a file", "refused": "refused"},
    "import-fault": {
        **_spelled("not-found", "permission-denied", "symbolic-link", "hash-differs", "record-differs"),
        "path-outside": "the path leads outside the folder", "not-a-regular-file": "no regular file",
        "media-refused": "this office takes no files",
    },
    "case-act": {
        "case.opened": "opened", "case.tasks-made": "tasks of the template", "case.titled": "another title",
        "case.state": "another state", "case.handling-asked": "looser handling asked for",
        "case.handling-refused": "looser handling refused", "case.handling-set": "handling set",
        "case.thing-added": "put in", "case.thing-removed": "taken out", "case.person-added": "person added",
        "case.person-role": "another role for a person", "case.selector-added": "selector added",
        "case.selector-removed": "selector removed", "case.task-added": "task", "case.task-moved": "task moved on",
        "case.task-set": "task given", "case.note-added": "note", "case.note-corrected": "correction",
        "case.member-joined": "member joined", "case.member-left": "member left",
        "case.lead-changed": "another lead", "case.asked-others": "leads of other cases asked",
        "case.asked": "lead asked", "case.answered": "lead answered", "case.was-answered": "another lead answered",
        "case.exported": "exported", "case.records-read": "records read in", "case.read-in": "file read in",
        "object.granted": "access given", "object.grant-ended": "access ended",
        "object.grant-shortened": "access shortened",
    },
    # --- custody: acts on files, exhibits, reports and what is decided of them; others stay codes ---------------------
    "act": {
        "alert.acknowledged": "urgency acknowledged", "alert.sent": "somebody alerted",
        "appeal.answered": "appeal answered", "appeal.contested": "decision named by an appeal",
        "appeal.opened": "decision opened again",
        "appeal.received": "appeal received", "assessment.beside": "answers given beside those in force",
        "assessment.in-force": "assessment in force", "assessment.made": "assessment made",
        "assessment.proposed": "proposed for a bank", "assessment.reach-undone": "what it reached undone",
        "assessment.revised": "assessment revised", "assessment.told": "told that it was revised",
        "assessment.undone": "assessment undone", "asset.covered": "covered by an assessment",
        "asset.discarded": "hashed and discarded", "asset.erased": "erased", "asset.handling-set": "handling set",
        "asset.held": "put on hold", "asset.hold-ended": "hold ended", "asset.match-changed": "match changed",
        "asset.match-withdrawn": "match withdrawn", "asset.matched": "matched",
        "asset.never-shown": "never shown again",
        "asset.received": "received", "asset.revealed": "leave to look given", "asset.sealed": "sealed",
        "asset.task-done": "task done", "asset.term-set": "term set", "bank.matched": "met by a changed list",
        "contact.erased": "contact erased", "exhibit.build-again": "to be built again", "exhibit.built": "built",
        "exhibit.downloaded": "downloaded", "exhibit.failed": "building failed", "exhibit.received": "receipt recorded",
        "exhibit.refused": "refused", "exhibit.released": "released", "exhibit.removed": "removed after its time",
        "exhibit.requested": "asked for", "item.attached": "file joined to an item", "object.granted": "access given",
        "object.grant-ended": "access ended", "object.grant-shortened": "access shortened",
        "outcome.noted": "outcome noted", "report.answered": "reporter answered", "report.asked": "reporter asked",
        "report.countries": "countries set", "report.erased": "content erased",
        "report.handling-asked": "looser handling asked for", "report.handling-refused": "looser handling refused",
        "report.hold": "put on legal hold", "report.hold-ended": "legal hold ended", "report.received": "received",
        "report.sensitivity": "handling set", "report.state": "state changed", "report.urgency": "urgency changed",
        "review.asked": "a colleague asked", "review.assigned": "assigned", "review.claimed": "claimed",
        "review.escalated": "escalated", "review.given-back": "given back", "review.held": "held",
        "review.second-asked": "second opinion asked for",
    },
    # --- what fails, and what is looked at ---------------------------------------------------------------------------
    "fault": {
        **_spelled(
            "unsupported", "undecodable", "too-large", "too-many-pixels", "empty", "timeout", "out-of-bounds",
            "encrypted", "truncated", "out-of-memory", "too-many-members", "directory", "link", "device",
            "name-too-long",
        ),
        "too-deep": "nested too deeply", "absent": "named, but not there", "trailing": "more bytes behind its end",
        "child-died": "the decoder gave up", "ratio-exceeded": "packed too densely",
        "worker-fault": "a fault of the decoder itself", "lock-failed": "the sandbox did not hold",
        "input": "cannot be read", "hash-format": "not a hash", "list-format": "not a line of a list",
        "report-format": "not a report", "url-format": "not a URL", "url-too-long": "the URL is too long",
        "url-no-place": "the URL names no place", "url-holds-content": "the URL holds content",
        "bank-corrupt": "the list is damaged", "bank-not-found": "there is no list",
        "bank-locked": "it is being written",
        "config": "a setting is at fault", "key-unavailable": "the key is missing",
        "vault-unavailable": "the vault cannot be reached", "seal-broken": "a sealed file is damaged",
        "asset-erased": "a file was erased", "not-whole": "it was not written whole",
    },
    "webhook-state": _spelled("waiting", "delivered", "failed"),
    "webhook-fault": {
        "ended": "the webhook ended", "ended-by-person": "ended by a person", "url": "not an address",
        "unresolved": "the name leads nowhere", "private-address": "a private address", "no-tls": "no TLS",
        "refused": "the other side refused it",
        "certificate": "its certificate is not good", "timeout": "no answer in time", "no-answer": "no answer",
    },
    "alert-fault": {
        "nobody-on-call": "nobody is on call", "mail": "no mail was sent", "webhook-refused": "the webhook refused it",
        "webhook-url": "the webhook has no address", "webhook-unresolved": "the webhook's name leads nowhere",
        "webhook-private-address": "the webhook's address is private", "webhook-no-tls": "the webhook has no TLS",
        "webhook-certificate": "the webhook's certificate is not good", "webhook-timeout": "the webhook was too slow",
        "webhook-no-answer": "the webhook did not answer",
    },
    # --- sharing -----------------------------------------------------------------------------------------------------
    "share-act": {
        "submit": "entries for their list", "withdraw": "entries taken back from their list",
        "affirm": "opinion: it is what they say", "dispute": "opinion: it is not what they say",
    },
    "share-state": {
        "proposed": "waits for a second person", "approved": "waits to be sent", "sending": "is being sent",
        "unclear": "unclear whether it arrived", "failed": "could not be sent", "sent": "sent",
        "refused": "refused", "withdrawn": "taken back", "expired": "expired",
    },
    "share-item": {
        "waiting": "waits", "sending": "is being sent", "taken": "taken", "refused": "refused by the partner",
        "unclear": "unclear", "stopped": "stays here",
    },
    "share-rule": {
        "agreed": "passes: labels, kind and purpose are agreed", "was-sent": "passes: they have it from us",
        "absent": "no such entry", "suspended": "suspended here", "tlp-red": "TLP:RED never leaves",
        "tlp-above": "its TLP is stricter than agreed", "pap-above": "its PAP is stricter than agreed",
        "pap-unknown": "its PAP cannot be read", "kind": "its kind is not agreed",
        "unconfirmed": "two people have not confirmed it", "theirs": "they gave it to us",
        "not-theirs": "not an entry of their list", "others": "another organisation gave it to us",
        "sent-before": "sent before", "never-sent": "they do not have it from us",
        "under-way": "in another share that has not ended", "changed": "changed since it was approved",
        "not-sent": "the share ended before",
    },
    "share-purpose": {
        "matching": "recognising and removing files", "victim-identification": "identifying victims",
        "law-enforcement": "law enforcement", "list-quality": "the quality of their list", "research": "research",
    },
    "share-reason": {
        "agreed-exchange": "agreed exchange", "partner-asked": "the partner asked", "own-assessment": "assessed by us",
        "court-order": "a court's order", "correction": "corrects what was sent before",
    },
    "share-refusal": {
        "not-agreed": "not what was agreed", "too-much": "more than is needed", "wrong-partner": "the wrong partner",
        "mistake": "a mistake", "taken-back": "taken back", "expired": "nobody decided in time",
        "restored": "the office was restored in between",
    },
    "share-fault": {
        "no-answer": "no answer", "timeout": "no answer in time", "certificate": "its certificate is not good",
        "too-busy": "too busy", "remote-status": "an answer that says no", "page-expired": "its page has expired",
        "credentials-refused": "the credentials were refused", "source-broken": "an answer that cannot be read",
        "cut-short": "an answer that was cut short", "too-large": "an answer that is too large",
        "redirected": "it led elsewhere", "act-not-offered": "it takes no such act",
        "source-shrank": "a list that shrank too much", "interrupted": "stopped by a person",
        "cut-off": "cut off while it was sent", "restored": "this office was restored in between",
        "input": "not as the agreement or the partner wants it", "wrong-state": "another agreement holds by now",
        "config": "a setting is at fault", "key-unavailable": "the key is missing",
        "seal-broken": "a sealed credential is damaged", "bank": "the bank cannot be read",
        "not-tried": "not tried yet", "switched-off": "left with the source: switched off here",
        "storage-full": "left with the source: the storage set for them is full",
        "disk-full": "no room on the disk", "next-pull": "the next pull goes on",
        "not-told": "the source did not tell them again", "empty": "nothing came",
    },
    "source-standing": {
        "never": "never pulled", "pulling": "being pulled", "good": "good", "cut": "cut off: the next pull goes on",
        "failed": "failed", "unreadable": "cannot be read", "unconfirmed": "pulled; receipt not confirmed",
        "asked": "a look-up: asked, never pulled",
    },
    "health-check": {
        "database": "Database", "worker": "Worker", "key": "Key", "disk": "Disk", "clock": "Clock", "queue": "Queue",
        "duties": "Duties", "mail": "Mail that waits", "backup": "Last backup", "anchor": "Anchor",
        "timestamps": "Timestamps", "banks": "Banks", "bank-entries": "Entries of banks", "search": "Search",
        "webhooks": "Webhooks",
        "sources": "Sources of lists", "feed-receipts": "Receipts for withdrawals that are overdue",
        "shares": "Shares that wait for a person to put them right",
    },
    "health-state": {"ok": "well", "late": "late", "failed": "failed", "off": "off"},
    "health-note": {
        "never": "never yet", "unstamped": "without a timestamp", "not-left-this-machine": "has not left this machine",
        "clearing": "is being emptied", "filling": "is being filled", "unreadable": "cannot be read",
        "not-looked": "not looked for lately", "unconfirmed": "a receipt of ours is not confirmed",
    },
}  # fmt: skip


@register.filter
def word(code: object, kind: str) -> str:
    """In the language of the page; the code itself where it has no word."""
    english = WORDS[kind].get(str(code))
    return str(code) if english is None else pgettext(kind, english)


@register.filter
def words(codes: str, kind: str) -> str:
    """Several codes with commas between."""
    return ", ".join(word(code, kind) for code in codes.split(",") if code)


@register.filter
def said(text: str) -> str:
    """A text of shipped data, in the language of the page: a question, the name of a law."""
    return gettext(text) if text else ""


@register.filter
def why(code: str) -> str:
    """A reason of an urgency, such as tick.ongoing or match.illegal."""
    head, _, tail = code.partition(".")
    of = {"tick": "urgency", "channel": "channel", "match": "kind", "scan": "kind"}.get(head)
    return code if of is None else _joined(word(head, "urgency-why"), word(tail, of))


def _joined(first: str, second: str) -> str:
    """With the colon of the language: French has a space before it."""
    return gettext("%(first)s: %(second)s") % {"first": first, "second": second}


@register.filter
def part(view: str) -> str:
    """What of a picture was hashed: the picture, or a frame by its number."""
    name, _, number = view.partition(" ")
    return f"{word(name, 'view')} {number}".strip()


def choices(kind: str, *codes: object) -> list[tuple[str, Any]]:
    """For a form: these codes of a kind, or all, each with its word."""
    table = WORDS[kind]
    return [(code, pgettext_lazy(kind, table.get(code, code))) for code in map(str, codes or table)]


@register.filter
def told(error: LeadlineError) -> str:
    """An error as a person reads it: what happened, where, how to mend it. Its English sentences are the msgids."""
    said, mend = error.said
    what = _translated(said) + (f" ({error.where})" if error.where else "")
    return _joined(what, _translated(mend)) if mend else what


def _translated(text: object) -> str:
    """A sentence that knows its values is translated without them; a value may be a sentence itself."""
    if isinstance(text, Sentence):
        return gettext(text.template) % {name: _translated(value) for name, value in text.values.items()}
    return gettext(text) if isinstance(text, str) and text else str(text)
