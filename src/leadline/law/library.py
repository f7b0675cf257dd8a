"""The whole of an office's law data in one object: what is shipped, and what its own folder adds. Not legal advice."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from leadline.errors import LawDataError
from leadline.law.assessments import Assessments, load_assessments
from leadline.law.labels import Labels, load_labels
from leadline.law.mapping_files import load_mappings
from leadline.law.mappings import Mappings
from leadline.law.matrix import Matrix
from leadline.law.matrix_files import load_matrix

_PARTS = ("matrix", "assessments", "labels", "mappings")


@dataclass(frozen=True)
class Library:
    matrix: Matrix
    assessments: Assessments
    labels: Labels
    mappings: Mappings


def load_library(folder: Path | None = None) -> Library:
    """Shipped data, and the operator's over it. Raises LawDataError naming file, line and row.

    folder  may hold matrix/, assessments/, labels/ and mappings/, each with YAML files; None: shipped data alone
    """
    if folder is not None:
        _check_folder(folder)
    own = {part: folder / part if folder else None for part in _PARTS}
    labels, assessments = load_labels(own["labels"]), load_assessments(own["assessments"])
    mappings = load_mappings(labels, assessments, own["mappings"])
    return Library(load_matrix(own["matrix"]), assessments, labels, mappings)


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise LawDataError("no such folder", where=str(folder), mend="make it, or name another")
    for path in folder.iterdir():
        known = path.is_dir() and path.name in _PARTS
        if not known and not path.name.startswith((".", "README")):
            raise LawDataError("this is not read", where=str(path), mend=f"use the folders {', '.join(_PARTS)}")
