"""`leadline token`: who may use the match service, and for what."""

from __future__ import annotations

import importlib.util
import re
import time
from typing import Annotated, Any

import typer

from leadline.cli.config import load_settings
from leadline.cli.options import Json
from leadline.cli.output import EXIT_DONE, EXIT_NOTHING, emit, say
from leadline.cli.serve import State, state_folder
from leadline.errors import ConfigError

_UNITS_S = {"h": 3600, "d": 86_400, "w": 7 * 86_400}
app = typer.Typer(help="Tokens of the match service: add, list, remove.", no_args_is_help=True)


@app.command("add")
def add_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who or what will use it.")],
    scopes: Annotated[
        list[str],
        typer.Option("--scope", help="match, details, hash, curate, admin or subscribe; give it again for more."),
    ],
    lasts: Annotated[str, typer.Option("--lasts", metavar="TIME", help="12h, 90d, 52w; never.")] = "52w",
    per_minute: Annotated[
        int, typer.Option("--per-minute", min=0, help="Requests a minute; 0: the service's own limit.")
    ] = 0,
    max_body: Annotated[
        int,
        typer.Option(
            "--max-body",
            metavar="BYTES",
            min=0,
            help="Of a request's body, below the service's own limit; 0: that one.",
        ),
    ] = 0,
    body_timeout: Annotated[
        int,
        typer.Option(
            "--body-timeout",
            metavar="SECONDS",
            min=0,
            help="For a body to come, below the service's own limit; 0: that one.",
        ),
    ] = 0,
    lists: Annotated[
        list[str] | None,
        typer.Option(
            "--list", metavar="BANK", help="With subscribe: a published bank that it may read; again for more."
        ),
    ] = None,
    state: State = None,
    json: Json = False,
) -> int:
    """Make a token. It is shown once and stored as a hash; a running service takes it within a second.

    \b
    match      look hashes up: which banks they meet
    details    also distances, entries and labels (they would help to evade a match)
    hash       hash uploads
    curate     change banks
    admin      metrics, alarms, settings of banks
    subscribe  read the published banks named with --list

    \b
    Examples:
      leadline token add upload-filter --scope match --scope hash
      leadline token add trust-team --scope match --scope details --scope curate --lasts 90d
      leadline token add shop --scope match --per-minute 6000 --max-body 100000 --body-timeout 5
      leadline token add hotline-b --scope subscribe --list known

    Exit codes: 0 made, 1 not made, 2 wrong use.
    """
    asked = _scopes(scopes)
    if ("subscribe" in asked) != bool(lists):
        raise typer.BadParameter("--scope subscribe and --list BANK go together", param_hint="--list")
    limits = {"per_minute": per_minute, "max_body_bytes": max_body, "body_timeout_s": body_timeout}
    load_settings().make_home()
    made, text = _tokens(state).add(name, asked, lasts_s=_seconds(lasts), lists=tuple(lists or ()), **limits)
    if json:
        emit({**_record(made), "token": text})
    else:
        say(f"{made.name}: {', '.join(sorted(made.scopes))}", text, "it is shown this once")
    return EXIT_DONE


@app.command("list")
def list_command(state: State = None, json: Json = False) -> int:
    """List tokens: id, name, scopes, until when. Never the tokens themselves.

    \b
    Examples:
      leadline token list
      leadline token list --json

    Exit codes: 0 listed, 1 there are none.
    """
    tokens = _tokens(state).all()
    for token in tokens:
        record = _record(token)
        if json:
            emit(record)
        else:
            say(f"{token.id}  {token.name}  {', '.join(record['scopes'])}  until {record['until'] or 'removed'}")
    return EXIT_DONE if tokens else EXIT_NOTHING


@app.command("remove")
def remove_command(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="The id that `list` shows.")],
    state: State = None,
    json: Json = False,
) -> int:
    """Remove a token: a running service refuses it within a second.

    \b
    Examples:
      leadline token remove k3f7q2ab

    Exit codes: 0 removed, 1 there is none of that id.
    """
    removed = _tokens(state).remove(token_id)
    if json:
        emit(_record(removed))
    else:
        say(f"removed: {removed.name}")
    return EXIT_DONE


def _tokens(state: Any) -> Any:
    if importlib.util.find_spec("starlette") is None:
        raise ConfigError("the match service is not installed", mend="pip install 'leadline[service]'")
    from leadline.service.tokens import Tokens

    return Tokens(state_folder(state))


def _scopes(given: list[str]) -> frozenset[Any]:
    from leadline.service.tokens import Scope

    if unknown := [scope for scope in given if scope not in tuple(Scope)]:
        raise typer.BadParameter(f"{unknown[0]} is none of {', '.join(Scope)}", param_hint="--scope")
    return frozenset(map(Scope, given))


def _seconds(lasts: str) -> int:
    if lasts == "never":
        return 0
    form = re.fullmatch(r"([1-9][0-9]{0,4})([hdw])", lasts)
    if form is None:
        raise typer.BadParameter("give 12h, 90d, 52w or never", param_hint="--lasts")
    return int(form[1]) * _UNITS_S[form[2]]


def _record(token: Any) -> dict[str, Any]:
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(token.expires)) if token.expires else ""
    return {
        "id": token.id,
        "name": token.name,
        "scopes": sorted(token.scopes),
        "until": until,
        "is_expired": bool(token.expires) and token.expires <= time.time(),
        "per_minute": token.per_minute,
        "max_body": token.max_body_bytes,
        "body_timeout": token.body_timeout_s,
        "lists": list(token.lists),
    }
