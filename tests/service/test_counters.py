"""Metrics add up over workers, go on where a worker was killed, and never fall."""

from __future__ import annotations

from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from leadline.service.counters import Counters, start_anew


def samples(told: bytes) -> dict[tuple[str, tuple[str, ...]], float]:
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(told.decode())
        for sample in family.samples
    }


def test_counts_of_all_workers_add_up(tmp_path: Path) -> None:
    one, two = Counters(tmp_path), Counters(tmp_path)
    one.count("leadline_matches", "known", by=3)
    two.count("leadline_matches", "known")
    two.count("leadline_matches", "other")
    two.publish(two.draw())
    told = samples(one.render(one.draw()))
    assert told["leadline_matches_total", ("known",)] == 4
    assert told["leadline_matches_total", ("other",)] == 1


def test_latencies_are_cumulated_by_bucket(tmp_path: Path) -> None:
    counters = Counters(tmp_path)
    for seconds in (0.0004, 0.0005, 0.003, 99.0):
        counters.observe("leadline_request_seconds", seconds, "match")
    told = samples(counters.render(counters.draw()))
    buckets = {frozenset(labels): value for (name, labels), value in told.items() if name.endswith("_bucket")}
    bounds = ("0.0005", "0.002", "0.005", "10.0", "+Inf")
    assert [buckets[frozenset({"match", bound})] for bound in bounds] == [2, 2, 3, 3, 4]
    assert told["leadline_request_seconds_count", ("match",)] == 4


def test_a_worker_that_is_started_anew_goes_on_where_its_predecessor_ended(tmp_path: Path) -> None:
    killed = Counters(tmp_path)
    killed.count("leadline_requests", "match", "200", by=5)
    killed.publish(killed.draw())
    killed.close()  # as the kernel does
    again = Counters(tmp_path)
    again.count("leadline_requests", "match", "200")
    assert samples(again.render(again.draw()))["leadline_requests_total", ("match", "200")] == 6


def test_a_gauge_that_is_the_same_for_all_is_not_added_and_one_of_a_dead_worker_is_not_told(tmp_path: Path) -> None:
    one, two = Counters(tmp_path), Counters(tmp_path)
    for worker in (one, two):
        worker.set("leadline_bank_entries", 10, "known")
        worker.set("leadline_in_flight", 2)
        worker.publish(worker.draw())
    told = samples(one.render(one.draw()))
    assert (told["leadline_bank_entries", ("known",)], told["leadline_in_flight", ()]) == (10, 4)
    gone = next(path for path in tmp_path.glob("*.json") if path.name != one._slot.name)
    gone.write_bytes(gone.read_bytes().replace(b'"at":', b'"at":1,"was":'))
    assert samples(one.render(one.draw()))["leadline_in_flight", ()] == 2


def test_a_run_forgets_what_an_earlier_one_counted(tmp_path: Path) -> None:
    earlier = Counters(tmp_path)
    earlier.count("leadline_requests", "match", "200")
    earlier.publish(earlier.draw())
    earlier.close()
    start_anew(tmp_path)
    begun = Counters(tmp_path)
    assert ("leadline_requests_total", ("match", "200")) not in samples(begun.render(begun.draw()))


def test_a_service_that_joins_another_over_one_state_folder_forgets_nothing(tmp_path: Path) -> None:
    """Replicas of one machine, and one of them that is updated: else sums would fall."""
    ended, living = Counters(tmp_path), Counters(tmp_path)
    for worker in (ended, living):
        worker.count("leadline_requests", "match", "200", by=5)
        worker.publish(worker.draw())
    ended.close()
    start_anew(tmp_path)
    joined = Counters(tmp_path)
    assert samples(joined.render(joined.draw()))["leadline_requests_total", ("match", "200")] == 10
    joined.count("leadline_requests", "match", "200")
    told = samples(joined.render(joined.draw()))
    assert told["leadline_requests_total", ("match", "200")] == 11, "in the place of the one gone"


def test_a_file_that_a_power_cut_left_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "0.json").write_bytes(b"{")
    counters = Counters(tmp_path)
    counters.count("leadline_requests", "match", "200")
    assert samples(counters.render(counters.draw()))["leadline_requests_total", ("match", "200")] == 1


def test_what_was_drawn_first_never_replaces_what_was_drawn_later(tmp_path: Path) -> None:
    """Threads write; the slower one may hold the older numbers."""
    worker, reader = Counters(tmp_path), Counters(tmp_path)
    worker.count("leadline_matches", "known")
    older = worker.draw()
    worker.count("leadline_matches", "known")
    worker.publish(worker.draw())
    worker.publish(older)
    assert samples(reader.render(reader.draw()))["leadline_matches_total", ("known",)] == 2
