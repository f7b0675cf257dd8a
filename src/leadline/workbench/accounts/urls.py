"""Addresses of accounts: ours, and those of allauth's that the house uses, each with its permission."""

from __future__ import annotations

from allauth.account import views as account
from allauth.mfa.base import views as mfa
from allauth.mfa.recovery_codes import views as recovery_codes
from allauth.mfa.totp import views as totp
from allauth.mfa.webauthn import views as webauthn
from allauth.socialaccount import views as social
from allauth.socialaccount.providers.openid_connect import views as oidc
from allauth.usersessions import views as usersessions
from django.urls import path, re_path

from leadline.workbench.accounts import views
from leadline.workbench.permissions import Permission, requires

anyone, signed_in = requires(Permission.ANYONE), requires(Permission.SIGNED_IN)

urlpatterns = [
    path("", views.show_home, name="home"),
    path("join/<str:token>/", views.join, name="join"),
    path("people/", views.list_people, name="people"),
    path("people/alone/end/", views.end_one_person_office, name="end_one_person_office"),
    path("people/invitations/<uuid:invitation_id>/withdraw/", views.withdraw_invitation, name="withdraw_invitation"),
    path("people/invite/", views.invite_person, name="invite_person"),
    path("people/<uuid:person_id>/roles/<str:what>/", views.change_role, name="change_role"),
    path("people/<uuid:person_id>/close/", views.deactivate_person, name="deactivate_person"),
    path("people/roles/<int:grant_id>/confirm/", views.confirm_role, name="confirm_role"),
    path("account/", views.show_account, name="account"),
    path("language/", views.set_language, name="set_language"),
    path("account/keys/", views.list_keys, name="keys"),
    path("account/keys/new/", views.make_key, name="make_key"),
    path("account/keys/<uuid:key_id>/end/", views.end_key, name="end_key"),
    path("account/second-factor/", views.show_second_factor, name="second_factor"),
    path("account/sessions/", signed_in(usersessions.list_usersessions), name="usersessions_list"),
    path("account/login/", anyone(account.login), name="account_login"),
    path("account/logout/", signed_in(account.logout), name="account_logout"),
    path("account/inactive/", anyone(account.account_inactive), name="account_inactive"),
    path("account/again/", signed_in(account.reauthenticate), name="account_reauthenticate"),
    path("account/password/change/", signed_in(account.password_change), name="account_change_password"),
    path("account/password/set/", signed_in(account.password_set), name="account_set_password"),
    path("account/password/reset/", anyone(account.password_reset), name="account_reset_password"),
    path("account/password/reset/sent/", anyone(account.password_reset_done), name="account_reset_password_done"),
    re_path(
        r"^account/password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
        views.set_new_password,
        name="account_reset_password_from_key",
    ),
    path(
        "account/password/reset/done/",
        anyone(account.password_reset_from_key_done),
        name="account_reset_password_from_key_done",
    ),
    path("account/factors/", signed_in(mfa.index), name="mfa_index"),
    path("account/factors/authenticate/", anyone(mfa.authenticate), name="mfa_authenticate"),
    path("account/factors/again/", signed_in(mfa.reauthenticate), name="mfa_reauthenticate"),
    path("account/factors/app/", signed_in(totp.activate_totp), name="mfa_activate_totp"),
    path("account/factors/app/remove/", signed_in(totp.deactivate_totp), name="mfa_deactivate_totp"),
    path("account/factors/keys/", signed_in(webauthn.list_webauthn), name="mfa_list_webauthn"),
    path("account/factors/keys/add/", signed_in(webauthn.add_webauthn), name="mfa_add_webauthn"),
    path(
        "account/factors/keys/again/",
        signed_in(webauthn.reauthenticate_webauthn),
        name="mfa_reauthenticate_webauthn",
    ),
    path("account/factors/keys/login/", anyone(webauthn.login_webauthn), name="mfa_login_webauthn"),
    path("account/factors/keys/<int:pk>/remove/", signed_in(webauthn.remove_webauthn), name="mfa_remove_webauthn"),
    path("account/factors/keys/<int:pk>/edit/", signed_in(webauthn.edit_webauthn), name="mfa_edit_webauthn"),
    path("account/factors/codes/", signed_in(recovery_codes.view_recovery_codes), name="mfa_view_recovery_codes"),
    path(
        "account/factors/codes/new/",
        signed_in(recovery_codes.generate_recovery_codes),
        name="mfa_generate_recovery_codes",
    ),
    path(
        "account/factors/codes/download/",
        signed_in(recovery_codes.download_recovery_codes),
        name="mfa_download_recovery_codes",
    ),
    path("account/oidc/<str:provider_id>/login/", anyone(oidc.login), name="openid_connect_login"),
    path("account/oidc/<str:provider_id>/login/callback/", anyone(oidc.callback), name="openid_connect_callback"),
    path("account/oidc/cancelled/", anyone(social.login_cancelled), name="socialaccount_login_cancelled"),
    path("account/oidc/error/", anyone(social.login_error), name="socialaccount_login_error"),
]
