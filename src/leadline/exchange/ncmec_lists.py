"""The options of a source of NCMEC's kind: one of its lists by name, or an address of one's own. Asks nothing."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from leadline.exchange.connector import LargeOptions
from leadline.exchange.ncmec_bases import BASES


class NcmecOptions(LargeOptions):
    """list: one of NCMEC's by name; address: a base of one's own choice instead, up to before `/v2`."""

    list: Literal[
        "", "industry", "industry-exploitative", "law-enforcement", "ngo", "exploitative", "generative-ai",
        "generative-ai-exploitative",
    ] = ""  # fmt: skip
    environment: Literal["production", "test"] = "production"
    address: str = ""

    @model_validator(mode="after")
    def _has_one_place(self) -> NcmecOptions:
        if bool(self.list) == bool(self.address):
            raise ValueError("give either list or address")
        return self

    @property
    def base(self) -> str:
        return self.address or BASES[self.environment][self.list]
