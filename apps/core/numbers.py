"""Numbers in the reader's language."""

from django.utils.formats import get_format


def separated(text: str) -> str:
    """The number in `text`, as Python's `:,` writes it (1,234.5), with the separators of the language in use."""
    return text.translate({ord(","): get_format("THOUSAND_SEPARATOR"), ord("."): get_format("DECIMAL_SEPARATOR")})
