"""Addresses of NCMEC's lists, by name. Nothing but the table, so that who only tells of a source needs no library."""

from __future__ import annotations

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
BASES = {"production": PRODUCTION, "test": TEST}  # by environment
