"""Filters for the console's templates."""

from django import template
from django.http import HttpRequest

from apps.audit.readable import compact, milliseconds, money, money_compact, money_exact

register = template.Library()
register.filter("duration", milliseconds)
register.filter("compact", compact)
register.filter("money", money)
register.filter("money_compact", money_compact)
register.filter("money_exact", money_exact)


@register.filter
def may(request: HttpRequest, permission: str) -> bool:
    """Whether who looks may do it, so that no link leads to a refusal: `{% if request|may:"tokens.write" %}`."""
    from apps.core import console  # noqa: PLC0415 - the theme below it looks for these libraries while it is loaded

    return console.may(request, permission)
