"""Where a request must go because of what it refers to: to the account that keeps it, if it is the service's own."""

from collections.abc import Sequence
from dataclasses import dataclass

from apps.core.errors import InvalidValue, ObjectNotFound, ObjectsUnavailable
from apps.gateway.directory.views import Route, TokenView
from apps.gateway.objects.owners import FILE, RESPONSE, Owners
from apps.gateway.objects.references import CONVERSATION, ITEM, Reference

_CALLED = {FILE: "file", RESPONSE: "response", ITEM: "item", CONVERSATION: "conversation"}


@dataclass(frozen=True, slots=True)
class Pin:
    """The one credential that can answer, and the field because of which."""

    credential: str
    param: str


async def pin_of(owners: Owners, token: TokenView, found: Sequence[Reference]) -> Pin | None:
    """None: nothing is referred to. Raises ObjectNotFound, InvalidValue for two accounts, ObjectsUnavailable.

    What is another service's is not found, and neither is what was not made through the gateway.
    """
    credentials: dict[tuple[str, str], str] = {}
    for kind in (FILE, RESPONSE, ITEM):
        ids = list({each.id for each in found if each.kind == kind})
        if not ids:
            continue
        if kind == ITEM:
            known = await owners.credentials_of_items(token, ids)
        else:
            known = await owners.credentials(token, kind, ids)
        credentials |= {(kind, each): credential for each, credential in known.items()}
    pin: Pin | None = None
    for each in found:
        credential = credentials.get((each.kind, each.id))
        if credential is None:
            raise ObjectNotFound(
                f"There is no {_CALLED[each.kind]} '{each.id[:100]}' that this service has made here.", param=each.param
            )
        if pin is not None and credential != pin.credential:
            raise InvalidValue(
                f"'{each.param}' is kept by another account than '{pin.param}': one request can use the objects of one account.",
                param=each.param,
            )
        pin = pin or Pin(credential, each.param)
    return pin


async def likely_account(owners: Owners, token: TokenView, items: Sequence[str]) -> str:
    """The credential of the account that has stored the last of these items, if they are known as the service's; else empty."""
    try:
        known = await owners.credentials_of_items(token, items)
    except ObjectsUnavailable:
        return ""
    return next((known[each] for each in reversed(items) if each in known), "")


def pinned(pin: Pin, routes: Sequence[Route], model: str) -> tuple[Route, ...]:
    """The route to the account. Raises InvalidValue if none leads there."""
    left = tuple(route for route in routes if route.credential.id == pin.credential)
    if not left:
        raise InvalidValue(
            f"'{pin.param}' is kept by an account that does not serve '{model}' to this token: ask for a model that it serves.",
            param=pin.param,
        )
    return left
