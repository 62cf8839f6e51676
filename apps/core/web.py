"""What the control plane's views share: the client's address, a limit on attempts, and the headers of every page."""

import logging
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import redis
from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils.deprecation import MiddlewareMixin
from django_ratelimit.core import get_usage

from apps.core.clients import client_address, client_network

log = logging.getLogger(__name__)

# What is counted together, whichever door it came to: requests of who is known, and those that nobody is known behind.
API, API_FAILED = "api", "api-failed"

type View = Callable[..., HttpResponseBase]


def request_address(request: HttpRequest) -> str | None:
    """The client's address, through trusted proxies."""
    return client_address(
        request.META.get("REMOTE_ADDR") or None, request.headers.get("X-Forwarded-For", ""), settings.TRUSTED_PROXIES
    )


def counted_address(request: HttpRequest) -> str:
    """Whose attempts these are, as far as an address tells."""
    return client_network(request_address(request) or "local")


def wait(request: HttpRequest, group: str, who: str, rate: str, *, counting: bool = True) -> int | None:
    """For how many seconds `who` has to wait, of whom more requests of `group` come than `rate` (10/m) allows. None: not at all.

    `counting`: this request is one of them; otherwise it is only asked whether there is room. Nobody waits, and the log says so,
    while Valkey is away: people and programs must get in to repair it.
    """
    try:
        usage = get_usage(request, group=group, key=lambda _group, _request: who, rate=rate, increment=counting)
    except redis.RedisError:
        log.warning("attempts and requests are not limited: Valkey cannot be reached")
        return None
    # Looking without counting says "limited" only one request later.
    if usage is None or not (usage["should_limit"] or (not counting and usage["count"] >= usage["limit"])):
        return None
    seconds: int = usage["time_left"]
    return max(seconds, 1)


def limited(
    group: str, rate: str, *, by: Callable[[HttpRequest], str] | None = None, methods: Sequence[str] = ("POST",)
) -> Callable[[View], View]:
    """Answer 429 with Retry-After to requests beyond `rate` (django-ratelimit's form: 10/m), counted by client address or `by`.

    Argon2 alone bounds how fast anyone can guess while Valkey is away.
    """

    def key(request: HttpRequest) -> str:
        return by(request) if by is not None else counted_address(request)

    def decorate(view: View) -> View:
        @wraps(view)
        def limited_view(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            seconds = wait(request, group, key(request), rate) if request.method in methods else None
            return view(request, *args, **kwargs) if seconds is None else _too_many(request, seconds)

        return limited_view

    return decorate


def outside_page(request: HttpRequest, template: str, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
    """A page for who is not signed in, in the look of the sign-in page."""
    return render(request, template, {**admin.site.each_context(request), **context}, status=status)


def _too_many(request: HttpRequest, seconds: int) -> HttpResponse:
    response = outside_page(request, "console/too_many.html", {"seconds": seconds}, status=429)
    response["Retry-After"] = str(seconds)
    return response


class ContentSecurityPolicy(MiddlewareMixin):
    """Allows a page what this server sends and nothing else.

    The console's theme evaluates expressions in attributes (Alpine.js, htmx) and sets style attributes, hence the two unsafe
    words; inline scripts stay forbidden. `frame-ancestors 'self'`: its dialogs are frames.
    """

    policy = "; ".join(
        (
            "default-src 'self'",
            "script-src 'self' 'unsafe-eval'",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data:",
            "font-src 'self'",
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'self'",
        )
    )

    def process_response(self, _request: HttpRequest, response: HttpResponseBase) -> Any:
        """Set the header unless a view set its own."""
        response.headers.setdefault("Content-Security-Policy", self.policy)
        response.headers.setdefault(
            "Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"
        )
        return response
