"""`leadline exchange send`: asks the workbench to let something leave, with a person's own key. Opens no database.

Nothing is sent from here: the workbench's gate judges each entry, a second person approves, its worker sends.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leadline.cli.config import credential_variables, load_settings
from leadline.cli.exchange_setup import with_libraries
from leadline.cli.options import Json, check_text
from leadline.cli.output import EXIT_DONE, EXIT_NOTHING, EXIT_PARTLY, emit, say, table
from leadline.domain import Kind
from leadline.errors import (
    ConfigError,
    InputError,
    LeadlineError,
    NotAllowed,
    ServiceUnavailable,
    TokenRefused,
    WrongState,
)

if TYPE_CHECKING:
    import httpx

_TIMEOUT_S = 120.0
_MAX_KEY_BYTES = 4096
_KEY_FORMS = "give --key file:PATH or --key env:VARIABLE, or set LEADLINE_API_KEY_FILE; make one on Your keys"


class ActName(StrEnum):
    SUBMIT = "submit"
    WITHDRAW = "withdraw"
    AFFIRM = "affirm"
    DISPUTE = "dispute"


def send_command(
    partner: Annotated[
        str, typer.Argument(metavar="[PARTNER]", help="Name of a partner, or of its source.", callback=check_text)
    ] = "",
    act: Annotated[
        ActName, typer.Option("--act", help="Entries for their list or out of it, or an opinion on theirs.")
    ] = ActName.SUBMIT,
    bank: Annotated[str, typer.Option("--bank", metavar="ID", help="Bank of the workbench.", callback=check_text)] = "",
    ids: Annotated[
        str, typer.Option("--ids", metavar="IDS", help="Numbers of entries: '1 2 5-9'. Without: what filters choose.")
    ] = "",
    kind: Annotated[Kind | None, typer.Option("--kind", help="Only entries of this kind.")] = None,
    label: Annotated[str, typer.Option("--label", help="Only entries with this label.", callback=check_text)] = "",
    since: Annotated[str, typer.Option("--since", metavar="DAY", help="Only entries added since: 2026-11-27.")] = "",
    algorithm: Annotated[
        str, typer.Option("--algorithm", help="The fingerprint it is about, where the partner asks which.")
    ] = "",
    code: Annotated[
        list[str] | None, typer.Option("--code", help="A reason in the partner's codes; give it again for more.")
    ] = None,
    purpose: Annotated[str, typer.Option("--purpose", help="One that the agreement names.")] = "matching",
    reason: Annotated[str, typer.Option("--reason", help="Why it is proposed; a code.")] = "agreed-exchange",
    seen: Annotated[
        str, typer.Option("--seen", metavar="DIGEST", help="Propose only what the dry run with this digest showed.")
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would leave; propose nothing.")] = False,
    take_back: Annotated[str, typer.Option("--take-back", metavar="SHARE", help="Before it has left.")] = "",
    show: Annotated[str, typer.Option("--show", metavar="SHARE", help="How far it is, entry by entry.")] = "",
    receipt: Annotated[str, typer.Option("--receipt", metavar="SHARE", help="The signed receipt of what left.")] = "",
    api: Annotated[
        str, typer.Option("--api", metavar="URL", help="Address of the workbench. Default: LEADLINE_API.")
    ] = "",
    key: Annotated[
        str,
        typer.Option(
            "--key",
            metavar="SOURCE",
            help="Your key: file:PATH or env:VARIABLE. Default: the file that LEADLINE_API_KEY_FILE names.",
        ),
    ] = "",
    json: Json = False,
) -> int:
    """Propose that entries, or opinions on a partner's entries, leave to a partner; or show what somebody proposed.

    The workbench decides: its gate holds each entry against the agreement with the partner, and tells the rule that
    lets it pass or stops it. A different person approves on the page of the share: a key alone lets nothing leave.
    Without a workbench nothing is sent. What is proposed is exactly what the dry run just before it showed.

    \b
    Examples:
      leadline exchange send "A hotline" --bank own --ids '1 2 5-9' --dry-run
      leadline exchange send "A hotline" --bank own --ids '1 2 5-9' --api https://workbench.example --key file:me.key
      leadline exchange send hotline --act dispute --bank hotline --ids 7 --algorithm pdq --code NOT_THAT
      leadline exchange send --show 6f0f1c9e-5a53-4a2a-9a0b-0d6f0c1f9d11

    Exit codes: 0 done, 1 nothing may leave, 2 wrong use, no workbench or no key, 3 some entries stay here.
    """
    with _Workbench(api, key) as workbench:
        if take_back:
            return _tell(workbench, workbench.post(f"shares/{_uuid(take_back)}/withdrawal", {}), json=json)
        if show:
            return _show(workbench, _uuid(show), json=json)
        if receipt:
            say(workbench.get(f"shares/{_uuid(receipt)}/receipt")["receipt"])
            return EXIT_DONE
        if not partner or not bank:
            raise ConfigError("what, and to whom?", where="leadline exchange send", mend="give PARTNER and --bank")
        wish = {
            "partner": partner, "act": act.value, "bank": bank, "purpose": purpose, "ids": _read_ids(ids),
            "kind": kind and kind.value, "label": label, "since": since or None, "algorithm": algorithm,
            "codes": code or [],
        }  # fmt: skip
        found = workbench.post("shares/dry-run", wish)
        if dry_run or not found["passing"]:
            return _tell_dry_run(found, json=json)
        made = workbench.post("shares", wish | {"digest": seen or found["digest"], "reason": reason})
        _tell(workbench, made, json=json)
        return EXIT_PARTLY if made["stopped"] else EXIT_DONE


class _Workbench:
    """Its API, at one address, with one key. ConfigError where there is no workbench, or no key."""

    def __init__(self, address: str, key: str) -> None:
        settings = load_settings()
        address = address or settings.api
        if not address:
            mend = (
                "give --api URL or set LEADLINE_API: two people decide there what leaves, and nothing is sent without"
            )
            raise ConfigError("there is no workbench to ask", where="leadline exchange send", mend=mend)
        with with_libraries():
            import httpx

            from leadline.exchange.web import check_address
        self.address = check_address(address, "--api")
        headers = {"Authorization": f"Bearer {_read_key(key, settings.api_key_file)}"}
        self._client: httpx.Client = httpx.Client(headers=headers, timeout=_TIMEOUT_S, follow_redirects=False)

    def __enter__(self) -> _Workbench:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get(self, path: str, **params: str) -> dict[str, Any]:
        return self._ask("GET", path, params=params)

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return self._ask("POST", path, json=body, headers={"Idempotency-Key": uuid.uuid4().hex})

    def _ask(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        import httpx

        try:
            answer = self._client.request(method, f"{self.address}/api/v1/{path}", **more)
            told = answer.json()
        except (httpx.HTTPError, httpx.InvalidURL):
            mend = "check its address; see `--show` and the page of shares before you propose it again"
            raise ServiceUnavailable("the workbench does not answer", where=self.address, mend=mend) from None
        except ValueError:
            told = None
        if not isinstance(told, dict) or answer.is_redirect:
            raise ConfigError("what answers there is no workbench", where=self.address, mend="check --api")
        if not answer.is_success:
            raise _error(answer.status_code, told)
        return told


def _error(status: int, told: Mapping[str, Any]) -> LeadlineError:
    what = " ".join(str(told.get(field) or "") for field in ("title", "detail")).strip() or f"it answers {status}"
    if status == 401:
        return TokenRefused("the workbench does not know this key", mend="make one on the page Your keys")
    kinds = {403: NotAllowed, 404: InputError, 409: WrongState, 422: InputError, 400: InputError}
    kind = kinds.get(status, ServiceUnavailable)
    faults = [str(fault.get("where", "")) for fault in told.get("errors") or () if isinstance(fault, dict)]
    return kind(what, where=", ".join(faults) or "the workbench", mend="see docs/sharing.md")


def _read_key(source: str, file: str) -> str:
    """The key's text; no fault repeats it."""
    how, mark, place = source.partition(":")
    if source and (not mark or not place or how not in ("file", "env")):
        raise ConfigError("a key does not stand in a command line", where="--key", mend=_KEY_FORMS)
    if how == "env":
        text, where = credential_variables().get(place, ""), place
    else:
        where = place or file
        if not where:
            raise ConfigError("there is no key to ask with", where="--key", mend=_KEY_FORMS)
        try:
            with Path(where).expanduser().open("rb") as opened:
                text = opened.read(_MAX_KEY_BYTES).decode("ascii")
        except (OSError, UnicodeDecodeError):
            raise ConfigError("the key cannot be read", where=where, mend=_KEY_FORMS) from None
    if not (text := text.strip()).isprintable() or not text.isascii() or not text:
        raise ConfigError("there is no key in it", where=where, mend=_KEY_FORMS)
    return text


