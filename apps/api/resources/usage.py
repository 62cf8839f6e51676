"""Usage: requests, tokens and cost by service, token, model …, in buckets of time."""

from datetime import timedelta
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django.utils.timezone import now
from django.utils.translation import gettext as _
from rest_framework import serializers

from apps.api.frame.fields import Choice, Moment, Ref, Strict, Text, Usd
from apps.api.frame.operations import operation
from apps.api.frame.views import ApiView
from apps.audit.usage import BUCKETS, GROUPS, RECORDS_RANGE, ROLLED_UP, ROWS_MOST, UsageAsked, usage
from apps.orgs.models import Organization
from apps.orgs.roles import Permission
from apps.services.models import Service, Token

USUAL = timedelta(days=7)
SOURCES = ("rollup", "records")


class UsageQuery(Strict):
    """What to add up."""

    since = Moment(required=False, help_text="A week before `until` if left out.")
    until = Moment(required=False, help_text="Now if left out.")
    group_by = Text(required=False, help_text=f"Up to three of {', '.join(GROUPS)}, separated by commas.")
    bucket = Choice(choices=BUCKETS, required=False, help_text="Left out: the whole range as one.")
    service = Ref(Service, required=False)
    token = Ref(Token, required=False)
    model = Text(required=False, help_text="As the client asked for it.")
    source = Choice(
        choices=SOURCES,
        required=False,
        help_text="records: by organization, service and token too, with tokens and failures. rollup: refused where it cannot be.",
    )
    organization = Ref(Organization, required=False, help_text="For the installation's operators: of this one alone.")


class UsageRowShown(serializers.Serializer[Any]):
    """One group in one bucket."""

    example = {
        "group": {"model": "gpt-5"},
        "requests": 1204,
        "failed": 3,
        "input_tokens": 911_000,
        "cached_tokens": 120_500,
        "output_tokens": 84_200,
        "cost_usd": "1.98075",
    }

    starts_at = Moment(help_text="The bucket's beginning, by the organization's time zone.")
    group = serializers.DictField(child=serializers.CharField(allow_null=True))
    requests = serializers.IntegerField()
    failed = serializers.IntegerField(allow_null=True)
    input_tokens = serializers.IntegerField(allow_null=True)
    cached_tokens = serializers.IntegerField(allow_null=True)
    output_tokens = serializers.IntegerField(allow_null=True)
    cost_usd = Usd()


class UsageShown(serializers.Serializer[Any]):
    """What was used."""

    example = {"since": "2026-11-14T15:00:00Z", "source": "records"}

    since = Moment()
    until = Moment()
    source = serializers.ChoiceField(
        choices=SOURCES,
        help_text="rollup: of quarter hours, and only requests that cost something; no tokens. records: of every request.",
    )
    data = UsageRowShown(many=True)


class Usage(ApiView):
    """All of it."""

    tag = "Usage"
    permissions: ClassVar = {"GET": Permission.USAGE_READ}

    @operation("Add up usage", query=UsageQuery, gives=UsageShown)
    def get(self) -> Any:
        """Grouped, in buckets."""
        query = self.query
        organization = self.access.organization or query.get("organization")
        until = query.get("until") or now()
        asked = UsageAsked(
            organization_id=None if organization is None else organization.pk,
            since=query.get("since") or until - USUAL,
            until=until,
            group_by=_groups(query.get("group_by", "")),
            bucket=query.get("bucket", ""),
            zone=ZoneInfo("UTC" if organization is None else organization.timezone),
            service_id=query["service"].pk if "service" in query else None,
            token_id=query["token"].pk if "token" in query else None,
            model=query.get("model"),
            from_records=query.get("source") == "records",
        )
        if query.get("source") == "rollup" and not asked.can_roll_up:
            raise ValidationError(
                {
                    "source": _("Quarter hours are kept by %(groups)s alone: leave `source` out.")
                    % {"groups": ", ".join(ROLLED_UP)}
                }
            )
        if asked.since >= asked.until:
            raise ValidationError({"since": _("The range is empty: `since` comes before `until`.")})
        if asked.source == "records" and asked.until - asked.since > RECORDS_RANGE:
            raise ValidationError(
                {
                    "since": _("At most %(days)d days, but by %(groups)s alone any range.")
                    % {"days": RECORDS_RANGE.days, "groups": ", ".join(ROLLED_UP)}
                }
            )
        rows = usage(asked)
        if len(rows) > ROWS_MOST:
            raise ValidationError({"group_by": _("More than %(most)d rows: ask for less.") % {"most": ROWS_MOST}})
        shown = {"since": asked.since, "until": asked.until, "source": asked.source, "data": rows}
        return self.shown(shown, UsageShown)


def _groups(text: str) -> tuple[str, ...]:
    """The columns to group by. Raises ValidationError."""
    found = tuple(word.strip() for word in text.split(",")) if text else ()
    if len(found) > 3 or len(set(found)) < len(found) or any(word not in GROUPS for word in found):
        raise ValidationError(
            {"group_by": _("Use up to three of %(groups)s, once each.") % {"groups": ", ".join(GROUPS)}}
        )
    return found
