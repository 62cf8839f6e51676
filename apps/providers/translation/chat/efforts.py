"""How much a model shall think, in the words that its provider takes. Pure."""

from apps.providers.translation.chat.providers import Efforts, habits_of
from apps.providers.translation.efforts import effort_of
from apps.providers.translation.form import Json, Reasoning, Request, Thinking, ToolCall
from apps.providers.translation.losses import Losses
from apps.providers.translation.upstream import Upstream

_FIELD = "reasoning_effort"
_SCALE = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


def reasoning_fields(request: Request, upstream: Upstream, losses: Losses) -> Json:
    """The fields of the request. An effort that the model is known not to have becomes the nearest one, and is told to be lost."""
    reasoning = request.reasoning or Reasoning()
    wanted = reasoning.effort or effort_of(reasoning.budget, upstream.efforts)
    if _cannot_think(request, upstream):
        if wanted not in ("", "none"):
            losses.hint(_FIELD)
        return {"thinking": {"type": "disabled"}}
    if not wanted:
        return {}
    if upstream.lacks("reasoning"):
        if wanted != "none":
            losses.hint(_FIELD)
        return {}
    habits = habits_of(upstream)
    if not upstream.efforts and _is_unsure(habits.efforts, upstream):
        losses.hint(_FIELD)
        return {}
    fields: Json = {}
    if habits.efforts == "thinking" and not upstream.efforts:
        fields["thinking"] = {"type": "disabled" if wanted == "none" else "enabled"}
        if wanted == "none" or not habits.offered:
            return fields
    effort = _offered(wanted, upstream, losses, was_said=bool(reasoning.effort))
    return fields | {_FIELD: effort} if effort else fields


def _is_unsure(efforts: Efforts, upstream: Upstream) -> bool:
    """Whether the provider might refuse to be told how much to think."""
    return efforts == "listed" or (efforts == "known" and "reasoning" not in upstream.caps)


def _cannot_think(request: Request, upstream: Upstream) -> bool:
    """Whether calls lack the thoughts that led to them, as where another model has made them, and the provider refuses that."""
    habits = habits_of(upstream)
    if not habits.needs_thoughts or upstream.efforts or upstream.lacks("reasoning"):
        return False
    return any(
        any(isinstance(part, ToolCall) for part in message.parts)
        and not any(isinstance(part, Thinking) and part.text for part in message.parts)
        for message in request.messages
    )


def _offered(wanted: str, upstream: Upstream, losses: Losses, *, was_said: bool) -> str:
    if wanted not in _SCALE:
        return wanted  # newer than this table, or the provider's to refuse
    offered = upstream.efforts or [
        effort for effort in habits_of(upstream).offered if f"no_effort_{effort}" not in upstream.caps
    ]
    if wanted in offered:
        return wanted
    if wanted == "none":
        losses.meaning(_FIELD, f"This model cannot do without thinking: use {', '.join(offered)}.")
        return ""
    place = _SCALE.index(wanted)
    others = [effort for effort in offered if effort != "none" and effort in _SCALE]
    if was_said or not others:
        losses.hint(_FIELD)
    high = _SCALE.index("high")  # which is what most take the efforts around it for
    return min(others, key=lambda each: (abs(_SCALE.index(each) - place), abs(_SCALE.index(each) - high)), default="")
