"""Shards as Ray Serve deployments. A Ray cluster is one trust zone: our calls pass bytes of our wire format only, and
no port of Ray's or Serve's is opened to others by us (docs/scale.md). Imported only on demand."""

from __future__ import annotations

import contextlib
import logging
import logging.config
import multiprocessing
import os
from typing import Any

from leadline.errors import ConfigError, LeadlineError, ShardLost
from leadline.service import logs
from leadline.service.options import Options
from leadline.service.remote import RemoteLists
from leadline.service.shard import Shard

_APP = "leadline-shard-{}"
_NAMESPACE = "leadline"
_ANSWER_S = 10.0
_LOGGERS = ("ray", "ray.serve")
RESOURCE = "leadline_shard_{}"  # a node that was started with it gets that shard, else any node


class RayShard:
    """The deployment: a Shard on the node that Ray chose."""

    def __init__(self, folder: str, threads: int, is_bank: bool) -> None:
        self._shard = Shard(folder, threads, is_bank=is_bank)

    def answer(self, message: bytes) -> bytes:
        return self._shard.answer(message)

    def check_health(self) -> None:
        """Ray's question whether it lives."""


def _import_ray() -> Any:
    try:
        import ray
        from ray import serve  # noqa: F401 (an extra of Ray's own)
    except ImportError:
        raise ConfigError("Ray Serve is not installed", mend="pip install 'leadline[ray]'") from None
    for name in _LOGGERS:  # they write lines of their own: what they say is to be lines of the service's log
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.setLevel(logging.WARNING)
        logger.propagate = True
    return ray


def connect(address: str) -> Any:
    """Join the cluster. ConfigError where there is none."""
    ray = _import_ray()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        ray.init(
            address=address, namespace=_NAMESPACE, log_to_driver=False, configure_logging=False,
            ignore_reinit_error=True,
        )  # fmt: skip
    except (ConnectionError, ValueError, RuntimeError) as error:
        mend = "give --ray HOST:PORT, or auto on a machine of the cluster"
        raise ConfigError(f"no Ray cluster there: {error}", where=address, mend=mend) from None
    return ray


def deploy(options: Options) -> None:
    """Start every shard, in a process that ends again: workers are forked, and Ray's threads must not be."""
    told: Any = multiprocessing.get_context("spawn").SimpleQueue()
    process = multiprocessing.get_context("spawn").Process(target=_deploy, args=(options, told))
    process.start()
    process.join()
    fault = told.get() if not told.empty() else ("the shards did not start", "")
    if fault is not None:
        undeploy(options)  # those that did start
        raise ConfigError(fault[0], where=fault[1], mend="mend it on its node; the logs of Ray there say more")


def _deploy(options: Options, told: Any) -> None:
    logging.config.dictConfig(logs.CONFIG)
    try:
        ray = connect(options.ray)
        from ray import serve

        serve.start(proxy_location="Disabled")  # no HTTP port of Serve's own
        there = ray.cluster_resources()
        for number, (folder, is_bank) in enumerate(options.shard_folders):
            resource = RESOURCE.format(number)
            wanted = {"num_cpus": 1, **({"resources": {resource: 1}} if resource in there else {})}
            deployment = serve.deployment(name="shard", ray_actor_options=wanted, max_ongoing_requests=64)(RayShard)
            bound = deployment.bind(str(folder.absolute()), options.threads, is_bank)
            serve.run(bound, name=_APP.format(number), route_prefix=None)
        where, fault = next(iter(_lists_of(options).faults.items()), ("", None))
    except LeadlineError as error:
        told.put((error.what, error.where))
    except Exception as error:  # Ray's, of many kinds
        told.put((f"the shards did not start ({type(error).__name__})", options.ray))
    else:
        told.put(None if fault is None else (fault.what, where))


def open_lists(options: Options) -> RemoteLists:
    """In a worker: the shards' banks."""
    connect(options.ray)
    return _lists_of(options)


def _lists_of(options: Options) -> RemoteLists:
    from ray import serve

    handles: list[Any] = [serve.get_app_handle(_APP.format(number)) for number in range(len(options.shard_folders))]

    def send(number: int, message: bytes) -> bytes:
        asked = handles[number].answer.remote(message)
        try:
            answer: bytes = asked.result(timeout_s=_ANSWER_S)
        except Exception as error:  # a dead node, no replica in time, the actor's own fault: all one to the asker
            asked.cancel()  # what still waits for its turn there is not to be done when nobody reckons with it
            raise ShardLost(f"shard {number} does not answer ({type(error).__name__})") from None
        return answer

    return RemoteLists(send, len(handles), state=options.state, radius_bits=options.radius_bits)


def undeploy(options: Options) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_undeploy, args=(options,))
    process.start()
    process.join()


def _undeploy(options: Options) -> None:
    logging.config.dictConfig(logs.CONFIG)
    with contextlib.suppress(Exception):  # the cluster has gone, and the shards with it
        connect(options.ray)
        from ray import serve

        for number in range(len(options.shard_folders)):
            serve.delete(_APP.format(number))
