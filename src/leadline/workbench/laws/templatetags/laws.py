"""One filter: the text of a question by its id."""

from __future__ import annotations

from collections.abc import Mapping

from django import template
from django.utils.translation import gettext

register = template.Library()


@register.filter
def text_of(texts: Mapping[str, str], question_id: str) -> str:
    return gettext(texts.get(question_id, question_id))
