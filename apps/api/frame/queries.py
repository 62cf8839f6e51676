"""What lists take in their query, and what inputs have in common."""

from typing import Any

from django.utils.translation import gettext_lazy as _

from apps.api.frame.fields import QueryWhole, Ref, Strict, Text
from apps.api.frame.pages import LIMIT, LIMIT_MOST
from apps.orgs.models import Organization


class PageQuery(Strict):
    """Which page."""

    cursor = Text(required=False, max_length=64, help_text=_("`next_cursor` of the page before."))
    limit = QueryWhole(
        required=False,
        min_value=1,
        max_value=LIMIT_MOST,
        help_text=_("Rows on a page; %(usual)d if left out.") % {"usual": LIMIT},
    )
    organization = Ref(
        Organization, required=False, help_text=_("For the installation's operators: of this organization alone.")
    )


class OwnedInput(Strict):
    """Something of one organization."""

    organization = Ref(
        Organization,
        required=False,
        help_text=_("For the installation's operators, who must say whose it is where there are several."),
    )


class SharedInput(Strict):
    """Something of one organization, or of the installation."""

    organization = Ref(
        Organization,
        required=False,
        allow_null=True,
        help_text=_("null: hosted by the installation, for every organization; only its operators may."),
    )


type Values = dict[str, Any]
