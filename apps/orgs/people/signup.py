"""Who may make an account. Nobody, unless a rule opens it: an organization's own domains, or an overlay's."""

from collections.abc import Callable

from django.http import HttpRequest

from apps.orgs.people.mail import mail_is_configured
from apps.orgs.signup.selectors import organization_open_to, sign_up_is_open

type SignUpRule = Callable[[HttpRequest, str | None], bool]

_rules: list[SignUpRule] = []


def sign_up_rule(rule: SignUpRule) -> SignUpRule:
    """Register a rule. It is asked with an e-mail, or with None: may anybody at all sign up with this request?"""
    _rules.append(rule)
    return rule


def may_sign_up(request: HttpRequest, email: str | None = None) -> bool:
    """Whether some rule lets `email` make an account; without one, whether the page is open at all.

    Never without a mail server: nobody could show that an e-mail is theirs.
    """
    return mail_is_configured() and any(rule(request, email) for rule in _rules)


@sign_up_rule
def by_domain(_request: HttpRequest, email: str | None) -> bool:
    """People whose domain an organization names."""
    return sign_up_is_open() if email is None else organization_open_to(email) is not None
