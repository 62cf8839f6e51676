"""How much a model shall think, in Anthropic's words: adaptive, or of a budget of tokens. Pure."""

from collections.abc import Mapping

from apps.providers.translation.efforts import effort_of
from apps.providers.translation.fields import Fields, Unkept
from apps.providers.translation.form import Json, Reasoning, Request
from apps.providers.translation.losses import Losses
from apps.providers.translation.upstream import Upstream

_EFFORTS = ("minimal", "low", "medium", "high", "xhigh", "max")
_BUDGET_LEAST = 1024  # Anthropic's own
_BUDGETS: Mapping[str, int] = {
    "minimal": 1024,
    "low": 1024,
    "medium": 8192,
    "high": 24576,
    "xhigh": 32768,
    "max": 32768,
}
_ALWAYS = "This model always thinks: leave it out, or ask for as little as it can ('low')."


def read_reasoning(body: Fields, output: Fields | None, unkept: Unkept) -> Reasoning | None:
    """`thinking`, and the effort of `output_config`; None if neither is there. Raises BadRequest."""
    effort = "" if output is None else output.text("effort")
    if output is not None and effort and effort not in _EFFORTS:
        raise output.impossible("effort", "use low, medium, high, xhigh or max")
    thinking = body.inner("thinking")
    if thinking is None:
        return Reasoning(effort=effort) if effort else None
    shown = thinking.text("display") != "omitted"
    match thinking.filled_text("type"):
        case "enabled":
            budget = thinking.count("budget_tokens")
            if budget is None:
                raise thinking.missing("budget_tokens")
            return Reasoning(effort=effort, budget=budget, shown=shown)
        case "adaptive":
            return Reasoning(effort=effort, budget=None if effort else -1, shown=shown)
        case "disabled" | "between_tools":
            if effort:
                unkept.leave("output_config.effort")
            return Reasoning(effort="none")
        case _:
            raise thinking.impossible("type", "use adaptive, enabled or disabled")


class Thought:
    """How a request lets the model think: `thinking` and `effort` as they are sent, None and empty if they are not."""

    __slots__ = ("effort", "thinking")

    def __init__(self, thinking: Json | None = None, effort: str = "") -> None:
        self.thinking, self.effort = thinking, effort

    @property
    def is_on(self) -> bool:
        """Whether the model is told to think."""
        return self.thinking is not None and self.thinking["type"] != "disabled"


def write_reasoning(
    request: Request, upstream: Upstream, max_tokens: int, losses: Losses, *, may_budget: bool
) -> Thought:
    """What is asked for, as far as the model can do it; nothing for a model that nobody has described, as it may refuse any.

    `may_budget`: whether the messages and the choice of tools are such that a model with a budget may think about them.
    """
    asked = request.reasoning
    if asked is None or (not asked.effort and asked.budget is None):
        return Thought()
    if asked.effort == "none" or (not asked.effort and asked.budget == 0):
        return _switched_off(upstream, losses)
    if "adaptive_thinking" in upstream.caps:
        return _adaptive(asked, upstream)
    if "budget_thinking" in upstream.caps and may_budget and max_tokens > _BUDGET_LEAST:
        return Thought({"type": "enabled", "budget_tokens": _budget(asked, max_tokens)})
    losses.hint("reasoning_effort")
    return Thought()


def _switched_off(upstream: Upstream, losses: Losses) -> Thought:
    if "thinking_always_on" in upstream.caps:
        losses.meaning("reasoning_effort", _ALWAYS)
        return Thought()
    # A model with a budget, and one that nobody has described, does not think unless it is told to.
    return Thought({"type": "disabled"} if "adaptive_thinking" in upstream.caps else None)


def _adaptive(asked: Reasoning, upstream: Upstream) -> Thought:
    thinking: Json = {"type": "adaptive"}
    if asked.shown is not None:
        thinking["display"] = "summarized" if asked.shown else "omitted"
    effort = asked.effort or effort_of(asked.budget, _EFFORTS)
    return Thought(thinking, _offered("low" if effort == "minimal" else effort, upstream.efforts))


def _offered(effort: str, offered: tuple[str, ...]) -> str:
    """The effort, or the next lower one that the model offers, or else its lowest; empty stays empty."""
    if not effort or not offered or effort in offered:
        return effort
    place = _EFFORTS.index(effort) if effort in _EFFORTS else 0
    known = [each for each in _EFFORTS if each in offered]
    lower = [each for each in known if _EFFORTS.index(each) <= place]
    return lower[-1] if lower else (known[0] if known else "")


def _budget(asked: Reasoning, max_tokens: int) -> int:
    """As many tokens as asked for, and less than the whole answer may have; of an effort, a quarter is left for what is said."""
    if asked.budget is not None and asked.budget > 0:
        return max(_BUDGET_LEAST, min(asked.budget, max_tokens - 1))
    wanted = _BUDGETS.get(asked.effort, _BUDGETS["medium"])
    return max(_BUDGET_LEAST, min(wanted, max_tokens * 3 // 4))
