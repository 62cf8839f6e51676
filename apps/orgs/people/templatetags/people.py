"""How a form's fields look on pages about signing in."""

from django import template
from django.forms import BoundField, CheckboxInput
from django.utils.safestring import SafeString

from apps.orgs.people.sessions import browser_name

register = template.Library()


@register.filter
def dressed(field: BoundField) -> SafeString:
    """The field's widget in the console's clothes; its label says what a placeholder would."""
    attrs: dict[str, str | bool] = {} if isinstance(field.field.widget, CheckboxInput) else {"class": "tg-input"}
    field.field.widget.attrs.pop("placeholder", None)
    return field.as_widget(attrs=attrs)


@register.filter
def is_checkbox(field: BoundField) -> bool:
    """Whether its label stands behind it."""
    return isinstance(field.field.widget, CheckboxInput)


@register.filter
def browser(user_agent: str) -> str:
    """A browser's name."""
    return browser_name(user_agent)[0]


@register.filter
def system(user_agent: str) -> str:
    """The system that it runs on."""
    return browser_name(user_agent)[1]
