"""Addresses of search."""

from __future__ import annotations

from django.urls import path

from leadline.workbench.search import views

urlpatterns = [path("", views.search, name="search")]
