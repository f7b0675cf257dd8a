"""`leadline serve`: the match service, in the foreground."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Annotated

import typer

from leadline.cli.config import load_settings
from leadline.cli.options import Radius
from leadline.cli.output import EXIT_DONE, say
from leadline.errors import ConfigError

State = Annotated[
    Path | None,
    typer.Option(
        "--state",
        metavar="FOLDER",
        help="Tokens, settings of banks, match log, alarms. Default: LEADLINE_HOME/service.",
    ),
]


def serve_command(
    banks: Annotated[
        list[str] | None,
        typer.Option("--bank", metavar="BANK", help="Folder of a bank; give it again for more banks."),
    ] = None,
    shelf: Annotated[
        Path | None,
        typer.Option("--banks", metavar="FOLDER", help="Every bank in this folder, also those made later."),
    ] = None,
    source: Annotated[
        str,
        typer.Option("--from", metavar="PLACE", help="s3://BUCKET/PREFIX that banks are pulled from, into --banks."),
    ] = "",
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=1, max=65535)] = 8420,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, max=256, help="Processes. Default: one per core.")
    ] = None,
    no_token: Annotated[
        bool, typer.Option("--no-token", help="Anybody on this machine may ask; banks cannot be changed then.")
    ] = False,
    state: State = None,
    radius: Radius = None,
    certificate: Annotated[Path | None, typer.Option("--certificate", help="PEM file of the TLS chain.")] = None,
    key: Annotated[Path | None, typer.Option("--key", help="PEM file of its private key.")] = None,
    proxy: Annotated[
        str, typer.Option("--proxy", metavar="NAME", help="The proxy in front that has TLS, by name or address.")
    ] = "",
    per_minute: Annotated[
        int, typer.Option("--per-minute", min=1, help="Requests a minute of a token that names no rate of its own.")
    ] = 600_000,
    log_days: Annotated[int, typer.Option("--log-days", min=0, help="Days that the match log is kept; 0: none.")] = 30,
    log_hashes: Annotated[
        bool, typer.Option("--log-hashes", help="Whole hashes in the match log, not their first eight digits.")
    ] = False,
    fetch: Annotated[
        bool, typer.Option("--fetch", help="Allow endpoints that take an address to fetch it. Off by default.")
    ] = False,
    ray: Annotated[
        str,
        typer.Option(
            "--ray",
            metavar="ADDRESS",
            help="A Ray cluster whose nodes hold the banks, or auto for that of this machine: each --bank is a shard, "
            "or a part of one name with others.",
        ),
    ] = "",
    shards: Annotated[
        list[Path] | None,
        typer.Option(
            "--shard",
            metavar="FOLDER",
            help="With --ray: a folder of banks, on the node of that shard. New banks are made in each.",
        ),
    ] = None,
    fetch_private: Annotated[
        list[str] | None,
        typer.Option("--fetch-private", metavar="NETWORK", help="A private network that may be fetched from."),
    ] = None,
    publish: Annotated[
        list[str] | None,
        typer.Option(
            "--publish",
            metavar="BANK[=TLP]",
            help="A bank, by its name, that tokens with the scope subscribe may read; entries up to TLP:GREEN, or to "
            "the label given. TLP:RED never leaves.",
        ),
    ] = None,
) -> int:
    """Serve banks over HTTP until you stop it: look-ups, hashing of uploads, changes, HMA's addresses.

    Tokens are made with `leadline token add`. Changes of a bank by any writer match within two seconds. HMA's clients
    see the sources of `leadline exchange`, and how their pulls went.

    \b
    Examples:
      leadline serve --bank banks/known --no-token
      leadline token add shop --scope match && leadline serve --banks banks --workers 4
      leadline serve --banks banks --host 0.0.0.0 --certificate chain.pem --key key.pem
      leadline serve --banks banks --publish known=amber
      leadline serve --bank /srv/banks/known --ray 10.0.0.1:6379
      leadline serve --ray 10.0.0.1:6379 --shard /srv/shards/0 --shard /srv/shards/1

    Exit codes: 0 ended by you, 1 a bank cannot be read, 2 something would be unsafe or is missing.
    """
    if importlib.util.find_spec("granian") is None:
        raise ConfigError("the match service is not installed", mend="pip install 'leadline[service]'")
    from leadline.service.options import Options, read_publication
    from leadline.service.serving import serve

    if shards and not ray:
        raise ConfigError("shards of no cluster", where="--shard", mend="add --ray ADDRESS, or serve them with --bank")
    if ray and shelf:
        mend = "give --bank BANK for each bank, or --shard FOLDER for the banks of one node"
        raise ConfigError("a cluster does not follow a folder of this machine", where="--banks", mend=mend)
    if not banks and shelf is None and not shards:
        mend = "give --bank BANK or --shard FOLDER" if ray else "give --bank BANK or --banks FOLDER"
        raise ConfigError("no bank to serve", mend=mend)
    if source and shelf is None:
        raise ConfigError("no place for what is pulled", where="--from", mend="give --banks FOLDER")
    if publish and ray:
        raise ConfigError("banks on shards cannot be published", where="--publish", mend="serve the bank without --ray")
    settings = load_settings()
    settings.make_home()
    cores = len(os.sched_getaffinity(0))
    options = Options(
        banks=tuple(Path(bank) for bank in banks or ()),
        shelf=shelf,
        state=state_folder(state),
        no_token=no_token,
        workers=workers or cores,
        threads=settings.threads,
        hashers=max(1, cores // (workers or cores)),
        radius_bits=radius,
        per_minute=per_minute,
        log_days=log_days,
        log_hashes=log_hashes,
        fetch_urls=fetch,
        fetch_private=tuple(fetch_private or ()),
        proxy=proxy,
        source=source,
        ray=ray,
        shards=tuple(shards or ()),
        sources=settings.home / "exchanges",
        publish=tuple(map(read_publication, publish or ())),
        limits=settings.limits,
    )
    place = f"{'https' if certificate else 'http'}://{host}:{port}"

    def starting() -> None:
        say(f"match service  {place}  ({options.workers} workers)", "Ctrl-C ends it")

    serve(options, host=host, port=port, certificate=certificate, key=key, starting=starting)
    return EXIT_DONE


def state_folder(given: Path | None) -> Path:
    return load_settings().home / "service" if given is None else given
