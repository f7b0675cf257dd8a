"""Review as a Django app."""

from django.apps import AppConfig


class ReviewConfig(AppConfig):
    name = "leadline.workbench.review"
    label = "review"
