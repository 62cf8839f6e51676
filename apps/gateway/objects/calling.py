"""Asking for an object where it is kept: a call like any other, but that no model is asked and nothing is paid."""

from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl, quote, urlencode

from apps.core.errors import NoCredential, ProviderNotAllowed
from apps.gateway.directory.models import Models
from apps.gateway.directory.views import Account, ModelView, Route, TokenView
from apps.gateway.governance.call import Call
from apps.gateway.relay.keeping import Keeping
from apps.gateway.surfaces import Target
from apps.gateway.uploads.form import Form
from apps.policies.routing import select_routes
from apps.providers.dialects.openai_heads import PlainHead
from apps.providers.prices.book import PriceBook
from apps.providers.translation.upstream import Upstream

PROVIDER = b"x-tollgate-provider"  # a request's wish: a provider's name or a credential's label

_NO_PRICES = PriceBook(())
_NO_MODEL = ModelView("", "", 0, "", ())
# What of a query is the gateway's own affair.
_OURS = frozenset({"key", "api-version"})


def route_to(account: Account, heads: Mapping[str, bytes] | None = None) -> Route:
    """A way to an account, whatever the model."""
    view = account.credential
    return Route(
        credential=view,
        upstream_model="",
        heads=heads or {},
        served=((PROVIDER, view.provider.encode()),),
        book=_NO_PRICES,
        priced="",
        priced_as="",
        context=None,
        longest=None,
        upstream=Upstream(provider=view.provider, model=""),
    )


def kept_call(
    token: TokenView,
    target: Target,
    account: Account,
    *,
    query: str = "",
    body: bytes = b"",
    form: Form | None = None,
    keeping: Keeping | None = None,
    stream: bool = False,
) -> Call:
    """The call for what `target` names, at the account that keeps it."""
    endpoint = target.endpoint
    content_type = "application/json" if body else ""
    path = endpoint.path.replace("{id}", quote(target.kept, safe=""))
    heads = {endpoint.name: account.head(endpoint.method, path, query=query, content_type=content_type)}
    return Call(
        token,
        target,
        PlainHead(),
        body,
        _NO_MODEL,
        (route_to(account, heads),),
        stream=stream,
        form=form,
        keeping=keeping,
    )


def listing_call(token: TokenView, target: Target) -> Call:
    """The call for a list, which nobody else is asked for."""
    return Call(token, target, PlainHead(), b"", _NO_MODEL, ())


def passing_query(query: bytes) -> str:
    """A query as it goes on to the provider."""
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    return urlencode([(name, value) for name, value in pairs if name not in _OURS])


def choose_account(models: Models, token: TokenView, endpoint: str, wish: str) -> Account:
    """The first account that has this endpoint and that the policy allows; `wish`: of this provider or label, unless empty.

    Raises NoCredential, ProviderNotAllowed.
    """
    having = [account for account in models.credentials.values() if may_keep(account, endpoint, wish)]
    if not having:
        whose = f" of '{wish}'" if wish else ""
        raise NoCredential(
            f"No enabled credential{whose} leads to a provider that keeps {endpoint}: an operator can add one of provider openai "
            "or azure_openai."
        )
    policy = token.governor.policy
    taken, skipped = select_routes(policy, [route_to(account) for account in having])
    if not taken:
        reasons = "; ".join(f"{label}: {reason}" for label, reason in skipped)
        raise ProviderNotAllowed(f"No provider that keeps {endpoint} may be called ({reasons}).")
    return models.credentials[taken[0].credential.id]


def may_keep(account: Account, endpoint: str, wish: str) -> bool:
    """Whether the account has this endpoint, takes new objects, and is the one that is wished for."""
    view = account.credential
    return not account.drained and endpoint in view.kind.paths and wish in ("", view.provider, view.label)


def allowed_routes(routes: Iterable[Route], models: Models, endpoint: str, wish: str) -> list[Route]:
    """Those whose account may keep new objects."""
    accounts = models.credentials
    return [route for route in routes if may_keep(accounts[route.credential.id], endpoint, wish)]
