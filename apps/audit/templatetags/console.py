"""Filters for the console's templates."""

from django import template

from apps.audit.readable import compact, milliseconds

register = template.Library()
register.filter("duration", milliseconds)
register.filter("compact", compact)
