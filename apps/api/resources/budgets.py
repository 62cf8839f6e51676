"""Budgets, what running calls hold of them, corrections of what was spent, and who is told when they run low."""

from typing import Any, ClassVar
from uuid import UUID

from django.http import Http404
from rest_framework import serializers

from apps.api.frame.examples import MOMENT, id_of
from apps.api.frame.fields import Choice, Moment, QuerySwitch, Ref, RequestId, Strict, Switch, Text, Texts, Usd, Whole
from apps.api.frame.operations import operation
from apps.api.frame.queries import OwnedInput, PageQuery
from apps.api.frame.views import ApiView
from apps.audit.models import Adjustment
from apps.orgs.roles import Permission
from apps.policies.actions.adjustments import adjustment_record
from apps.policies.actions.budgets import Subject, budget_create, budget_delete, budget_update
from apps.policies.actions.holds import hold_release
from apps.policies.actions.webhooks import (
    webhook_add,
    webhook_delete,
    webhook_disable,
    webhook_enable,
    webhook_rotate_secret,
)
from apps.policies.counters.control import HoldState, holds
from apps.policies.models import (
    AlertDelivery,
    Budget,
    BudgetAction,
    BudgetAlert,
    BudgetScope,
    CredentialAlert,
    Policy,
    Webhook,
    Window,
)
from apps.policies.selectors.budgets import budget_states
from apps.policies.usd import nano_text
from apps.services.models import Service, Token

LEVELS_MOST = 20


class BudgetShown(serializers.Serializer[Budget]):
    """How much may be spent, by whom, and in which time."""

    example = {
        "scope": "service",
        "service": id_of("service"),
        "end_user": "",
        "tag": "",
        "window": "month",
        "limit_usd": "50.00",
        "action": "block",
        "alert_at": [50, 80, 100],
    }

    id = serializers.UUIDField()
    organization = serializers.UUIDField(source="organization_id")
    scope = serializers.ChoiceField(choices=BudgetScope.values)
    service = serializers.UUIDField(source="service_id", allow_null=True)
    token = serializers.UUIDField(source="token_id", allow_null=True)
    policy = serializers.UUIDField(source="policy_id", allow_null=True)
    end_user = serializers.CharField()
    tag = serializers.CharField()
    window = serializers.ChoiceField(choices=Window.values)
    rolling_days = serializers.IntegerField(allow_null=True)
    limit_usd = Usd()
    action = serializers.ChoiceField(choices=BudgetAction.values)
    alert_at = serializers.ListField(child=serializers.IntegerField(), help_text="Percentages of the limit.")
    enabled = serializers.BooleanField()
    created_at = Moment()


class Levels(serializers.ListField):
    """Whole percentages."""

    def __init__(self, **options: Any) -> None:
        """From 1 to 1000."""
        super().__init__(child=Whole(min_value=1, max_value=1000), max_length=LEVELS_MOST, **options)


class BudgetInput(OwnedInput):
    """A new budget. Exactly what its scope names is given besides."""

    example = {
        "scope": "service",
        "service": id_of("service"),
        "window": "month",
        "limit_usd": "50",
        "alert_at": [50, 80, 100],
    }

    scope = Choice(choices=BudgetScope.values)
    service = Ref(Service, required=False)
    token = Ref(Token, required=False)
    policy = Ref(Policy, required=False)
    end_user = Text(required=False, help_text="As requests bear it; * gives every end user this budget.")
    tag = Text(required=False, help_text="key=value.")
    window = Choice(choices=Window.values)
    rolling_days = Whole(required=False, allow_null=True, min_value=2, max_value=366)
    limit_usd = Usd()
    action = Choice(choices=BudgetAction.values, required=False)
    alert_at = Levels(required=False)
    enabled = Switch(required=False)


class BudgetChange(Strict):
    """What changes of a budget. Whose it is stays."""

    example = {"limit_usd": "75.50", "alert_at": [80, 100]}

    window = Choice(choices=Window.values, required=False)
    rolling_days = Whole(required=False, allow_null=True, min_value=2, max_value=366)
    limit_usd = Usd(required=False)
    action = Choice(choices=BudgetAction.values, required=False)
    alert_at = Levels(required=False)
    enabled = Switch(required=False)


class BudgetQuery(PageQuery):
    """Which budgets."""

    scope = Choice(choices=BudgetScope.values, required=False)
    service = Ref(Service, required=False)
    token = Ref(Token, required=False)
    enabled = QuerySwitch(required=False)


