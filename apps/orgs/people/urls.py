"""Pages about signing in and about oneself. allauth's names, under addresses of our own.

Everything lies under /sign-in/ and /account/, where the database shows people (apps.orgs.middleware).
"""

from collections.abc import Callable

from allauth.account import views as account
from allauth.mfa.base import views as second_factor
from allauth.mfa.recovery_codes import views as recovery_codes
from allauth.mfa.totp import views as totp
from allauth.mfa.webauthn import views as passkeys
from django.http import HttpResponseBase
from django.urls import URLPattern, path, re_path

from apps.core.web import View, limited
from apps.orgs.people import views
from apps.orgs.people.forms import ConfirmByCodeForm, SecondFactorForm
from apps.orgs.people.views import adding_a_factor, by_password, person_asked, private, sign_in_page
from apps.orgs.signup import views as sign_up

type Around = Callable[[View], View]


def _page(route: str, view: Callable[..., HttpResponseBase], name: str, *around: Around) -> URLPattern:
    wrapped: View = view
    for each in reversed(around):
        wrapped = each(wrapped)
    return path(route, private(wrapped), name=name)


# Ten tries a minute from one address, and twenty an hour at one account from wherever; codes are shorter than passwords.
_sign_in = (sign_in_page, limited("login-address", "10/m"), limited("login-account", "20/h", by=views.account_asked))
_code = (limited("code-address", "20/m"), limited("code-person", "10/h", by=person_asked))
_confirm = (limited("confirm-person", "10/h", by=person_asked),)
_forgotten = (
    by_password,
    limited("reset-address", "10/m"),
    limited("reset-account", "5/h", by=views.email_asked),
)
_sign_up = (
    by_password,
    limited("sign-up-address", "10/m"),
    limited("sign-up-account", "5/h", by=sign_up.address_asked),
)
_new_password = limited("reset-key-address", "20/m")
_own = (limited("account-person", "30/h", by=person_asked),)

_confirm_by_code = second_factor.ReauthenticateView.as_view(form_class=ConfirmByCodeForm)
_second_factor = second_factor.AuthenticateView.as_view(form_class=SecondFactorForm)

urlpatterns = [
    # Signing in
    _page("sign-in/", account.login, "account_login", *_sign_in),
    _page("sign-in/second-factor/", _second_factor, "mfa_authenticate", *_code),
    _page("sign-in/passkey/", passkeys.login_webauthn, "mfa_login_webauthn", *_sign_in[:2]),
    _page("sign-in/switched-off/", account.account_inactive, "account_inactive"),
    _page("sign-in/new/", sign_up.ask, "account_signup", *_sign_up),
    _page("sign-in/new/sent/", sign_up.sent, "sign_up_sent", by_password),
    _page("sign-in/new/<str:signed>/", sign_up.finish, "sign_up_finish", by_password, limited("sign-up-link", "20/m")),
    _page("sign-in/forgotten/", account.password_reset, "account_reset_password", *_forgotten),
    _page("sign-in/forgotten/sent/", account.password_reset_done, "account_reset_password_done", by_password),
    _page("sign-in/forgotten/done/", account.password_reset_from_key_done, "account_reset_password_from_key_done"),
    re_path(
        r"^sign-in/forgotten/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
        private(by_password(_new_password(account.password_reset_from_key))),
        name="account_reset_password_from_key",
    ),
    _page("sign-in/verify/", account.email_verification_sent, "account_email_verification_sent"),
    re_path(r"^sign-in/verify/(?P<key>[-:\w]+)/$", private(account.confirm_email), name="account_confirm_email"),
    path("sign-in/<str:secret>/", views.sign_in_by_link, name="sign_in"),
    # Oneself
    _page("account/", views.profile, "people_profile", *_own),
    _page("account/sign-out/", account.logout, "account_logout"),
    _page("account/confirm/", account.reauthenticate, "account_reauthenticate", by_password, *_confirm),
    _page("account/confirm/code/", _confirm_by_code, "mfa_reauthenticate", *_code),
    _page("account/confirm/passkey/", passkeys.reauthenticate_webauthn, "mfa_reauthenticate_webauthn", *_code),
    _page("account/email/", account.email, "account_email", limited("email-person", "10/h", by=person_asked)),
    _page("account/password/", account.password_change, "account_change_password", by_password, *_confirm),
    _page("account/password/first/", account.password_set, "account_set_password", by_password, *_confirm),
    _page("account/sessions/", views.sessions, "usersessions_list", *_own),
    _page("account/sessions/<int:session_id>/end/", views.end_session, "people_end_session", *_own),
    # Second factors
    _page("account/security/", second_factor.index, "mfa_index"),
    _page("account/security/app/", totp.activate_totp, "mfa_activate_totp", *_confirm, adding_a_factor),
    _page("account/security/app/remove/", totp.deactivate_totp, "mfa_deactivate_totp", *_own),
    _page("account/security/recovery-codes/", recovery_codes.view_recovery_codes, "mfa_view_recovery_codes"),
    _page(
        "account/security/recovery-codes/new/",
        recovery_codes.generate_recovery_codes,
        "mfa_generate_recovery_codes",
        *_own,
    ),
    _page("account/security/passkeys/", passkeys.list_webauthn, "mfa_list_webauthn"),
    _page("account/security/passkeys/add/", passkeys.add_webauthn, "mfa_add_webauthn", *_own, adding_a_factor),
    _page("account/security/passkeys/<int:pk>/", passkeys.edit_webauthn, "mfa_edit_webauthn", *_own),
    _page("account/security/passkeys/<int:pk>/remove/", passkeys.remove_webauthn, "mfa_remove_webauthn", *_own),
]
