"""A publisher's process killed at some moment, whichever it is: a subscriber reads the old list or the new one."""

from __future__ import annotations

import os
import signal

import pytest
from tests import forking
from tests.exchange.feed.conftest import DAY_S, Publisher, entry

PUBLISH = """
import signal, sys
from pathlib import Path
from leadline.exchange.feed.keys import read_agreements
from leadline.exchange.feed.publishing import Terms, publish
from leadline.exchange.feed.roots import load_roots
from leadline.match.bank import Bank
folder, now_s = Path(sys.argv[1]), float(sys.argv[2])
bank, roots = Bank.open(folder / "bank"), load_roots(folder / "keys")
agreements = read_agreements((folder / "subscribers").iterdir())
signal.setitimer(signal.ITIMER_REAL, float(sys.argv[3]))  # the kernel's own end of it: nothing of the program runs then
publish(bank, folder / "feed", roots, agreements, Terms(7 * 86400, 86400, "", "tester"), now_s=now_s)
"""


@pytest.mark.parametrize("delay_s", [0.001, 0.02, 0.05, 0.1])
def test_a_process_that_is_killed_leaves_a_feed_that_can_be_read(publisher: Publisher, delay_s: float) -> None:
    reader = publisher.admit("B")
    publisher.bank.add([entry(number) for number in range(1, 1001)])
    publisher.publish()
    reader.pull(publisher.feed)
    publisher.bank.remove(range(1, 501))
    publisher.bank.add([entry(number) for number in range(2001, 2801)])
    said = ["-c", PUBLISH, str(publisher.folder), str(publisher.clock.now), str(delay_s)]
    ended = forking.run(said, env=os.environ)
    assert ended.returncode in (-signal.SIGALRM, 0), ended.stderr
    old, new = set(range(1, 1001)), {*range(501, 1001), *range(2001, 2801)}
    reader.pull(publisher.feed)
    assert reader.ids in (old, new)
    publisher.clock.now += DAY_S
    publisher.publish()
    reader.pull(publisher.feed)
    assert reader.ids == new
