"""`leadline exchange mock`: a stand-in for a source, on this machine, in the foreground. Reaches nobody."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leadline.cli.options import Json
from leadline.cli.output import EXIT_DONE, emit, say
from leadline.errors import ConfigError

if TYPE_CHECKING:
    from leadline.exchange.mock.base import Fault
    from leadline.exchange.mock.servers import Server


def mock_command(
    name: Annotated[str, typer.Argument(metavar="PROTOCOL", help="Whose protocol; a wrong one lists them.")],
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0: any that is free.")] = 0,
    entries: Annotated[int, typer.Option("--entries", min=0, max=10_000_000, help="How many made-up entries.")] = 100,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            "--fault",
            metavar="KIND[:TIMES]",
            help="401, 403, 429 (with Retry-After), 500, slow, cut (half a body), malformed, endless, out-of-order,"
            " expired (addresses of pages and of large fingerprints) or redirect; for so many requests, one unless"
            " said. Give it again for more.",
        ),
    ] = None,
    large: Annotated[
        bool, typer.Option("--large", help="ncmec: each video, one entry in ten, has a large fingerprint, too.")
    ] = False,
    json: Json = False,
) -> int:
    """Serve a source's protocol on this machine with made-up hashes, to rehearse before credentials arrive.

    It prints its address, its credentials and the commands to set it up as a source. It runs until you stop it.
    More faults while it runs: POST /-/faults; an entry taken back: POST /-/withdraw, with the entry's source_id as
    KEY; what was asked: GET /-/asked.

    \b
    Examples:
      leadline exchange mock ncmec
      leadline exchange mock ncmec --port 8450 --entries 1000000
      leadline exchange mock ncmec --fault 429:2 --fault cut
      leadline exchange mock ncmec --large

    Exit codes: 0 stopped by you, 1 the port is taken, 2 no such protocol or fault.
    """
    from leadline.exchange.mock.base import serving
    from leadline.exchange.mock.servers import SERVERS, make_mock

    if name not in SERVERS:
        raise ConfigError("no stand-in for this", where=name[:100], mend=f"use one of {', '.join(SERVERS)}")
    if large and name != "ncmec":
        raise ConfigError("only ncmec has large fingerprints", where="--large", mend="leave it out")
    faults, server = [_read_fault(text) for text in fault or ()], SERVERS[name]
    mock = make_mock(name, entries, **({"with_large": True} if large else {}))
    mock.faults.extend(faults)
    with serving(mock, port) as address:
        variables = {f"REHEARSAL_{of.upper()}": value for of, value in server.secrets.items()}
        commands = _commands(name, server, address)
        if json:
            emit({"protocol": name, "address": address, "credentials": variables, "commands": commands})
        else:
            say(*_lines(name, server, address, entries, variables, commands))
        _wait()
    return EXIT_DONE


def _wait() -> None:
    try:
        threading.Event().wait()
    except KeyboardInterrupt:  # the way it is meant to end
        return


def _read_fault(text: str) -> Fault:
    from leadline.exchange.mock.base import Fault, FaultKind

    kind, mark, times = text.partition(":")
    if kind not in tuple(FaultKind) or (mark and not (times.isascii() and times.isdigit() and 0 < len(times) < 8)):
        mend = f"KIND is one of {', '.join(FaultKind)}; TIMES a number from 1"
        raise ConfigError("not KIND[:TIMES]", where=f"--fault {text}", mend=mend)
    return Fault(FaultKind(kind), times=int(times or 1))


def _commands(name: str, server: Server, address: str) -> list[str]:
    words = ["leadline", "exchange", "add", f"rehearsal-{name}", "--connector", server.connector, "--kind", "other"]
    for option, value in server.options.items():
        words += ["--option", f"{option}={value.replace('{address}', address)}"]
    for of in server.secrets:
        words += ["--secret", f"{of}=env:REHEARSAL_{of.upper()}"]
    source = f"rehearsal-{name}"
    use = f"look-up {source} {server.example}" if server.example else f"pull {source}"
    return [shlex.join(words), f"leadline exchange check {source}", f"leadline exchange {use}"]


def _lines(
    name: str, server: Server, address: str, entries: int, variables: Mapping[str, Any], commands: list[str]
) -> list[str]:
    exports = [f"  export {variable}={shlex.quote(value)}" for variable, value in variables.items()]
    withdraw = f'curl -d \'{{"key": "KEY"}}\' {address}/-/withdraw'
    key = "  (KEY: the entry's source_id, as `leadline bank list BANK --json` shows it)"
    taken_back = [] if server.example else [f"an entry taken back: {withdraw}", key]  # a look-up has no list
    return [
        f"a stand-in for {name} with {entries} made-up entries, on {address}", "rehearse with it in another shell:",
        *exports, *(f"  {command}" for command in commands), *taken_back,
        "stop it with Ctrl-C",
    ]  # fmt: skip