class Budgets(ApiView):
    """All of them."""

    tag = "Budgets"
    permissions: ClassVar = {"GET": Permission.BUDGETS_READ, "POST": Permission.BUDGETS_WRITE}
    shows = BudgetShown

    @operation("List budgets", query=BudgetQuery, gives=BudgetShown, paged=True)
    def get(self) -> Any:
        """A page of them."""
        names = ("scope", "service", "token", "enabled")
        return self.page(self.mine(Budget.objects.all()).filter(**{n: self.query[n] for n in names if n in self.query}))

    @operation("Create a budget", takes=BudgetInput, gives=BudgetShown, status=201)
    def post(self) -> Any:
        """It bounds what is spent from now on; what was spent in its window counts."""
        organization, given = self.organization(), self.given
        names = ("scope", "service", "token", "policy", "end_user", "tag")
        subject = Subject(**{name: given.pop(name) for name in names if name in given})
        return budget_create(organization=organization, subject=subject, actor=self.actor, **given)


class OneBudget(ApiView):
    """One of them."""

    tag = "Budgets"
    permissions: ClassVar = {
        "GET": Permission.BUDGETS_READ,
        "PATCH": Permission.BUDGETS_WRITE,
        "DELETE": Permission.BUDGETS_WRITE,
    }
    rows = Budget
    related = ("organization", "service", "token", "policy")
    shows = BudgetShown

    @operation("Read a budget", gives=BudgetShown)
    def get(self) -> Any:
        """As it is."""
        return self.row

    @operation("Change a budget", takes=BudgetChange, gives=BudgetShown)
    def patch(self) -> Any:
        """As it is then."""
        return budget_update(budget=self.row, actor=self.actor, **self.given)

    @operation("Forget a budget")
    def delete(self) -> Any:
        """It bounds nothing any more."""
        budget_delete(budget=self.row, actor=self.actor)


class BudgetStateShown(serializers.Serializer[Any]):
    """How a budget stands for one of its subjects, now."""

    example = {
        "subject": "",
        "label": "Acme, a month",
        "starts_at": "2026-11-01T00:00:00Z",
        "ends_at": "2026-12-01T00:00:00Z",
        "limit_usd": "50.00",
        "spent_usd": "12.40271",
        "held_usd": "0.0184",
        "remaining_usd": "37.57889",
        "projected_exhaustion": "2026-11-29T04:00:00Z",
    }

    subject = serializers.CharField(help_text="Which holder or end user, where the budget has several.")
    label = serializers.CharField()
    starts_at = Moment()
    ends_at = Moment(allow_null=True, help_text="null: never.")
    limit_usd = Usd()
    spent_usd = Usd()
    held_usd = Usd(allow_null=True, help_text="By calls that run; null: not known.")
    remaining_usd = Usd()
    projected_exhaustion = Moment(allow_null=True)
    source = serializers.ChoiceField(choices=["counters", "ledger"])


class BudgetStatesShown(serializers.Serializer[Any]):
    """How a budget stands: one entry each where it has several subjects."""

    data = BudgetStateShown(many=True)


class BudgetStates(ApiView):
    """How one stands."""

    tag = "Budgets"
    permissions: ClassVar = {"GET": Permission.BUDGETS_READ}
    rows = Budget
    related = ("organization", "service", "token", "policy")

    @operation("Say how a budget stands", gives=BudgetStatesShown)
    def get(self) -> Any:
        """What is spent, held and left."""
        return {"data": BudgetStateShown(budget_states([self.row]), many=True).data}


# --- Holds ---


class HoldShown(serializers.Serializer[Any]):
    """What one running call holds of its budgets."""

    example = {"held_usd": "0.0184", "lease_ends": "2026-11-21T15:00:30Z"}

    request = RequestId()
    organization = serializers.UUIDField()
    token = serializers.UUIDField()
    held_usd = serializers.CharField()
    since = Moment()
    lease_ends = Moment()


class HoldsShown(serializers.Serializer[Any]):
    """What running calls hold, oldest first."""

    data = HoldShown(many=True)


class Holds(ApiView):
    """All of them."""

    tag = "Budgets"
    permissions: ClassVar = {"GET": Permission.BUDGETS_READ}

    @operation("List what running calls hold", gives=HoldsShown)
    def get(self) -> Any:
        """Of one's own organization."""
        return {"data": [_hold(each) for each in held(self)]}


class HoldRelease(ApiView):
    """The end of one."""

    tag = "Budgets"
    permissions: ClassVar = {"POST": Permission.BUDGETS_WRITE}

    @operation("Free what a call holds", gives=HoldShown)
    def post(self) -> Any:
        """Before its lease ends; what the call costs is still charged."""
        request: UUID = self.kwargs["request_id"]
        if request not in {each.request_id for each in held(self)}:
            raise Http404
        found = hold_release(request=request, actor=self.actor)
        if found is None:
            raise Http404
        return _hold(found)


