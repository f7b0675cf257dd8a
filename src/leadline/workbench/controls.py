"""Of form fields on a page: each has an id of its own, so that its label, and what is said of it, lead to it alone."""

from __future__ import annotations

from typing import Any

from django import template

register = template.Library()


@register.simple_tag(takes_context=True)
def own_ids(context: Any, form: Any) -> str:
    """Called before a form is drawn. Two forms with a field of one name would share an id, and with it one label."""
    request = context.get("request")
    if request is not None and getattr(form, "auto_id", "") == "id_%s":
        drawn = getattr(request, "forms_drawn", 0)
        request.forms_drawn = drawn + 1
        if drawn:
            form.auto_id = f"id_{drawn}_%s"
    return ""
