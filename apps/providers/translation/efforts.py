"""The efforts that budgets of thought stand for, where a provider is told the one and not the other. Pure."""

_BY_BUDGET = ((-1, ""), (0, "none"), (1024, "low"), (8192, "medium"), (24_576, "high"))  # tokens up to which, effort


def effort_of(budget: int | None, offered: tuple[str, ...]) -> str:
    """The effort, in OpenAI's words, that thinks about as much as a budget allows; empty if the model shall decide.

    `offered`: those of the model, where they are known.
    """
    if budget is None:
        return ""
    more = "xhigh" if "xhigh" in offered else "high"
    return next((effort for most, effort in _BY_BUDGET if budget <= most), more)
