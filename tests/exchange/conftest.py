"""What the tests of list formats share: a reader of whole lists."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable
from types import ModuleType

import pytest

from leadline.domain import Entry, Kind
from leadline.errors import ListFormatError
from leadline.exchange.base import EntryDefaults

Read = Callable[..., tuple[list[Entry], list[ListFormatError]]]


@pytest.fixture
def read_list() -> Read:
    def read_all(
        module: ModuleType, data: bytes | str, unknown: Counter[str] | None = None, **defaults: object
    ) -> tuple[list[Entry], list[ListFormatError]]:
        stream = io.BytesIO(data.encode() if isinstance(data, str) else data)
        made = EntryDefaults(**{"kind": Kind.OTHER, **defaults})  # type: ignore[arg-type]
        counting = {} if unknown is None else {"unknown": unknown}
        found = list(module.read(stream, where="list", defaults=made, **counting))
        entries = [x for x in found if isinstance(x, Entry)]
        errors = [x for x in found if isinstance(x, ListFormatError)]
        assert len(entries) + len(errors) == len(found)
        return entries, errors

    return read_all
