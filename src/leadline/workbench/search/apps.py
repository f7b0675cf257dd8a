"""Search as a Django app."""

from django.apps import AppConfig


class SearchConfig(AppConfig):
    name = "leadline.workbench.search"
    label = "search"