def held(view: ApiView) -> list[HoldState]:
    """What running calls of whoever asks hold."""
    own = view.access.organization
    if own is None and not view.access.is_platform_staff:
        return []
    return holds(own)


def _hold(hold: HoldState) -> dict[str, Any]:
    return {
        "request": RequestId().to_representation(hold.request_id),
        "organization": str(hold.organization_id),
        "token": str(hold.token_id),
        "held_usd": nano_text(hold.held_nano),
        "since": hold.since.isoformat().replace("+00:00", "Z"),
        "lease_ends": hold.lease_ends.isoformat().replace("+00:00", "Z"),
    }


# --- Adjustments ---


class AdjustmentShown(serializers.Serializer[Adjustment]):
    """A correction of what was spent."""

    example = {
        "end_user": "",
        "tags": ["team=support"],
        "amount_usd": "-1.25",
        "reason": "The provider has credited an outage.",
    }

    id = serializers.UUIDField()
    organization = serializers.UUIDField(source="organization_id")
    service = serializers.UUIDField(source="service_id", allow_null=True)
    token = serializers.UUIDField(source="token_id", allow_null=True)
    end_user = serializers.CharField()
    tags = serializers.ListField(child=serializers.CharField())
    request = RequestId(source="request_id", allow_null=True)
    at = Moment(help_text="The time it counts for.")
    amount_usd = Usd()
    reason = serializers.CharField()
    created_at = Moment()
    created_by = serializers.UUIDField(source="created_by_id", allow_null=True)


class AdjustmentInput(OwnedInput):
    """A correction: so much more, or with a minus less, was spent."""

    example = {"amount_usd": "-1.25", "reason": "The provider has credited an outage.", "tags": ["team=support"]}

    amount_usd = Usd()
    reason = Text(max_length=300)
    service = Ref(Service, required=False)
    token = Ref(Token, required=False)
    end_user = Text(required=False)
    tags = Texts(most=50, required=False)
    at = Moment(required=False, help_text="The time it counts for; now if left out.")
    request = RequestId(required=False, help_text="The call that was charged wrongly, alone.")


class Adjustments(ApiView):
    """All of them."""

    tag = "Budgets"
    permissions: ClassVar = {"GET": Permission.BUDGETS_READ, "POST": Permission.BUDGETS_WRITE}
    shows = AdjustmentShown

    @operation("List adjustments", gives=AdjustmentShown, paged=True)
    def get(self) -> Any:
        """A page of them."""
        return self.page(self.mine(Adjustment.objects.all()))

    @operation("Record an adjustment", takes=AdjustmentInput, gives=AdjustmentShown, status=201)
    def post(self) -> Any:
        """History is added to, never rewritten."""
        organization = self.organization()
        made = adjustment_record(organization=organization, actor=self.actor, **self.given)
        return Adjustment.objects.get(pk=made.pk)


# --- Webhooks ---


class WebhookShown(serializers.Serializer[Webhook]):
    """A URL that is told of alerts."""

    example = {"url": "https://hooks.example.org/tollgate"}

    id = serializers.UUIDField()
    organization = serializers.UUIDField(source="organization_id")
    url = serializers.CharField()
    enabled = serializers.BooleanField()
    created_at = Moment()


class WebhookMade(WebhookShown):
    """A webhook with its signing secret: shown this once."""

    example = {"signing_secret": "…the whole secret, this once…"}

    signing_secret = serializers.SerializerMethodField()

    def get_signing_secret(self, _webhook: Webhook) -> str:
        """The secret in the clear."""
        return str(self.context["plaintext"])


class WebhookInput(OwnedInput):
    """A new webhook."""

    example = {"url": "https://hooks.example.org/tollgate"}

    url = Text(max_length=500)


class WebhookChange(Strict):
    """What changes of a webhook."""

    example = {"enabled": False}

    enabled = Switch(required=False)


class Webhooks(ApiView):
    """All of them."""

    tag = "Alerts"
    permissions: ClassVar = {"GET": Permission.BUDGETS_READ, "POST": Permission.BUDGETS_WRITE}
    shows = WebhookShown

    @operation("List webhooks", gives=WebhookShown, paged=True)
    def get(self) -> Any:
        """A page of them."""
        return self.page(self.mine(Webhook.objects.all()))

    @operation("Add a webhook", takes=WebhookInput, gives=WebhookMade, status=201)
    def post(self) -> Any:
        """It is told of alerts from now on."""
        webhook, plaintext = webhook_add(organization=self.organization(), url=self.given["url"], actor=self.actor)
        return self.shown(webhook, WebhookMade, plaintext=plaintext)


