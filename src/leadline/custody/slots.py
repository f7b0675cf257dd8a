"""The plug-in slot for key management services (entry point group `leadline.key_slots`); ships none, trusts none.

A package that offers a service names a function in this group: it takes one text (an address, the name of a key) and
returns a `KeySlot`. The instance key then never is on this machine; data keys are, while a file is sealed or read.
"""

from __future__ import annotations

import hmac
import secrets
from importlib.metadata import entry_points
from typing import Any

from leadline.custody.keys import KEY_BYTES, KeySlot
from leadline.errors import ConfigError, KeyUnavailable, SealBroken

ENTRY_POINT_GROUP = "leadline.key_slots"
MAX_WRAPPED_BYTES = 1024


def open_slot(named: str, argument: str) -> GuardedSlot:
    """The installed slot `named`, made for `argument`, tried and guarded.

    ConfigError where there is none of the name, KeyUnavailable where it fails or does not keep its contract.
    """
    found = [point for point in entry_points(group=ENTRY_POINT_GROUP) if point.name == named]
    if len(found) != 1:
        what = "two key slots of one name" if found else "no key slot of that name is installed"
        raise ConfigError(what, where=named, mend="install one package that offers it")
    try:
        slot: Any = found[0].load()(argument)
    except Exception as error:  # a plug-in may fail in any way; all of them mean the same here
        what = f"key slot failed: {type(error).__name__}"
        raise KeyUnavailable(what, where=named, mend="check its setting") from error
    return check_slot(slot, named)


def check_slot(untrusted_slot: Any, where: str) -> GuardedSlot:
    """The slot behind a guard, once it is seen to give back what it wrapped, and only in its context."""
    if not isinstance(untrusted_slot, KeySlot):
        raise KeyUnavailable("not a key slot", where=where, mend="it lacks members of KeySlot")
    slot, probe = GuardedSlot(untrusted_slot, where), secrets.token_bytes(KEY_BYTES)
    wrapped = slot.wrap(probe, b"leadline/probe")
    if not hmac.compare_digest(slot.unwrap(wrapped, b"leadline/probe"), probe) or probe in wrapped:
        raise KeyUnavailable("the key slot does not keep what it is given", where=where, mend="call its maker")
    try:
        slot.unwrap(wrapped, b"leadline/other")
    except (SealBroken, KeyUnavailable):
        return slot
    raise KeyUnavailable("the key slot ignores the context", where=where, mend="call its maker")


class GuardedSlot:
    """A plug-in's slot: what it answers is checked, and whatever it raises becomes one of our errors."""

    def __init__(self, untrusted_slot: KeySlot, where: str) -> None:
        self._slot, self._where = untrusted_slot, where

    @property
    def key_id(self) -> str:
        return self._slot.key_id

    def wrap(self, data_key: bytes, context: bytes) -> bytes:
        return self._checked(self._ask("wrap", data_key, context), range(1, MAX_WRAPPED_BYTES + 1))

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        return self._checked(self._ask("unwrap", wrapped, context), range(KEY_BYTES, KEY_BYTES + 1))

    def is_current(self, wrapped: bytes) -> bool:
        return bool(self._ask("is_current", wrapped))

    def _ask(self, method: str, *arguments: bytes) -> Any:
        try:
            return getattr(self._slot, method)(*arguments)
        except (SealBroken, KeyUnavailable):
            raise
        except Exception as error:  # as in open_slot; its message may hold anything, so only its type is shown
            what = f"key slot failed to {method}: {type(error).__name__}"
            raise KeyUnavailable(what, where=self._where, mend="check that the service answers") from error

    def _checked(self, untrusted: Any, sizes: range) -> bytes:
        if not isinstance(untrusted, bytes) or len(untrusted) not in sizes:
            raise KeyUnavailable("key slot answered out of contract", where=self._where, mend="call its maker")
        return untrusted
