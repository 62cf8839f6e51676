"""Filters for the console's templates."""

from django import template

from apps.audit.readable import compact, milliseconds, money, money_compact, money_exact

register = template.Library()
register.filter("duration", milliseconds)
register.filter("compact", compact)
register.filter("money", money)
register.filter("money_compact", money_compact)
register.filter("money_exact", money_exact)
