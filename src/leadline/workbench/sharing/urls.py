"""Addresses of sharing."""

from django.urls import path

from leadline.workbench.sharing import views

urlpatterns = [
    path("sharing/", views.list_shares, name="shares"),
    path("sharing/new/", views.new_share, name="new_share"),
    path("sharing/of/<uuid:share_id>/", views.show_share, name="share"),
    path("sharing/of/<uuid:share_id>/receipt/", views.download_receipt, name="share_receipt"),
    path("sharing/of/<uuid:share_id>/take-back/", views.withdraw, name="withdraw_share"),
    path("sharing/of/<uuid:share_id>/<str:what>/", views.decide, name="decide_share"),
    path("sharing/partners/", views.list_partners, name="partners"),
    path("sharing/partners/new/", views.make_partner, name="make_partner"),
    path("sharing/partners/<uuid:partner_id>/", views.show_partner, name="partner"),
    path("sharing/partners/<uuid:partner_id>/agreement/", views.agree, name="agree"),
    path("sharing/partners/<uuid:partner_id>/end/", views.end_agreement, name="end_agreement"),
    path("sources/", views.list_sources, name="sources"),
    path("sources/<str:name>/", views.show_source, name="source"),
]
