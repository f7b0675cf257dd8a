"""Addresses of webhooks."""

from django.urls import path

from leadline.workbench.hooks import views

urlpatterns = [
    path("", views.list_webhooks, name="webhooks"),
    path("new/", views.make_webhook, name="make_webhook"),
    path("<uuid:endpoint_id>/", views.show_webhook, name="webhook"),
    path("<uuid:endpoint_id>/<int:delivery_id>/again/", views.send_again, name="send_webhook_again"),
    path("<uuid:endpoint_id>/<str:what>/", views.change_webhook, name="change_webhook"),
]
