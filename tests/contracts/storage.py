"""What every storage of a vault must do. A subclass gives `storage`, an empty one, and `again`, which opens it anew."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable

import pytest

from leadline.custody.storage import Storage

Again = Callable[[], Storage]


def keep(storage: Storage, name: str, *pieces: bytes) -> None:
    sink = storage.begin()
    try:
        for piece in pieces:
            sink.write(piece)
        sink.keep_as(name)
    finally:
        sink.discard()


def names(storage: Storage, prefix: str = "") -> list[str]:
    return [stored.name for stored in storage.list(prefix)]


class StorageContract:
    large_bytes = 3 << 20  # what goes another way than a small object, where there are two

    def test_it_gives_back_what_was_written_in_pieces(self, storage: Storage, again: Again) -> None:
        keep(storage, "ab/cd/one.blob", b"first ", b"", b"second")
        assert again().read("ab/cd/one.blob") == b"first second"

    def test_it_gives_back_a_large_object(self, storage: Storage) -> None:
        piece = bytes(range(256)) * 4096
        keep(storage, "large.blob", *[piece] * (self.large_bytes // len(piece)), b"end")
        assert storage.read("large.blob", self.large_bytes - 2) == piece[-2:] + b"end"
        assert [(s.name, s.size_bytes) for s in storage.list()] == [("large.blob", self.large_bytes + 3)]

    def test_it_gives_back_an_empty_object(self, storage: Storage) -> None:
        keep(storage, "empty.blob")
        assert storage.read("empty.blob") == b""
        assert storage.read("empty.blob", 0, 10) == b""

    @pytest.mark.parametrize(
        ("offset", "length", "expected"),
        [(0, 4, b"0123"), (3, 4, b"3456"), (8, 9, b"89"), (10, 1, b""), (99, 5, b""), (4, 0, b""), (7, None, b"789")],
    )
    def test_it_reads_ranges_up_to_the_end(
        self, storage: Storage, offset: int, length: int | None, expected: bytes
    ) -> None:
        storage.put("digits", b"0123456789")
        assert storage.read("digits", offset, length) == expected

    def test_what_is_not_kept_is_not_there(self, storage: Storage, again: Again) -> None:
        sink = storage.begin()
        sink.write(bytes(self.large_bytes))
        assert names(storage) == []
        sink.discard()
        sink.discard()
        assert names(again()) == []

    def test_discarding_leaves_what_was_kept(self, storage: Storage) -> None:
        for name, size in (("small", 3), ("large", self.large_bytes)):
            sink = storage.begin()
            sink.write(bytes(size))
            sink.keep_as(name)
            sink.discard()
        assert names(storage) == ["large", "small"]

    def test_the_first_writer_of_a_small_object_wins(self, storage: Storage) -> None:
        assert storage.put("key", b"first") is True
        assert storage.put("key", b"second") is False
        assert storage.read("key") == b"first"

    def test_of_many_first_writers_at_once_one_wins(self, storage: Storage, again: Again) -> None:
        won: list[int] = []
        gate = threading.Barrier(6)

        def write(number: int, mine: Storage) -> None:
            gate.wait()
            if mine.put("contested", str(number).encode()):
                won.append(number)

        writers = [threading.Thread(target=write, args=(number, again())) for number in range(6)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        assert [str(number).encode() for number in won] == [storage.read("contested")]

    def test_a_small_object_can_be_replaced(self, storage: Storage) -> None:
        assert storage.put("key", b"first", replace=True) is True
        assert storage.put("key", b"2", replace=True) is True
        assert storage.read("key") == b"2"
        assert names(storage) == ["key"]

    def test_an_object_that_is_not_there_is_said_to_be_absent(self, storage: Storage) -> None:
        with pytest.raises(FileNotFoundError):
            storage.read("ab/cd/none.key")
        with pytest.raises(FileNotFoundError):
            storage.read("none", 0, 5)

    def test_a_removed_object_is_gone(self, storage: Storage, again: Again) -> None:
        storage.put("ab/key", b"secret")
        storage.remove("ab/key")
        storage.remove("ab/key")
        assert names(again()) == []
        with pytest.raises(FileNotFoundError):
            storage.read("ab/key")
        assert storage.put("ab/key", b"anew") is True

    def test_it_lists_by_the_beginning_of_names(self, storage: Storage) -> None:
        for name in ("top.json", "ab/cd/x.key", "ab/cd/x.1.blob", "ab/ce/y.key", "b/z"):
            storage.put(name, name.encode())
        assert sorted(names(storage)) == ["ab/cd/x.1.blob", "ab/cd/x.key", "ab/ce/y.key", "b/z", "top.json"]
        assert sorted(names(storage, "ab/cd/x.")) == ["ab/cd/x.1.blob", "ab/cd/x.key"]
        assert names(storage, "ab/ce/y.key") == ["ab/ce/y.key"]
        assert names(storage, "no/such/") == []

    def test_objects_that_share_a_name_come_together(self, storage: Storage) -> None:
        for stem in ("ab/a", "ab/b", "ab/aa"):
            for end in ("key", "1.blob", "2.blob"):
                storage.put(f"{stem}.{end}", b"")
        stems = [name.partition(".")[0] for name in names(storage)]
        changes = sum(a != b for a, b in itertools.pairwise(stems))
        assert changes == 2

    def test_the_time_of_an_object_is_that_of_its_last_writing(self, storage: Storage) -> None:
        storage.put("key", b"1")
        (first,) = storage.list("key")
        storage.put("key", b"1", replace=True)
        (second,) = storage.list("key")
        assert second.modified_s >= first.modified_s > 1.7e9

    def test_sweeping_leaves_objects_and_writers_at_work(self, storage: Storage, again: Again) -> None:
        storage.put("key", b"1")
        sink = storage.begin()
        sink.write(bytes(self.large_bytes))
        assert again().sweep() == 0
        sink.keep_as("blob")
        sink.discard()
        assert names(storage) == ["blob", "key"]
