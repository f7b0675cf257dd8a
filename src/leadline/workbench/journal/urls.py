"""Addresses of the journal."""

from django.urls import path

from leadline.workbench.journal import views

urlpatterns = [
    path("", views.show_journal, name="journal"),
]
