"""Filters: the text of a question by its id; a cell as the beginning of its correction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from django import template
from django.utils.translation import gettext

register = template.Library()


@register.filter
def text_of(texts: Mapping[str, str], question_id: str) -> str:
    return gettext(texts.get(question_id, question_id))


@register.filter
def as_query(cell: Any) -> str:
    """What is known of a cell, for the form that corrects it; its source and day are asked for anew."""
    names = ("jurisdiction", "question_id", "answer", "binds", "instrument", "provision", "extent")
    return urlencode({name: str(getattr(cell, name)) for name in names if getattr(cell, name)})
