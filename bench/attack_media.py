"""Thousands of damaged pictures and archives through the sandbox. Prints one row of a Markdown table.

`python -m bench.attack_media [SECONDS]`; exit 1 where a file got no answer or the parent's memory grew. Every file is
made here from drawn scenes: bytes flipped, cut, repeated, joined with another format.
"""

from __future__ import annotations

import collections
import resource
import sys
import time

import numpy as np

from leadline.errors import UntrustedMediaError
from leadline.media import scenes
from leadline.media.client import Sandbox, SandboxViolation
from leadline.media.limits import Limits
from leadline.media.sniff import ARCHIVE_TYPES, sniff

HEADER = "| attack | files | answers | child processes lost, contained | without an answer | parent MiB before/after | seconds |\n|---|---|---|---|---|---|---|"


def seeds() -> list[bytes]:
    scene = scenes.draw_scene(1, 200, 150)
    pictures = [scenes.encode_picture(scene, form) for form in ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "ICO")]
    return [*pictures, scenes.animate([scene, scene[::-1]]), scenes.pack_zip({"a.jpg": pictures[0], "b.png": pictures[1]})]


def damage(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    raw = bytearray(data)
    for _ in range(int(rng.integers(1, 9))):
        at = int(rng.integers(len(raw)))
        match int(rng.integers(6)):
            case 0:
                raw[at] ^= 1 << int(rng.integers(8))
            case 1:
                raw[at : at + 4] = rng.choice([b"\xff\xff\xff\xff", b"\x00\x00\x00\x00", b"\x7f\xff\xff\xff"])
            case 2:
                del raw[max(at, 16) :]
            case 3:
                raw[at:at] = raw[at : at + int(rng.integers(1, 500))]
            case 4:
                raw[min(at, 64) : min(at, 64) + 2] = rng.bytes(2)
            case _:
                raw += other[int(rng.integers(len(other))) :]
    return bytes(raw)


def offer(sandbox: Sandbox, data: bytes) -> str:
    sandbox.input_buffer(len(data))[: len(data)] = data
    if sniff(data[:4096]) in ARCHIVE_TYPES:
        parts = sum(len(chunk) for member in sandbox.members(len(data), from_fd=False) for chunk in member.chunks())
        return "listed" if parts else "empty archive"
    facts = sandbox.open_picture(len(data))
    for view in sandbox.views():
        view.pixels.sum()
    return "partial" if facts.partial else "decoded"


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 180.0
    rng, started, answers = np.random.default_rng(1), time.perf_counter(), collections.Counter[str]()
    originals, lost, silent, files = seeds(), 0, 0, 0
    before = 0
    with Sandbox(Limits(timeout_s=5.0, max_pixels=20_000_000)) as sandbox:
        while time.perf_counter() - started < seconds:
            sandbox.begin_batch()
            for _ in range(64):
                data = damage(rng, originals[rng.integers(len(originals))], originals[rng.integers(len(originals))])
                files += 1
                try:
                    answers[offer(sandbox, data)] += 1
                except SandboxViolation as violation:
                    lost += 1
                    answers[violation.code] += 1
                    break
                except UntrustedMediaError as refusal:
                    answers[refusal.code] += 1
                except Exception as fault:
                    silent += 1
                    print(f"no answer: {type(fault).__name__}: {fault}", file=sys.stderr)
            sandbox.end_batch()
            before = before or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    said = ", ".join(f"{name} {count}" for name, count in answers.most_common())
    print(HEADER)
    print(f"| damaged files | {files:,} | {said} | {lost} | {silent} | {before}/{after} | {seconds:.0f} |")
    sys.exit(1 if silent or after > before + 200 else 0)


if __name__ == "__main__":
    main()
