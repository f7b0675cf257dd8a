"""Addresses of health and figures."""

from django.urls import path

from leadline.workbench.stats import views

urlpatterns = [
    path("healthz", views.show_healthz, name="healthz"),
    path("metrics", views.show_metrics, name="metrics"),
    path("health/", views.show_health, name="health"),
    path("health/clock/", views.confirm_clock, name="confirm_clock"),
]
