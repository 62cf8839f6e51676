"""How much a Gemini model shall think: as a level from Gemini 3 on, as a budget of tokens in Gemini 2.5. Pure."""

import re
from typing import Any

from apps.providers.translation.efforts import effort_of
from apps.providers.translation.form import Reasoning
from apps.providers.translation.losses import Losses
from apps.providers.translation.upstream import Upstream

_GENERATION = re.compile(r"gemini-(\d{1,2})(?:\.(\d{1,2}))?(?=-|$)")
_LATEST = (1000, 0)

_LEVELS = {"low": "LOW", "medium": "MEDIUM", "high": "HIGH"}
_BUDGETS = {"minimal": 1024, "low": 1024, "medium": 8192, "high": 24576, "xhigh": 32768, "max": 32768}
_FIELD = "reasoning_effort"


def generation(model: str) -> tuple[int, int]:
    """Which Gemini a model is, such as (2, 5) of gemini-2.5-pro; (0, 0) if its name does not say."""
    name = model.lower().rpartition("/")[2]
    if name.startswith("gemini-") and name.endswith("-latest"):
        return _LATEST
    found = _GENERATION.match(name)
    return (int(found[1]), int(found[2] or 0)) if found else (0, 0)


def thinking_config(reasoning: Reasoning | None, upstream: Upstream, losses: Losses) -> dict[str, Any]:
    """The model's thinkingConfig; empty: as it is used to. Raises UnsupportedParameter."""
    if reasoning is None:
        return {}
    asked = bool(reasoning.effort) or reasoning.budget is not None
    kind = generation(upstream.model)
    takes_level = kind >= (3, 0) or (kind == (0, 0) and "reasoning" in upstream.caps)
    if upstream.lacks("reasoning") or not (takes_level or kind == (2, 5)):
        if asked and reasoning.effort != "none" and reasoning.budget != 0:
            losses.hint(_FIELD)
        return {}
    config: dict[str, Any] = {}
    if takes_level:
        if level := _level(reasoning, upstream, losses):
            config["thinkingLevel"] = level
    elif (budget := _budget(reasoning, upstream, losses)) is not None:
        config["thinkingBudget"] = budget
    if reasoning.shown is not None:
        config["includeThoughts"] = reasoning.shown
    return config


def _level(reasoning: Reasoning, upstream: Upstream, losses: Losses) -> str:
    effort = reasoning.effort or effort_of(reasoning.budget, upstream.efforts)
    if effort == "none" and not _thinks_minimally(upstream):
        losses.meaning(_FIELD, "This model always thinks: the least is low.")
        return "LOW"
    if effort in ("none", "minimal"):
        return "MINIMAL" if _thinks_minimally(upstream) else "LOW"
    if effort in ("xhigh", "max"):
        return "XHIGH" if "xhigh" in upstream.efforts else "HIGH"
    if effort and effort not in _LEVELS:
        losses.hint(_FIELD)
    return _LEVELS.get(effort, "")


def _thinks_minimally(upstream: Upstream) -> bool:
    if upstream.efforts:
        return "minimal" in upstream.efforts
    return "no_effort_minimal" not in upstream.caps and "pro" not in re.split(r"[^a-z]+", upstream.model.lower())


def _budget(reasoning: Reasoning, upstream: Upstream, losses: Losses) -> int | None:
    least, most = _bounds(upstream.model)
    budget = reasoning.budget
    if reasoning.effort == "none":
        budget = 0
    elif reasoning.effort:
        budget = _BUDGETS.get(reasoning.effort)
        if budget is None:
            losses.hint(_FIELD)
    if budget == 0 and "pro" in upstream.model:
        losses.meaning(_FIELD, "This model always thinks: the least is minimal.")
        return least
    return budget if budget is None or budget <= 0 else min(max(budget, least), most)


def _bounds(model: str) -> tuple[int, int]:
    """The least and the most tokens of thought that a model of Gemini 2.5 takes, if it is to think at all."""
    if "pro" in model:
        return 128, 32768
    return (512 if "lite" in model else 1), 24576
