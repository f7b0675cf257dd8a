"""Files as plans: one upload each, hashed or scanned by the service's sandbox. Decodes nothing."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from leadline.client.lookups import Terms
from leadline.client.plans import Plan, Reply, checked
from leadline.client.problems import decode
from leadline.client.records import Hashed, Scanned
from leadline.client.uploads import Source, Upload
from leadline.errors import AnswerBroken

File = TypeVar("File", Hashed, Scanned)
_TYPE = {"content-type": "application/octet-stream"}


class _HashedFiles(msgspec.Struct):
    files: list[Hashed]


class _ScannedFiles(msgspec.Struct):
    files: list[Scanned]
    lists: dict[str, int]


def hash_file(source: Source) -> Plan[Hashed]:
    def read(plan: Plan[Hashed], reply: Reply) -> Hashed:
        return _only(decode(checked(plan, reply).body, _HashedFiles, plan.where).files, plan.where)

    return Plan("POST", "/v1/hash", read, Upload(source), _TYPE)


def scan_file(source: Source, terms: Terms) -> Plan[Scanned]:
    def read(plan: Plan[Scanned], reply: Reply) -> Scanned:
        told = decode(checked(plan, reply).body, _ScannedFiles, plan.where)
        return msgspec.structs.replace(_only(told.files, plan.where), lists=told.lists)

    params = {
        "banks": None if terms.banks is None else ",".join(terms.banks),
        "radius": None if terms.radius is None else str(terms.radius),
        "seed": terms.seed,
    }
    named = {name: value for name, value in params.items() if value is not None}
    return Plan("POST", "/v1/scan", read, Upload(source), _TYPE, named)


def _only(files: list[File], where: str) -> File:
    if len(files) != 1:
        raise AnswerBroken(f"{len(files)} answers to one file", where=where)
    return files[0]
