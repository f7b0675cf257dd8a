"""What is run by forking.py is a program of its own, and ends as any program does."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests import forking

_TELL = """
import os, sys
print(sys.argv[1:], os.environ.get("MADE_UP"), os.getcwd())
print("to the other stream", file=sys.stderr)
"""


def test_it_has_arguments_environment_folder_and_streams_of_its_own(tmp_path: Path) -> None:
    environment = {"MADE_UP": "value", "PATH": os.environ["PATH"]}
    done = forking.run(["-c", _TELL, "one", "zwei ü"], env=environment, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "to the other stream\n")
    assert done.stdout == f"['one', 'zwei ü'] value {tmp_path}\n"
    assert "MADE_UP" not in os.environ
    assert forking.run(["-c", _TELL], env={}).stdout == f"[] None {forking.ROOT}\n"


def test_a_module_says_what_it_says_when_it_is_started_for_real() -> None:
    for arguments in (["-m", "leadline", "--version"], ["-m", "leadline", "compare", "no hash", "none"]):
        real = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
        forked = forking.run(arguments, env=dict(os.environ))
        assert (forked.returncode, forked.stdout, forked.stderr) == (real.returncode, real.stdout, real.stderr)


@pytest.mark.parametrize(
    ("code", "ends"),
    [
        ("import sys; sys.exit('no')", 1),
        ("import sys; sys.exit(4)", 4),
        ("1 / 0", 1),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
        ("import os; os._exit(7)", 7),
    ],
)
def test_how_it_ends_is_told(code: str, ends: int) -> None:
    assert forking.run(["-c", code], env=dict(os.environ)).returncode == ends


def test_at_its_end_it_does_what_it_had_put_off() -> None:
    code = "import atexit, sys; atexit.register(print, 'at the end'); sys.stdout.write('first, ')"
    assert forking.run(["-c", code], env={}).stdout == "first, at the end\n"


def test_one_that_takes_too_long_is_killed(tmp_path: Path) -> None:
    code = "import os, time; open('pid', 'w').write(str(os.getpid())); time.sleep(60)"
    with pytest.raises(subprocess.TimeoutExpired):
        forking.run(["-c", code], env={}, cwd=tmp_path, timeout_s=1)
    assert forking.run(["-c", ""], env={}).returncode == 0  # asked after it: what it did before this is done
    assert not Path("/proc", (tmp_path / "pid").read_text()).exists()


def test_no_settings_and_no_models_are_loaded_before_it_runs() -> None:
    code = "import sys; print('django.db.models' in sys.modules, *sys.modules)"
    is_quick, *loaded = forking.run(["-c", code], env={}).stdout.split()
    assert is_quick == "True"
    assert not [name for name in loaded if re.match(r"leadline\.workbench\..*(settings|models)$", name)]