def _read_ids(text: str) -> list[int]:
    found: dict[int, None] = {}
    for word in text.replace(",", " ").split():
        first, _, last = word.partition("-")
        if not all(part.isascii() and part.isdigit() and len(part) < 17 for part in (first, last or first)):
            raise ConfigError("not numbers of entries", where="--ids", mend="write them like '1 2 5-9'")
        span = range(int(first), int(last or first) + 1)
        if len(span) > 10_000:
            raise ConfigError("more than 10000 entries at once", where="--ids", mend="choose fewer")
        found |= dict.fromkeys(span)
    return list(found)


def _uuid(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise ConfigError("not the id of a share", where=text[:60], mend="copy it from its page") from None


def _tell_dry_run(found: Mapping[str, Any], *, json: bool) -> int:
    if json:
        for entry in found["entries"]:
            emit(entry)
        emit({name: found[name] for name in ("digest", "passing", "stopped")})
    else:
        say(*(f"{_verdict(entry)}  {entry['entry']}  {entry['rule']}  {_left(entry)}" for entry in found["entries"]))
        say(f"would leave: {found['passing']}, would stay: {found['stopped']}", f"digest: {found['digest']}")
    return EXIT_NOTHING if not found["passing"] else EXIT_PARTLY if found["stopped"] else EXIT_DONE


def _verdict(entry: Mapping[str, Any]) -> str:
    return "leaves" if entry["passes"] else "stays "


def _left(entry: Mapping[str, Any]) -> str:
    leaves = entry["leaves"] or {}
    inner = leaves.get("entry") or {}
    prints = [f"{name}:{digest}" for name, digest in inner.get("fingerprints", {}).items()]
    return " ".join([*prints, str(leaves.get("key", "")), *leaves.get("reasons", ())]).strip()


def _tell(workbench: _Workbench, share: Mapping[str, Any], *, json: bool) -> int:
    if json:
        emit(share)
    else:
        names = ("state", "passing", "stopped", "digest", "expires_at", "failure")
        say(f"share {share['id']}", *(f"  {line}" for line in table((n, share[n]) for n in names if share[n])))
        if share["state"] == "proposed":
            say(f"  next: somebody else approves it on its page, {workbench.address}/sharing/of/{share['id']}/")
    return EXIT_DONE


def _show(workbench: _Workbench, share_id: str, *, json: bool) -> int:
    _tell(workbench, workbench.get(f"shares/{share_id}"), json=json)
    cursor: str | None = ""
    while cursor is not None:
        page = workbench.get(f"shares/{share_id}/entries", cursor=cursor)
        for entry in page["items"]:
            told = (entry[name] for name in ("entry", "state", "rule", "remote_id", "failure"))
            emit(entry) if json else say("  " + "  ".join(str(field) for field in told if field))
        cursor = page["next"]
    return EXIT_DONE
