"""The service's processes: one socket, several workers, restarted when they die, drained when they are to end."""

from __future__ import annotations

import os
import resource
import socket
import ssl
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server import Server

from leadline.custody.storage import open_storage
from leadline.errors import ConfigError
from leadline.exchange.pinned import read_networks
from leadline.media.client import Sandbox
from leadline.media.lock import hide_from_neighbours
from leadline.service import cluster, counters, logs
from leadline.service.app import Service
from leadline.service.face import Face
from leadline.service.lists import Lists
from leadline.service.mirror import pull
from leadline.service.options import Options
from leadline.service.tokens import Tokens

LOOPBACK = ("127.0.0.1", "::1", "localhost")
_BACKLOG = 2048
_CONNECTIONS = 16_384
_RESPAWN_S = 0.1
_DRAIN_S = 30
_SWITCH_S = 0.0005  # a look-up takes Python's lock several times: each time it may wait so long for another thread


def serve(
    options: Options,
    *,
    host: str,
    port: int,
    certificate: Path | None = None,
    key: Path | None = None,
    starting: Callable[[], None] = lambda: None,
) -> None:
    """Serve until told to end. ConfigError, BankError where it could not be done safely; then nothing was started.

    host      an address of this machine only, unless there is TLS, or a named proxy in front that has it
    starting  called when all that can be checked before was found in order
    """
    check_address(options, host, certificate, key)
    check_free(host, port)
    Tokens(options.state).all()  # that others can read, or that is damaged, is told before any worker starts
    check_intake(options)
    if options.source and options.shelf is not None:  # before anybody is answered
        pull(open_storage(options.source), options.shelf)
    if options.ray:
        cluster.deploy(options)
    else:
        # A bank that cannot be opened, or published, is told before any worker starts.
        check_published(options, Lists(options.banks, shelf=options.shelf))
    options.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    counters.start_anew(options.state / "run")
    server = Server(
        "leadline",
        address=host,
        port=port,
        interface=Interfaces.RSGI,
        workers=options.workers,
        loop=Loops.uvloop,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(keep_alive=True, header_read_timeout=30_000),
        websockets=False,
        backlog=_BACKLOG,
        backpressure=_CONNECTIONS,
        log_enabled=True,
        log_level=LogLevels.warning,
        log_dictconfig=logs.CONFIG,
        log_access=False,  # addresses may hold tokens; the service counts by route
        ssl_cert=certificate,
        ssl_key=key,
        respawn_failed_workers=True,
        respawn_interval=_RESPAWN_S,
        workers_kill_timeout=_DRAIN_S,
    )
    _allow_connections()
    starting()
    try:
        server.serve(target_loader=partial(load, options), wrap_loader=False)
    finally:
        if options.ray:
            cluster.undeploy(options)


def _allow_connections() -> None:
    """As many open files as this user may have, up to what the connections of a worker take."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4 * _CONNECTIONS if hard == resource.RLIM_INFINITY else min(hard, 4 * _CONNECTIONS)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def load(options: Options) -> Any:
    """In each worker: its application, by granian's own interface."""
    sys.setswitchinterval(_SWITCH_S)
    hide_from_neighbours()  # again, since where workers are not forked they do not have it of the first process
    return Face(Service(options))


def check_intake(options: Options) -> None:
    """Networks that are some, and a machine that can lock decoders away. ConfigError, SandboxUnavailable."""
    read_networks(options.fetch_private)
    if options.hashers:
        with Sandbox(options.limits):
            return


def check_published(options: Options, lists: Lists) -> None:
    """Each bank once, and there. ConfigError, BankNotFound."""
    names = [publication.bank for publication in options.publish]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ConfigError("a bank that is published twice", where=twice[:100], mend="give --publish once for each bank")
    for name in names:
        lists.bank(name)


def check_address(options: Options, host: str, certificate: Path | None, key: Path | None) -> None:
    if (certificate is None) != (key is None):
        raise ConfigError("half of TLS", where="--certificate and --key", mend="give both")
    for path in (certificate, key):
        if path is not None and not path.is_file():
            raise ConfigError("no such file", where=str(path), mend="give a PEM file")
    if certificate is not None:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")  # asks nobody
        except OSError:
            mend = "give PEM files that belong together and that this user may read, the key without a passphrase"
            raise ConfigError("no certificate with its key", where=str(certificate), mend=mend) from None
    if host in LOOPBACK:
        return
    if options.no_token:
        raise ConfigError("everybody could use it", where=host, mend="--no-token goes with 127.0.0.1 only")
    if certificate is None and not options.proxy:
        mend = "give --certificate and --key, or name the proxy that has TLS with --proxy"
        raise ConfigError("tokens would travel in clear", where=host, mend=mend)


def check_free(host: str, port: int) -> None:
    """Workers share one address, so the kernel would let a second service join the first unseen."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen()
    except OSError as error:
        why = error.strerror or os.strerror(error.errno or 0)
        raise ConfigError(f"cannot listen there: {why}", where=f"{host}:{port}", mend="choose another port") from None
