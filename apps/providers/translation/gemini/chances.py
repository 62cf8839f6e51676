"""Log probabilities of tokens: Gemini's `logprobsResult`, and the list that OpenAI's chat gives. Pure."""

from collections.abc import Mapping
from typing import Any

from apps.providers.translation.form import Json


def read_chances(result: object) -> list[Json] | None:
    """The tokens of a `logprobsResult` in OpenAI's form; None if it is none."""
    chosen = result.get("chosenCandidates") if isinstance(result, dict) else None
    if not isinstance(result, dict) or not isinstance(chosen, list):
        return None
    tops = result.get("topCandidates")
    tops = tops if isinstance(tops, list) else []
    found = []
    for index, each in enumerate(chosen):
        top = tops[index] if index < len(tops) else None
        others = top.get("candidates") if isinstance(top, dict) else None
        alternatives = [_token(other) for other in (others if isinstance(others, list) else []) if _is_token(other)]
        if _is_token(each):
            found.append({**_token(each), "top_logprobs": alternatives})
    return found


def write_chances(tokens: object) -> Json:
    """OpenAI's list as a `logprobsResult`. What is no token is passed over."""
    chosen, tops = [], []
    for token in tokens if isinstance(tokens, list) else ():
        if not _is_token(token):
            continue
        chosen.append(_candidate(token))
        others = token.get("top_logprobs")
        others = others if isinstance(others, list) else ()
        tops.append({"candidates": [_candidate(other) for other in others if _is_token(other)]})
    return {"chosenCandidates": chosen, "topCandidates": tops}


def _is_token(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get("token", ""), str)


def _token(value: Mapping[str, Any]) -> Json:
    token, chance = value.get("token", ""), value.get("logProbability")
    known = isinstance(chance, int | float) and not isinstance(chance, bool)
    return {"token": token, "logprob": chance if known else -9999.0, "bytes": list(token.encode(errors="replace"))}


def _candidate(token: Mapping[str, Any]) -> Json:
    return {"token": token.get("token", ""), "logProbability": token.get("logprob", -9999.0)}
