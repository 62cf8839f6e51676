"""Who may make an account. Nobody, unless a rule opens it: an invitation, or an organization's own."""

from collections.abc import Callable

from django.http import HttpRequest

type SignUpRule = Callable[[HttpRequest, str | None], bool]

_rules: list[SignUpRule] = []


def sign_up_rule(rule: SignUpRule) -> SignUpRule:
    """Register a rule. It is asked with an e-mail, or with None: may anybody at all sign up with this request?"""
    _rules.append(rule)
    return rule


def may_sign_up(request: HttpRequest, email: str | None = None) -> bool:
    """Whether some rule lets `email` make an account; without one, whether the page is open at all."""
    return any(rule(request, email) for rule in _rules)
