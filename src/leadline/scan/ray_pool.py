"""Lanes on a Ray cluster: one actor each, taking and giving only bytes of our wire format. Imported only on demand.

A Ray cluster is one trust zone: its own transport pickles. Banks and sources must be on paths that all nodes share.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any

from leadline.errors import ConfigError, ScanError
from leadline.scan import wire
from leadline.scan.worker import start_lane

START_S = 120.0
MAX_STARTS = 10


def _import_ray() -> Any:
    try:
        import ray
    except ImportError:
        raise ConfigError("Ray is not installed", mend="pip install 'leadline[ray]'") from None
    return ray


class _RayLane:
    """The actor: a Lane, started with bytes. A fault at its start is answered, not raised, so that it stays typed."""

    def __init__(self, config: bytes) -> None:
        self._stack = contextlib.ExitStack()
        self._handle = start_lane(self._stack, config)

    def is_ready(self) -> bool:
        return True

    def handle(self, message: bytes) -> bytes:
        return self._handle(message)


class RayLanes:
    """One lane for each CPU that is free at the start; a lane whose node dies stands anew where there is room."""

    def __init__(self, config: wire.LaneConfig, address: str, *, count: int | None = None) -> None:
        self._ray = _import_ray()
        self._config = wire.encode(config)
        self._joined = not self._ray.is_initialized()
        if self._joined:
            self._connect(address)
        self._actor = self._ray.remote(num_cpus=1, max_restarts=0)(_RayLane)
        self.count = count or max(1, int(self._ray.available_resources().get("CPU", 1)))
        self._lanes = [self._start() for _ in range(self.count)]
        self._under_way: dict[Any, int] = {}

    def _connect(self, address: str) -> None:
        if address == "local":  # a machine with evidence on it tells no one that it is at work
            os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        quiet = {"log_to_driver": False, "include_dashboard": False} if address == "local" else {"log_to_driver": False}
        try:
            self._ray.init(address=address, **quiet)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise ConfigError(
                f"no Ray cluster there: {error}", where=address, mend="give --ray HOST:PORT, or local"
            ) from None

    def _start(self) -> Any:
        return self._actor.remote(self._config)

    def send(self, lane: int, message: bytes) -> None:
        self._under_way[self._lanes[lane].handle.remote(message)] = lane

    def wait(self, timeout_s: float) -> list[tuple[int, bytes | None]]:
        if not self._under_way:
            return []
        ready, _ = self._ray.wait(list(self._under_way), num_returns=1, timeout=timeout_s)
        return [self._receive(reference) for reference in ready]

    def _receive(self, reference: Any) -> tuple[int, bytes | None]:
        lane = self._under_way.pop(reference)
        try:
            answer: bytes = self._ray.get(reference)
        except self._ray.exceptions.RayError:
            self._end(self._lanes[lane])
            self._lanes[lane] = self._start_anew()
            return lane, None
        return lane, answer

    def _start_anew(self) -> Any:
        """A lane that has answered once: a cluster may go on placing lanes on a dead node until it has noticed, and
        work that died there twice would be taken for what kills lanes."""
        fault: Exception | None = None
        for _ in range(MAX_STARTS):
            # No CPU is reserved: with the node its CPUs are gone, and a lane that waits for one would wait for ever.
            made = self._actor.options(num_cpus=0, scheduling_strategy="SPREAD").remote(self._config)
            try:
                self._ray.get(made.is_ready.remote(), timeout=START_S)
            except self._ray.exceptions.RayError as error:
                self._end(made)
                fault = error
            else:
                return made
        what = f"no lane can be started on the cluster ({type(fault).__name__})"
        raise ScanError(what, mend="check that every node has Leadline and the shared paths")

    def _end(self, lane: Any) -> None:
        with contextlib.suppress(Exception):
            self._ray.kill(lane)

    def close(self) -> None:
        for lane in self._lanes:
            self._end(lane)
        self._lanes = []
        if self._joined:
            self._ray.shutdown()
