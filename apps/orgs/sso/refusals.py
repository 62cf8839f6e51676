"""Why somebody is not signed in through the identity provider: a code for the record, a page for the person.

Whatever the provider does, it ends in a session or in one of these: each says what happened and what to do.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from apps.orgs.sso.claims import Person

_AGAIN = _("Try again in a minute. If it goes on, tell whoever runs this installation, with the code below.")
_TELL = _(
    "Nobody was signed in. Try again; if it goes on, tell whoever runs this installation: the settings of single sign-on, "
    "there or here, need a look. The code below says which."
)


@dataclass(frozen=True, slots=True)
class Reason:
    """One way a sign-in ends without a session. Texts may hold %(provider)s and %(email)s."""

    code: str
    status: int  # of the page
    title: Any  # translated when it is shown
    remedy: Any


class SsoRefused(Exception):
    """Nobody is signed in. `detail` is for the log and the admin event, never for the page."""

    def __init__(self, reason: Reason, detail: str = "", *, person: "Person | None" = None) -> None:
        super().__init__(f"{reason.code}: {detail}" if detail else reason.code)
        # Some of it is what a stranger sent: nothing that a database or a terminal stumbles over.
        plain = "".join(each if each.isprintable() else "?" for each in detail[:300])
        self.reason, self.detail, self.person = reason, plain, person


def _lie(code: str) -> Reason:
    return Reason(code, 502, _("%(provider)s sent an answer that cannot be trusted."), _TELL)


# The provider is away, or does not do what it should.
UNREACHABLE = Reason("provider_unreachable", 503, _("%(provider)s does not answer."), _AGAIN)
BAD_ANSWER = Reason("provider_answer", 502, _("%(provider)s answered something that is no sign-in."), _AGAIN)
BAD_DISCOVERY = _lie("provider_discovery")
TOKEN_UNREADABLE = _lie("token_unreadable")
TOKEN_ALGORITHM = _lie("token_algorithm")
TOKEN_SIGNATURE = _lie("token_signature")
TOKEN_ISSUER = _lie("token_issuer")
TOKEN_AUDIENCE = _lie("token_audience")
TOKEN_NONCE = _lie("token_nonce")
TOKEN_EXPIRED = _lie("token_expired")
TOKEN_CLAIMS = _lie("token_claims")
SUBJECT_DIFFERS = _lie("userinfo_subject")

# The person, or somebody else's link.
STATE_UNKNOWN = Reason(
    "sign_in_unknown",
    400,
    _("This sign-in was not begun in this browser, or it is over."),
    _("Each works once, for a quarter of an hour, in the browser that began it. Begin again."),
)
CANCELLED = Reason(
    "cancelled", 403, _("You were not signed in at %(provider)s."), _("You can try again, or sign in another way.")
)
PROVIDER_REFUSED = Reason("provider_refused", 502, _("%(provider)s refused the sign-in."), _TELL)

# The e-mail.
EMAIL_MISSING = Reason(
    "email_missing",
    403,
    _("%(provider)s does not tell your e-mail."),
    _("Ask whoever runs %(provider)s to give your account an e-mail, and to pass it on to this application."),
)
EMAIL_UNVERIFIED = Reason(
    "email_unverified",
    403,
    _("%(provider)s has not verified your e-mail %(email)s."),
    _("Verify it there, or ask whoever runs %(provider)s to; then try again."),
)
DOMAIN_REFUSED = Reason(
    "domain_refused",
    403,
    _("People with the e-mail %(email)s may not sign in here."),
    _("Use your account at work, or ask whoever runs this installation."),
)

# The account here.
NOT_INVITED = Reason(
    "not_invited",
    403,
    _("There is no account for %(email)s here yet."),
    _("Ask an owner of your organization for an invitation, then try again."),
)
NO_ORGANIZATION = Reason(
    "no_organization",
    403,
    _("There is no organization here that %(email)s could join."),
    _("Ask whoever runs this installation: OIDC_ORGANIZATION names the one that people join."),
)
NOT_ADMITTED = Reason(
    "not_admitted",
    403,
    _("%(email)s cannot become a member now."),
    _("Ask an owner of your organization about it: there may be no room for more."),
)
SWITCHED_OFF = Reason(
    "switched_off", 403, _("Your account here is switched off."), _("Ask an owner of your organization about it.")
)
CONNECTED_ELSEWHERE = Reason(
    "connected_elsewhere",
    409,
    _("The account of %(email)s here belongs to another account at %(provider)s."),
    _("Ask whoever runs this installation to disconnect the old one, if it was yours."),
)
UNCONFIRMED = Reason(
    "unconfirmed",
    409,
    _("There is an account for %(email)s here already."),
    _("Sign in to it once the way you do now; then you can connect it with %(provider)s."),
)
