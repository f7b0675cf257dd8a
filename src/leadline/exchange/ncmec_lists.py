"""NCMEC's lists by name, and the options of a source of that kind. Asks nothing."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from leadline.exchange.connector import WebOptions

PRODUCTION = {
    "industry": "https://report.cybertip.org/hashsharing",
    "industry-exploitative": "https://report.cybertip.org/exploitative-hashsharing",
    "law-enforcement": "https://lesp.ncmec.org/csam-hashsharing",
    "ngo": "https://hashsharing.ncmec.org/npo",
    "exploitative": "https://hashsharing.ncmec.org/exploitative",
    "generative-ai": "https://hashsharing.ncmec.org/generative-ai-csam",
    "generative-ai-exploitative": "https://hashsharing.ncmec.org/generative-ai-exploitative",
}
TEST = {
    "industry": "https://exttest.cybertip.org/hashsharing",
    "industry-exploitative": "https://exttest.cybertip.org/exploitative-hashsharing",
    "law-enforcement": "https://betalesp.ncmec.org/csam-hashsharing",
    "ngo": "https://hashsharing-test.ncmec.org/npo",
    "exploitative": "https://hashsharing-test.ncmec.org/exploitative",
    "generative-ai": "https://hashsharing-test.ncmec.org/generative-ai-csam",
    "generative-ai-exploitative": "https://hashsharing-test.ncmec.org/generative-ai-exploitative",
}


class NcmecOptions(WebOptions):
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
        return self.address or (PRODUCTION if self.environment == "production" else TEST)[self.list]
