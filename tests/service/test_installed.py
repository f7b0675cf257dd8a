"""What `pip install 'leadline[service]'` brings is all that the service, its client and its commands need."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

SCRIPT = """
import importlib, pkgutil, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

ABSENT = set(sys.argv[1].split())
sys.meta_path.insert(0, Absent())
for name in ("leadline.service", "leadline.client"):
    for module in pkgutil.iter_modules(importlib.import_module(name).__path__, f"{name}."):
        importlib.import_module(module.name)
from leadline.cli import main
raise SystemExit(main(["serve", "--bank", "nowhere"]) + 10 * main(["bank", "upload", "nowhere", "--to", "nowhere"]))
"""


def brought_by(requirement: str, found: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Distributions, each with the extra that is asked of it, that come with a requirement."""
    wanted = Requirement(requirement)
    for extra in ("", *wanted.extras):
        key = canonicalize_name(wanted.name), extra
        if key in found:
            continue
        found.add(key)
        try:
            needs = distribution(wanted.name).requires or []
        except PackageNotFoundError:  # of another system or Python
            continue
        for need in needs:
            marker = Requirement(need).marker
            if marker is None or marker.evaluate({"extra": extra}):
                brought_by(need.partition(";")[0], found)
    return found


def test_the_service_starts_with_what_its_extra_brings_and_nothing_else() -> None:
    there = {name for name, _ in brought_by("leadline[service]", set())}
    assert {"granian", "starlette", "httpx", "numpy"} <= there
    assert not {"django", "boto3", "rfc8785", "cryptography"} & there
    modules = packages_distributions()
    absent = [name for name, of in modules.items() if not there & {canonicalize_name(one) for one in of}]
    assert {"django", "boto3", "rfc8785", "cryptography"} <= set(absent)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, " ".join(absent)], env=environment, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 11, ended.stderr  # neither finds its bank
    assert ended.stderr.count("leadline: ") == 2
