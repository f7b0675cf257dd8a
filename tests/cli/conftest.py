"""What the tests of commands share: running one in process, a small bank, benign pictures drawn here."""

from __future__ import annotations

import io
import json
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from leadline.cli import main
from leadline.media.scenes import draw_scene

FAULT = re.compile(r"leadline: .+ \(.+\): .+")
MD5, SHA1, SHA256, PDQ = "a1" * 16, "b2" * 20, "d4" * 32, "c3" * 32


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str

    @property
    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def faults(self) -> list[str]:
        """The lines on standard error; each must have the one shape."""
        lines = self.err.splitlines()
        assert all(FAULT.fullmatch(line) for line in lines), lines
        return lines


Run = Callable[..., Ended]
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal(io.StringIO):
    """What a person watches: standard error where it is one."""

    def isatty(self) -> bool:
        return True

    @property
    def text(self) -> str:
        """All that was ever shown, without what moves and colours it."""
        return _CONTROL.sub("", self.getvalue())


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Terminal]:
    """From the call on a person watches: not before, for capturing puts its own standard error there until then."""

    def begin() -> Terminal:
        shown = Terminal()
        monkeypatch.setattr(sys, "stderr", shown)
        monkeypatch.setattr("leadline.cli.progress._EVERY_S", 0.0)  # each step is shown, however short
        for name, value in (("TERM", "xterm-256color"), ("COLUMNS", "200")):
            monkeypatch.setenv(name, value)
        return shown

    return begin


@pytest.fixture
def run(capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run one command in this process."""

    def run_command(*arguments: object, stdin: bytes = b"") -> Ended:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
        capfdbinary.readouterr()
        code = main([str(argument) for argument in arguments])
        out, err = capfdbinary.readouterr()
        return Ended(code, out.decode(), err.decode())

    return run_command


@pytest.fixture(scope="session")
def listed_bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("listed")
    listed = folder / "known.csv"
    listed.write_text(
        "id,md5,sha1,sha256,pdq,quality,kind,scheme,label\n"
        f"7,{MD5},,,{PDQ},100,,uk,A\n"
        f"8,,{SHA1},,,,,,\n"
        f"9,,,{SHA256},,,benign,,\n"
    )
    said = ["bank", "build", "--out", str(folder / "known"), "--name", "known", "--kind", "illegal", str(listed)]
    assert main(said) == 0
    return folder


@pytest.fixture
def bank(tmp_path: Path, listed_bank: Path) -> Path:
    """A bank of three entries: 7 (MD5 and PDQ, label uk A), 8 (SHA-1), 9 (SHA-256, benign); its list beside it."""
    shutil.copytree(listed_bank, tmp_path, dirs_exist_ok=True)
    return tmp_path / "known"


@pytest.fixture(scope="session")
def drawn_pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn") / "pictures"
    folder.mkdir()
    scene = Image.fromarray(draw_scene(1))
    scene.save(folder / "one.png")
    scene.transpose(Image.Transpose.ROTATE_90).save(folder / "turned.png")
    Image.fromarray(draw_scene(2)).save(folder / "other.jpg", quality=90)
    (folder / "note.txt").write_text("nothing to see")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 64)
    return folder


@pytest.fixture
def pictures(tmp_path: Path, drawn_pictures: Path) -> Path:
    """one.png; turned.png, the same a quarter round; other.jpg; note.txt; broken.png; all harmless."""
    return Path(shutil.copytree(drawn_pictures, tmp_path / "pictures"))
