"""Reports as a Django app."""

from django.apps import AppConfig


class ReportsConfig(AppConfig):
    name = "leadline.workbench.reports"
    label = "reports"
