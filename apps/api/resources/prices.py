"""Prices: what models cost. Rows are added and withdrawn, never changed; an organization's own come before the installation's."""

from typing import Any, ClassVar

from django.utils.timezone import now
from rest_framework import serializers

from apps.api.frame.examples import id_of
from apps.api.frame.fields import Choice, Moment, QuerySwitch, Strict, Switch, Text, Usd, Whole
from apps.api.frame.operations import operation
from apps.api.frame.queries import PageQuery, SharedInput
from apps.api.frame.views import ApiView
from apps.orgs.roles import Permission
from apps.providers.prices.actions import price_set, price_withdraw
from apps.providers.prices.kinds import KINDS, TIERS
from apps.providers.prices.models import Price

ABOVE_MOST = 2_147_483_647
TIER_CHOICES = ("standard", *TIERS)


class PriceShown(serializers.Serializer[Price]):
    """What a model costs, from a time on."""

    example = {
        "organization": id_of("organization"),
        "provider": "openai",
        "model": "house-chat",
        "tier": "standard",
        "above_input_tokens": 0,
        "prices": {"input": "0.25", "output": "2.00"},
        "source": "https://openai.com/api/pricing",
        "note": "",
    }

    id = serializers.UUIDField()
    organization = serializers.UUIDField(source="organization_id", allow_null=True, help_text="null: for all.")
    provider = serializers.CharField()
    model = serializers.CharField()
    tier = serializers.SerializerMethodField()
    above_input_tokens = serializers.IntegerField()
    effective_from = Moment()
    prices = serializers.SerializerMethodField(help_text="USD for a million units of each kind.")
    source = serializers.CharField()
    note = serializers.CharField()
    shipped = serializers.BooleanField(help_text="Whether it came with a release.")
    withdrawn_at = Moment(allow_null=True)
    created_at = Moment()

    def get_tier(self, price: Price) -> str:
        """standard, batch, flex …"""
        return price.tier or "standard"

    def get_prices(self, price: Price) -> dict[str, str]:
        """Those that it has."""
        usd = Usd()
        found = {kind: getattr(price, kind) for kind in KINDS}
        return {kind: usd.to_representation(value) for kind, value in found.items() if value is not None}


# One field for each kind: the class is made of them.
PricesInput: Any = type(
    "PricesInput",
    (Strict,),
    {"__doc__": "USD for a million units of each kind.", **{kind: Usd(required=False) for kind in KINDS}},
)


class PriceInput(SharedInput):
    """A price, from a time on."""

    example = {
        "provider": "openai",
        "model": "house-chat",
        "prices": {"input": "0.25", "output": "2"},
        "effective_from": "2026-12-01T00:00:00Z",
    }

    provider = Text(max_length=32)
    model = Text()
    tier = Choice(choices=TIER_CHOICES, required=False)
    above_input_tokens = Whole(required=False, min_value=0, max_value=ABOVE_MOST)
    effective_from = Moment(required=False, help_text="Now if left out.")
    prices = PricesInput()
    source = Text(max_length=300, required=False, allow_blank=True)
    note = Text(max_length=300, required=False, allow_blank=True)
    replace = Switch(required=False, help_text="Withdraw the row of the very same time, instead of being refused.")


class PriceQuery(PageQuery):
    """Which prices."""

    provider = Text(max_length=32, required=False)
    model = Text(required=False)
    withdrawn = QuerySwitch(required=False)


class Prices(ApiView):
    """All of them."""

    tag = "Prices"
    permissions: ClassVar = {"GET": Permission.PRICES_READ, "POST": Permission.PRICES_WRITE}
    shows = PriceShown

    @operation("List prices", query=PriceQuery, gives=PriceShown, paged=True)
    def get(self) -> Any:
        """A page of them, the installation's too."""
        rows = self.mine(Price.objects.all())
        rows = rows.filter(**{name: self.query[name] for name in ("provider", "model") if name in self.query})
        if "withdrawn" in self.query:
            rows = rows.filter(withdrawn_at__isnull=not self.query["withdrawn"])
        return self.page(rows)

    @operation("Set a price", takes=PriceInput, gives=PriceShown, status=201)
    def post(self) -> Any:
        """A new row of the book."""
        owner = self.owner()
        given = self.given
        tier = given.pop("tier", "standard")
        given.setdefault("effective_from", now())
        return price_set(organization=owner, tier="" if tier == "standard" else tier, actor=self.actor, **given)


class OnePrice(ApiView):
    """One of them."""

    tag = "Prices"
    permissions: ClassVar = {"GET": Permission.PRICES_READ}
    rows = Price
    shows = PriceShown

    @operation("Read a price", gives=PriceShown)
    def get(self) -> Any:
        """As it is."""
        return self.row


class PriceWithdrawal(ApiView):
    """The end of a mistaken one."""

    tag = "Prices"
    permissions: ClassVar = {"POST": Permission.PRICES_WRITE}
    rows = Price
    locks = False
    shows = PriceShown

    @operation("Withdraw a price", gives=PriceShown)
    def post(self) -> Any:
        """Used no more; what was computed with it stays."""
        price_withdraw(price=self.row, actor=self.actor)
        return self.find()
