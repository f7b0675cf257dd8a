"""Addresses of banks."""

from django.urls import path

from leadline.workbench.banks import views

urlpatterns = [
    path("", views.list_banks, name="banks"),
    path("new/", views.make_bank, name="make_bank"),
    path("look-up/", views.look_up, name="look_up"),
    path("proposals/<uuid:proposal_id>/<str:what>/", views.decide, name="decide_proposal"),
    path("of/<str:bank_id>/", views.show_bank, name="bank"),
    path("of/<str:bank_id>/add/", views.add_entries, name="add_entries"),
    path("of/<str:bank_id>/withdraw/", views.withdraw_entries, name="withdraw_entries"),
    path("of/<str:bank_id>/settings/", views.set_bank, name="set_bank"),
    path("of/<str:bank_id>/trust/", views.trust_bank, name="trust_bank"),
    path("of/<str:bank_id>/changes/", views.show_changes, name="bank_changes"),
    path("of/<str:bank_id>/<int:entry_id>/", views.show_entry, name="bank_entry"),
]
