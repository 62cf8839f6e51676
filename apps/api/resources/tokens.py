"""Tokens: what services call the gateway with. A token's plaintext is in the answer that issues or rotates it, and nowhere else."""

from datetime import timedelta
from typing import Any, ClassVar

from django.utils.timezone import now
from rest_framework import serializers

from apps.api.frame.examples import LATER, MOMENT, id_of
from apps.api.frame.fields import Choice, Moment, Ref, Strict, Text, Texts, Whole
from apps.api.frame.operations import operation
from apps.api.frame.queries import PageQuery
from apps.api.frame.views import ApiView
from apps.core.endpoints import SCOPES
from apps.orgs.roles import Permission
from apps.services.actions import GRACE_MOST, token_issue, token_revoke, token_rotate
from apps.services.models import Service, Token, TokenState


class TokenShown(serializers.Serializer[Token]):
    """A token, without the token itself."""

    example = {
        "name": "production",
        "masked": "tg_live_…wxyz",
        "scopes": ["chat_completions"],
        "state": "live",
        "expires_at": LATER,
        "last_used_at": MOMENT,
    }

    id = serializers.UUIDField()
    organization = serializers.UUIDField(source="organization_id")
    service = serializers.UUIDField(source="service_id")
    name = serializers.CharField()
    masked = serializers.CharField(help_text="How it is shown after its one reveal.")
    scopes = serializers.ListField(child=serializers.CharField(), help_text="Endpoints it may call; none: all.")
    state = serializers.SerializerMethodField()
    expires_at = Moment(allow_null=True)
    revoked_at = Moment(allow_null=True)
    previous_until = Moment(allow_null=True, help_text="Until when the token before the last rotation is accepted.")
    last_used_at = Moment(allow_null=True, help_text="To the minute.")
    created_by = serializers.UUIDField(source="created_by_id", allow_null=True)
    created_at = Moment()

    def get_state(self, token: Token) -> str:
        """live, expired or revoked."""
        return token.state(now()).value


class TokenIssued(TokenShown):
    """A token with the token itself: shown this once."""

    example = {"token": "tg_live_…the whole token, this once…wxyz"}

    token = serializers.SerializerMethodField(help_text="The token. Keep it now: it is not shown again.")

    def get_token(self, _token: Token) -> str:
        """The token in the clear."""
        return str(self.context["plaintext"])


class TokenInput(Strict):
    """A new token."""

    example = {"service": id_of("service"), "name": "production", "scopes": ["chat_completions"], "expires_at": LATER}

    service = Ref(Service, help_text="The service that calls with it.")
    name = Text(max_length=100)
    scopes = Texts(
        choices=list(SCOPES), most=len(SCOPES), required=False, help_text="Endpoints it may call; none: all."
    )
    expires_at = Moment(required=False, allow_null=True, help_text="null or left out: it does not expire.")


class TokenRotationInput(Strict):
    """How a token is replaced."""

    example = {"grace_seconds": 86_400}

    grace_seconds = Whole(
        required=False,
        min_value=0,
        max_value=int(GRACE_MOST.total_seconds()),
        help_text="How long the old one is still accepted; 0 if left out.",
    )
    expires_at = Moment(required=False, allow_null=True, help_text="Left out: as it was; null: never.")


class TokenQuery(PageQuery):
    """Which tokens."""

    service = Ref(Service, required=False)
    state = Choice(choices=TokenState.values, required=False)


class Tokens(ApiView):
    """All of them."""

    tag = "Tokens"
    permissions: ClassVar = {"GET": Permission.TOKENS_READ, "POST": Permission.TOKENS_WRITE}
    shows = TokenShown

    @operation("List tokens", query=TokenQuery, gives=TokenShown, paged=True)
    def get(self) -> Any:
        """A page of them."""
        rows, moment = self.mine(Token.objects.all()), now()
        if (service := self.query.get("service")) is not None:
            rows = rows.filter(service=service)
        match self.query.get("state"):
            case TokenState.REVOKED:
                rows = rows.filter(revoked_at__isnull=False)
            case TokenState.EXPIRED:
                rows = rows.filter(revoked_at=None, expires_at__lte=moment)
            case TokenState.LIVE:
                rows = rows.filter(revoked_at=None).exclude(expires_at__lte=moment)
            case _:
                pass
        return self.page(rows)

    @operation("Issue a token", takes=TokenInput, gives=TokenIssued, status=201)
    def post(self) -> Any:
        """A new one, and the token itself."""
        given = self.given
        token, plaintext = token_issue(
            service=given["service"],
            name=given["name"],
            scopes=given.get("scopes", ()),
            expires_at=given.get("expires_at"),
            actor=self.actor,
        )
        return self.shown(token, TokenIssued, plaintext=plaintext)


class OneToken(ApiView):
    """One of them."""

    tag = "Tokens"
    permissions: ClassVar = {"GET": Permission.TOKENS_READ}
    rows = Token
    shows = TokenShown

    @operation("Read a token", gives=TokenShown)
    def get(self) -> Any:
        """As it is."""
        return self.row


class TokenRotation(ApiView):
    """A new secret for one."""

    tag = "Tokens"
    permissions: ClassVar = {"POST": Permission.TOKENS_WRITE}
    rows = Token
    shows = TokenShown

    @operation("Rotate a token", takes=TokenRotationInput, gives=TokenIssued, status=201)
    def post(self) -> Any:
        """The same token with another secret: its limits, budgets and records go on."""
        given = self.given
        changes = {"expires_at": given["expires_at"]} if "expires_at" in given else {}
        token, plaintext = token_rotate(
            token=self.row, grace=timedelta(seconds=given.get("grace_seconds", 0)), actor=self.actor, **changes
        )
        return self.shown(token, TokenIssued, plaintext=plaintext)


class TokenRevocation(ApiView):
    """The end of one."""

    tag = "Tokens"
    permissions: ClassVar = {"POST": Permission.TOKENS_WRITE}
    rows = Token
    shows = TokenShown

    @operation("Revoke a token", gives=TokenShown)
    def post(self) -> Any:
        """Refused within a second, everywhere and for good; the same again if it was already."""
        token_revoke(token=self.row, actor=self.actor)
        return self.find()
