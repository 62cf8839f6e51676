"""Buttons on a row's page that ask first and then do one thing: what nearly all of them are."""

from collections.abc import Callable, Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse

from apps.core.actor import Actor
from apps.core.console import ConsoleAdmin, request_actor
from apps.core.theme import ActionVariant, action

type Words = Callable[[Any], Mapping[str, Any]]


def named(row: Any) -> Mapping[str, Any]:
    """What the texts of a button hold: the row, as %(name)s."""
    return {"name": row}


def row_action(
    name: str,
    label: Any,
    *,
    icon: str,
    does: Callable[[Any, Actor], object],
    title: Any,
    sentence: Any,
    done: Any,
    already: Any = None,
    button: Any = None,
    words: Words = named,
    danger: bool = False,
    leaves: bool = False,
    takes: str = "act",
    path: str = "",
) -> Callable[..., HttpResponse]:
    """The view behind a button: a page that says what will happen, whose one button calls `does(row, actor)`.

    `name`: the class's attribute that this becomes, which `actions_detail` lists and unfold asks permission by. `path`: the last
    part of its URL, if that is another word. `label`, `title`, `sentence`, `done`, `already` and `button` are lazy texts, filled
    in with `words(row)`; `button` is the label if left out. `already` is said instead of `done` where `does` returns False.
    `leaves`: the row is gone afterwards, and so is its page. `takes`: act, look or staff (apps.core.console).
    """

    def view(self: ConsoleAdmin, request: HttpRequest, object_id: str) -> HttpResponse:
        row = self.row_or_404(request, object_id)
        held = words(row)  # as the row is before it may be gone

        def perform(_values: dict[str, Any]) -> HttpResponse | str:
            changed = does(row, request_actor(request))
            said = str(already if already is not None and changed is False else done) % held
            return self.gone(request, said) if leaves else said

        return self.ask(
            request,
            row,
            title=str(title) % held,
            sentence=str(sentence) % held,
            button=str(button or label),
            danger=danger,
            perform=perform,
        )

    view.__name__ = view.__qualname__ = name
    variant = ActionVariant.DANGER if danger else ActionVariant.DEFAULT
    made: Callable[..., HttpResponse] = action(
        description=label, url_path=path or name, icon=icon, variant=variant, takes=takes
    )(view)
    return made