class OneWebhook(ApiView):
    """One of them."""

    tag = "Alerts"
    permissions: ClassVar = {
        "GET": Permission.BUDGETS_READ,
        "PATCH": Permission.BUDGETS_WRITE,
        "DELETE": Permission.BUDGETS_WRITE,
    }
    rows = Webhook
    shows = WebhookShown

    @operation("Read a webhook", gives=WebhookShown)
    def get(self) -> Any:
        """As it is."""
        return self.row

    @operation("Switch a webhook on or off", takes=WebhookChange, gives=WebhookShown)
    def patch(self) -> Any:
        """As it is then."""
        if (enabled := self.given.get("enabled")) is not None:
            (webhook_enable if enabled else webhook_disable)(webhook=self.row, actor=self.actor)
        return self.find()

    @operation("Forget a webhook")
    def delete(self) -> Any:
        """It is told nothing any more."""
        webhook_delete(webhook=self.row, actor=self.actor)


class WebhookRotation(ApiView):
    """Another signing secret for one."""

    tag = "Alerts"
    permissions: ClassVar = {"POST": Permission.BUDGETS_WRITE}
    rows = Webhook
    shows = WebhookShown

    @operation("Rotate a webhook's signing secret", gives=WebhookMade, status=201)
    def post(self) -> Any:
        """What is sent from now on is signed with the new one."""
        return self.shown(self.row, WebhookMade, plaintext=webhook_rotate_secret(webhook=self.row, actor=self.actor))


# --- Alerts ---


class DeliveryShown(serializers.Serializer[AlertDelivery]):
    """An alert on its way to one address."""

    example = {
        "channel": "webhook",
        "target": "https://hooks.example.org/tollgate",
        "state": "sent",
        "attempts": 1,
        "error": "",
        "sent_at": MOMENT,
    }

    channel = serializers.CharField()
    target = serializers.CharField()
    state = serializers.CharField()
    attempts = serializers.IntegerField()
    error = serializers.CharField()
    sent_at = Moment(allow_null=True)


class AlertShown(serializers.Serializer[BudgetAlert]):
    """A budget has reached one of its levels."""

    example = {
        "subject": "",
        "window_start": "2026-11-01T00:00:00Z",
        "level": 80,
        "spent_usd": "40.03",
        "limit_usd": "50.00",
    }

    id = serializers.UUIDField()
    organization = serializers.UUIDField(source="organization_id")
    budget = serializers.UUIDField(source="budget_id")
    subject = serializers.CharField()
    window_start = Moment()
    level = serializers.IntegerField(help_text="Percent.")
    spent_usd = Usd()
    limit_usd = Usd()
    created_at = Moment()
    deliveries = DeliveryShown(many=True)


class AlertQuery(PageQuery):
    """Which alerts."""

    budget = Ref(Budget, required=False)


class Alerts(ApiView):
    """All of them."""

    tag = "Alerts"
    permissions: ClassVar = {"GET": Permission.BUDGETS_READ}
    shows = AlertShown

    @operation("List budget alerts", query=AlertQuery, gives=AlertShown, paged=True)
    def get(self) -> Any:
        """A page of them."""
        rows = self.mine(BudgetAlert.objects.prefetch_related("deliveries"))
        return self.page(rows.filter(budget=self.query["budget"]) if "budget" in self.query else rows)


class CredentialAlertShown(serializers.Serializer[CredentialAlert]):
    """A provider refuses a credential."""

    example = {"organization": id_of("organization"), "status": 401, "model": ""}

    id = serializers.UUIDField()
    organization = serializers.UUIDField(source="organization_id", allow_null=True)
    credential = serializers.UUIDField(source="credential_id")
    status = serializers.IntegerField(help_text="HTTP's.")
    model = serializers.CharField(help_text="Empty: it is refused for all.")
    created_at = Moment()
    deliveries = DeliveryShown(many=True)


class CredentialAlerts(ApiView):
    """All of them."""

    tag = "Alerts"
    permissions: ClassVar = {"GET": Permission.CREDENTIALS_READ}
    shows = CredentialAlertShown

    @operation("List alerts of refused credentials", gives=CredentialAlertShown, paged=True)
    def get(self) -> Any:
        """A page of them."""
        return self.page(self.mine(CredentialAlert.objects.prefetch_related("deliveries"), hosted=False))
