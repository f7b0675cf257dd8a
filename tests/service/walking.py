"""schemathesis over a served process: what a document allows, and what it forbids, sent to every operation of it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import negative_data_rejection
from tests.service.pictures import encoded, scene
from tests.service.served import Served

from leadline.client import packed

EXAMPLES = 5
PICTURE = encoded(scene(1))
POSITIVE, NEGATIVE = schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE


def config() -> SchemathesisConfig:
    """What a document cannot say (digits that are no hash, a bank that is not there) has these statuses."""
    accepted = ["2xx", "400", "403", "404", "409", "413", "422", "501"]
    return SchemathesisConfig.from_dict(
        {
            "checks": {"positive_data_acceptance": {"expected-statuses": accepted}},
            "generation": {"with-security-parameters": False},
        }
    )


def packed_requests() -> st.SearchStrategy[bytes]:
    rows = st.integers(1, 3).flatmap(lambda count: st.binary(min_size=32 * count, max_size=32 * count))
    return rows.map(lambda data: b"LLH1\x01\xff\0\0" + (len(data) // 32).to_bytes(4, "little") + data)


schemathesis.openapi.media_type(packed.REQUEST_TYPE, packed_requests())
schemathesis.openapi.media_type("application/octet-stream", st.binary(max_size=200) | st.just(PICTURE))


@dataclass
class Walk:
    """there: values for the names in addresses, of things that are there; before a name may stand its operation.

    lenient: operations that refuse what is wrong item by item, and answer for the whole
    """

    service: Served
    there: Mapping[str, Any]
    lenient: frozenset[str] = frozenset()
    calls: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def all(self, document: Any, good: Mapping[str, Any], leave_out: Collection[str] = ()) -> None:
        """good: a right request for each operation that needs a body or a query; None where none can succeed."""
        begun_s = time.process_time()
        schema = schemathesis.openapi.from_dict(document, config=config())
        operations = [result.ok() for result in schema.get_all_operations()]
        for operation in sorted(operations, key=_turn):
            if operation.label in leave_out:
                continue
            names = [parameter.name for parameter in operation.path_parameters]
            there = {name: self.there.get(f"{operation.label} {name}", self.there.get(name)) for name in names}
            if None not in there.values() and good.get(operation.label, {}) is not None:
                self.one_that_succeeds(operation, path_parameters=there, **good.get(operation.label, {}))
            self.many(operation, POSITIVE, {name: value for name, value in there.items() if value is not None})
            self.many(operation, NEGATIVE, {})
        assert self.wrong == [], "\n\n".join(self.wrong)
        assert time.process_time() - begun_s < 40

    def send(self, case: Any, label: str) -> int:
        self.calls[label] += 1
        headers, place = {"Authorization": f"Bearer {self.service.token}"}, f"http://127.0.0.1:{self.service.port}"
        excluded = [negative_data_rejection] if label in self.lenient else []
        return int(case.call_and_validate(base_url=place, headers=headers, excluded_checks=excluded).status_code)

    def one_that_succeeds(self, operation: Any, **good: Any) -> None:
        try:
            status = self.send(operation.Case(**good), operation.label)
        except (Exception, BaseExceptionGroup) as error:
            self.wrong.append(f"{operation.label}: {error}")
        else:
            self.wrong += [] if status < 300 else [f"{operation.label}: a right request got {status}"]

    def many(self, operation: Any, mode: Any, path: dict[str, Any]) -> None:
        @settings(
            max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(case=operation.as_strategy(generation_mode=mode))
        def run(case: Any) -> None:
            if path:
                case.path_parameters = {**case.path_parameters, **path}
            self.send(case, operation.label)

        try:
            run()
        except Unsatisfiable:  # nothing of it can be wrong: it takes nothing
            return
        except (Exception, BaseExceptionGroup) as error:
            self.wrong.append(f"{operation.label} {mode}: {error}")


def _turn(operation: Any) -> tuple[bool, int]:
    """What removes a thing comes after all others, and what holds others last."""
    return operation.method.upper() == "DELETE", -len(operation.path)
