"""HMA itself as a peer of the match service, where somebody has it at hand. Starts PostgreSQL, fills it, builds its index.

BENCH_HMA         its folder `hasher-matcher-actioner` out of facebook/ThreatExchange
BENCH_HMA_PYTHON  the Python of an environment that has what its pyproject.toml names, faiss-cpu and gunicorn
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.search import U8

_CONFIG = """
PRODUCTION = True
DATABASE_URI = {url!r}
ROLE_HASHER = ROLE_MATCHER = ROLE_CURATOR = True
UI_ENABLED = False
TASK_FETCHER = TASK_INDEXER = False
TASK_INDEX_CACHE = {is_serving}
INDEX_CACHE_MAX_STALE_SEC = 0
"""


def is_there() -> bool:
    return bool(os.environ.get("BENCH_HMA") and os.environ.get("BENCH_HMA_PYTHON"))


@contextmanager
def hma_serving(hashes: U8, port: int, workers: int) -> Iterator[None]:
    """Ready when it matches the first of the hashes."""
    from tests.servers import postgresql

    with tempfile.TemporaryDirectory() as name, postgresql() as url:
        _prepare(Path(name), url, hashes)
        environment = _environment(Path(name), url, is_serving=True)
        program = [os.environ["BENCH_HMA_PYTHON"], "-m", "gunicorn", "-w", str(workers), "-b", f"127.0.0.1:{port}"]
        log = Path(name, "log").open("wb")
        process = subprocess.Popen(
            [*program, "--timeout", "600", "OpenMediaMatch.app:create_app()"], env=environment, stdout=log, stderr=log
        )
        try:
            _wait(port, hashes[0].tobytes().hex())
            yield
        finally:
            process.terminate()
            process.wait()


def _environment(folder: Path, url: str, *, is_serving: bool) -> dict[str, str]:
    config = folder / f"config_{is_serving}.py"
    alchemy = "postgresql+psycopg2" + url[url.index("://") :]
    config.write_text(_CONFIG.format(url=alchemy, is_serving=is_serving))
    return {**os.environ, "OMM_CONFIG": str(config), "PYTHONPATH": f"{os.environ['BENCH_HMA']}/src"}


def _prepare(folder: Path, url: str, hashes: U8) -> None:
    import psycopg

    environment = _environment(folder, url, is_serving=False)
    flask = [os.environ["BENCH_HMA_PYTHON"], "-m", "flask", "--app", "OpenMediaMatch.app"]
    subprocess.run([*flask, "create_tables"], env=environment, check=True, capture_output=True)
    with psycopg.connect(url) as connection:
        connection.execute("INSERT INTO bank (id, name, enabled_ratio) VALUES (1, 'BENCH', 1.0)")
        with connection.cursor().copy("COPY bank_content (id, bank_id, disable_until_ts) FROM STDIN") as copy:
            for number in range(1, len(hashes) + 1):
                copy.write_row((number, 1, 1))  # HMA: 1 is enabled
        statement = "COPY content_signal (content_id, signal_type, signal_val, create_time) FROM STDIN"
        with connection.cursor().copy(statement) as copy:
            for number, row in enumerate(hashes, 1):
                copy.write_row((number, "pdq", row.tobytes().hex(), "2026-01-01"))
    subprocess.run([*flask, "build_indices"], env=environment, check=True, capture_output=True)


def _wait(port: int, known: str) -> None:
    address = f"http://127.0.0.1:{port}/m/lookup?signal={known}&signal_type=pdq"
    for _ in range(600):
        try:
            with urllib.request.urlopen(address, timeout=60) as answer:
                if b"BENCH" in answer.read():
                    time.sleep(5)  # the other workers too
                    return
        except OSError:
            pass
        time.sleep(1)
    raise SystemExit("HMA did not become ready")
