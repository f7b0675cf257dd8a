"""Webhooks as a Django app."""

from django.apps import AppConfig


class HooksConfig(AppConfig):
    name = "leadline.workbench.hooks"
    label = "hooks"
