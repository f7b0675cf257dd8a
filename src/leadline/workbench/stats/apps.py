"""Health and figures as a Django app."""

from django.apps import AppConfig


class StatsConfig(AppConfig):
    name = "leadline.workbench.stats"
    label = "stats"
