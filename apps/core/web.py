"""What the control plane's views share: the client's address, a limit on attempts, and the headers of every page."""

import logging
import math
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

type View = Callable[..., HttpResponseBase]


def request_address(request: HttpRequest) -> str | None:
    """The client's address, through trusted proxies."""
    return client_address(
        request.META.get("REMOTE_ADDR") or None, request.headers.get("X-Forwarded-For", ""), settings.TRUSTED_PROXIES
    )


def counted_address(request: HttpRequest) -> str:
    """Whose attempts these are, as far as an address tells."""
    return client_network(request_address(request) or "local")


def limited(
    group: str, rate: str, *, by: Callable[[HttpRequest], str] | None = None, methods: Sequence[str] = ("POST",)
) -> Callable[[View], View]:
    """Answer 429 with Retry-After to requests beyond `rate` (django-ratelimit's form: 10/m), counted by client address or `by`.

    Lets everybody through, and says so in the log, while Valkey is away: people must be able to sign in to repair it, and
    Argon2 alone bounds how fast anyone can guess.
    """

    def key(_group: str, request: HttpRequest) -> str:
        return by(request) if by is not None else counted_address(request)

    def decorate(view: View) -> View:
        @wraps(view)
        def limited_view(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            try:
                usage = get_usage(request, group=group, key=key, rate=rate, method=list(methods), increment=True)
            except redis.RedisError:
                log.warning("sign-in attempts are not limited: Valkey cannot be reached")
                usage = None
            if usage is not None and usage["should_limit"]:
                return _too_many(request, math.ceil(usage["time_left"]))
            return view(request, *args, **kwargs)

        return limited_view

    return decorate


def outside_page(request: HttpRequest, template: str, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
    """A page for who is not signed in, in the look of the sign-in page."""
    return render(request, template, {**admin.site.each_context(request), **context}, status=status)


def _too_many(request: HttpRequest, seconds: int) -> HttpResponse:
    seconds = max(seconds, 1)
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
