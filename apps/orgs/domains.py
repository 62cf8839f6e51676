"""Domains of e-mails: which of them can be an organization's. Pure."""

import re

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

# Where anybody gets an address. Whoever has one there has nothing in common with the next who does.
PUBLIC_DOMAINS = frozenset(
    {
        "126.com",
        "163.com",
        "aol.com",
        "fastmail.com",
        "free.fr",
        "gmail.com",
        "googlemail.com",
        "hey.com",
        "icloud.com",
        "laposte.net",
        "libero.it",
        "mac.com",
        "mail.com",
        "mail.ru",
        "me.com",
        "msn.com",
        "naver.com",
        "orange.fr",
        "pm.me",
        "proton.me",
        "protonmail.com",
        "qq.com",
        "rediffmail.com",
        "rocketmail.com",
        "t-online.de",
        "tuta.com",
        "tutanota.com",
        "wanadoo.fr",
        "web.de",
        "yandex.com",
        "yandex.ru",
        "ymail.com",
        "zoho.com",
    }
)
# The same provider in every country: hotmail.fr, yahoo.co.uk.
_PUBLIC_EVERYWHERE = re.compile(r"(gmx|hotmail|live|outlook|yahoo)\.((co|com)\.)?[a-z]{2,3}", re.ASCII)

_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"(?=.{{4,253}}\Z)({_LABEL}\.)+([a-z]{{2,63}}|xn--[a-z0-9-]{{1,59}})", re.ASCII)


def domain_of(email: str) -> str:
    """What stands behind the @, in lower case."""
    return email.rpartition("@")[2].lower()


def plain_address(email: str) -> str:
    """An e-mail without what many mail servers pass over: `ana+news@acme.com` is delivered to `ana@acme.com`."""
    name, _at, domain = email.strip().lower().rpartition("@")
    return f"{name.partition('+')[0]}@{domain}"


def plain_domain(written: str) -> str:
    """A domain as it is kept, however somebody writes it: `@Acme.com` is `acme.com`."""
    return written.strip().lower().removeprefix("@")


def check_domain(domain: str) -> None:
    """Raises ValidationError unless `domain` can be one organization's: a name, and of no public mail provider."""
    if _DOMAIN.fullmatch(domain) is None:
        raise ValidationError(
            _("%(domain)s is no domain: write one as in acme.com, and an international one in its form with xn--."),
            params={"domain": domain[:253]},
        )
    if domain in PUBLIC_DOMAINS or _PUBLIC_EVERYWHERE.fullmatch(domain):
        raise ValidationError(
            _(
                "Anybody gets an address at %(domain)s: name a domain of your own, and invite people with other addresses."
            ),
            params={"domain": domain},
        )
