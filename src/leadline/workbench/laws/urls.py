"""Addresses of laws."""

from __future__ import annotations

from django.urls import path

from leadline.workbench.laws import views

urlpatterns = [
    path("", views.show_law, name="law"),
    path("correct/", views.correct_cell, name="correct_law"),
    path("office/", views.declare_office, name="law_office"),
]
