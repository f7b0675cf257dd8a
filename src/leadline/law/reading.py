"""Strict YAML to typed records, with the file and line of every fault. Guesses no type, follows no alias, runs no tag.

YAML 1.1 reads `no`, `NO` (Norway) and `2014-01` as something else than was written: here every scalar is text until
a record's own type says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml

from leadline.errors import LawDataError

MAX_FILE_BYTES = 1 << 20
SHIPPED = Path(__file__).parent / "data"
_MAX_DEPTH = 20
_LOADER = yaml.CBaseLoader if yaml.__with_libyaml__ else yaml.BaseLoader
_STARTS = (yaml.BlockMappingStartToken, yaml.BlockSequenceStartToken, yaml.FlowMappingStartToken,
           yaml.FlowSequenceStartToken)
_ENDS = (yaml.BlockEndToken, yaml.FlowMappingEndToken, yaml.FlowSequenceEndToken)
_SUFFIXES = frozenset({".yaml", ".yml"})
T = TypeVar("T")


def list_files(folder: Path) -> list[Path]:
    """YAML files of one folder, by name; none where it is absent. A file that would be passed over is an error."""
    if not folder.exists():
        return []
    found = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith((".", "README")):
            continue
        if path.suffix not in _SUFFIXES or not path.is_file():
            raise LawDataError("this is not a YAML file", where=str(path), mend="name it .yaml, or take it out")
        found.append(path)
    return found


def read_file(path: Path, file_format: str, record_type: type[T]) -> T:
    """A whole file as one record; its `format:` line must say `file_format`. Raises LawDataError."""
    node = _compose(path)
    return convert(_content(path, node, file_format), record_type, f"{path}, line {node.start_mark.line + 1}")


def read_rows(path: Path, file_format: str, list_name: str, record_type: type[T]) -> Iterator[tuple[str, T]]:
    """(where, record) for each row of the list `list_name`, which with `format:` is all the file may hold."""
    node = _compose(path)
    content = _content(path, node, file_format)
    if set(content) != {list_name} or not isinstance(content[list_name], list):
        raise LawDataError(f"the file must hold `format` and a list `{list_name}`, no more", where=str(path))
    rows = next(value for key, value in node.value if key.value == list_name).value
    for number, (row, value) in enumerate(zip(rows, content[list_name], strict=True), start=1):
        where = f"{path}, line {row.start_mark.line + 1} (row {number})"
        yield where, convert(value, record_type, where)


def convert(value: object, record_type: type[T], where: str) -> T:
    """Text, lists and mappings as a typed record. Raises LawDataError."""
    try:
        return msgspec.convert(value, record_type, strict=False)
    except msgspec.ValidationError as error:
        raise LawDataError(str(error), where=where, mend="see docs/law.md for the fields of a row") from None


def _compose(path: Path) -> yaml.MappingNode:
    try:
        with path.open("rb") as stream:
            untrusted = stream.read(MAX_FILE_BYTES + 1)
        if len(untrusted) > MAX_FILE_BYTES:
            raise LawDataError("the file is larger than 1 MiB", where=str(path), mend="divide it")
        _check_shape(path, untrusted)
        node = yaml.compose(untrusted, Loader=_LOADER)
    except OSError as error:
        raise LawDataError("the file cannot be read", where=str(path), mend=error.strerror or "") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "not text in UTF-8"
        raise LawDataError(f"this is not YAML: {problem}", where=f"{path}{line}") from None
    if not isinstance(node, yaml.MappingNode):
        raise LawDataError("the file must be one mapping that begins with `format:`", where=str(path))
    return node


def _check_shape(path: Path, untrusted: bytes) -> None:
    """Before anything is built from it: no alias, and no nesting that would exhaust the composer's stack."""
    depth = 0
    for token in yaml.scan(untrusted, Loader=_LOADER):
        depth += isinstance(token, _STARTS) - isinstance(token, _ENDS)
        if isinstance(token, yaml.AliasToken) or depth > _MAX_DEPTH:
            what = "nested too deeply" if depth > _MAX_DEPTH else "aliases (*name) are not read"
            raise LawDataError(what, where=str(path), mend="write the value out")


def _content(path: Path, node: yaml.MappingNode, file_format: str) -> dict[str, Any]:
    content = _plain(path, node)
    if content.pop("format", None) != file_format:
        raise LawDataError(f"the file is not of the format {file_format}", where=str(path),
                           mend=f"begin it with `format: {file_format}`")
    return dict(content)


def _plain(path: Path, node: yaml.Node) -> Any:
    """Nodes -> text, lists and mappings; a key given twice is an error, because one of the two would be lost."""
    if isinstance(node, yaml.SequenceNode):
        return [_plain(path, child) for child in node.value]
    if not isinstance(node, yaml.MappingNode):
        return node.value
    mapping: dict[str, Any] = {}
    for key, value in node.value:
        where = f"{path}, line {key.start_mark.line + 1}"
        if not isinstance(key, yaml.ScalarNode):
            raise LawDataError("a name here is not plain text", where=where)
        if key.value in mapping:
            raise LawDataError(f"`{key.value}` is given twice", where=where, mend="keep one of them")
        mapping[key.value] = _plain(path, value)
    return mapping
