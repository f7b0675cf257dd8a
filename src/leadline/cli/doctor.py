"""`leadline doctor`: is this machine fit for Leadline, and what is it made of. Changes nothing."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from leadline import __version__
from leadline.cli.options import Json
from leadline.cli.output import EXIT_DONE, EXIT_WRONG, complain, emit, one_line, say, table
from leadline.errors import ConfigError, LeadlineError

PACKAGES = ("numpy", "msgspec", "ijson", "rich", "typer")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at. what: its state in a few words; mend: what to do where it is not ok."""

    name: str
    ok: bool
    what: str
    mend: str = ""


def doctor_command(json: Json = False) -> int:
    """Check the sandbox, the processor, the decoders, plug-ins and versions.

    The sandbox is tried for real: a locked child must fail to open, connect, start programs and take memory without
    bound. Ray is optional: its absence is told and is no fault.

    \b
    Examples:
      leadline doctor
      leadline doctor --json

    Exit codes: 0 all is well, 4 something is not.
    """
    checks = [check for look in _LOOKS for check in _look(look)]
    wrong = [check for check in checks if not check.ok]
    if json:
        for check in checks:
            emit({"check": check.name, "ok": check.ok, "what": check.what})
    else:
        say(*table((f"{'ok ' if c.ok else 'BAD'} {c.name}", c.what) for c in checks))
    for check in wrong:
        complain(ConfigError(f"{check.name}: {check.what}", where="leadline doctor", mend=check.mend))
    return EXIT_WRONG if wrong else EXIT_DONE


def _look(look: Callable[[], list[Check]]) -> list[Check]:
    """A look that fails is itself a finding: doctor always speaks of everything."""
    name = look.__name__.removeprefix("_look_at_").replace("_", " ")
    try:
        return look()
    except LeadlineError as error:
        return [Check(name, False, error.what, error.mend or "see docs/install.md")]
    except Exception as error:
        return [Check(name, False, one_line(f"{type(error).__name__}: {error}"), "reinstall Leadline")]


def _look_at_versions() -> list[Check]:
    checks = [Check("leadline", True, __version__), Check("python", True, platform.python_version())]
    return checks + [Check(name, True, version(name)) for name in PACKAGES]


def _look_at_processor() -> list[Check]:
    from leadline.match import kernel

    return [Check("processor", True, f"{platform.machine()}, kernel runs on {kernel.cpu_isa()}")]


def _look_at_sandbox() -> list[Check]:
    from leadline.media.client import self_test

    probes: list[Any] = list(self_test())
    mend = "use a Linux kernel that lets processes lock themselves in; see docs/install.md"
    return [Check(f"sandbox: {probe.name}", probe.stopped, probe.how, mend) for probe in probes] or [
        Check("sandbox", False, "nothing was probed", mend)
    ]


def _look_at_decoders() -> list[Check]:
    from leadline.media.client import decoder_versions

    return [Check(f"worker: {name}", True, text) for name, text in sorted(decoder_versions().items())]


def _look_at_plug_ins() -> list[Check]:
    from leadline.match.fingerprints import load_kinds

    kinds = load_kinds()
    told = ", ".join(f"{kind.name} ({kind.length_bytes} bytes)" for kind in kinds.values())
    return [Check("fingerprint plug-ins", True, told or "none")]


def _look_at_memory() -> list[Check]:
    """What media and keys in memory could be written out to. A fact to know, no fault: it may be encrypted."""
    rows = Path("/proc/swaps").read_text(encoding="utf-8").splitlines()[1:]
    plain = [row.split()[0] for row in rows if not row.startswith(("/dev/zram", "/dev/dm-"))]
    told = f"on {', '.join(plain)}: unless that is encrypted, memory can lie there in clear; see docs/operate.md"
    return [Check("swap", True, one_line(told) if plain else "none on a plain disk")]


def _look_at_ray() -> list[Check]:
    try:
        return [Check("ray", True, version("ray"))]
    except PackageNotFoundError:
        return [Check("ray", True, "not installed (optional: pip install 'leadline[ray]')")]


_LOOKS = (
    _look_at_versions,
    _look_at_processor,
    _look_at_sandbox,
    _look_at_decoders,
    _look_at_plug_ins,
    _look_at_memory,
    _look_at_ray,
)
