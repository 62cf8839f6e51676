"""Whether a stream is what Responses' clients can read: order, numbers, ids, and everything said twice said the same."""

import json
from typing import Any, get_args

from openai.types.responses import Response, ResponseStreamEvent

type Json = dict[str, Any]

ENDS = frozenset({"response.completed", "response.incomplete", "response.failed"})
# What clients that check answers against a schema look for in a response.
REQUIRED = (
    *("id", "object", "created_at", "completed_at", "status", "incomplete_details", "model", "previous_response_id"),
    *("instructions", "output", "error", "tools", "tool_choice", "truncation", "parallel_tool_calls", "text", "top_p"),
    *("presence_penalty", "frequency_penalty", "top_logprobs", "temperature", "reasoning", "usage"),
    *("max_output_tokens", "max_tool_calls", "store", "background", "service_tier", "metadata", "safety_identifier"),
    "prompt_cache_key",
)
_EVENTS = {
    get_args(each.model_fields["type"].annotation)[0]: each for each in get_args(get_args(ResponseStreamEvent)[0])
}
_CALLS = {
    "response.function_call_arguments": ("function_call", "arguments"),
    "response.custom_tool_call_input": ("custom_tool_call", "input"),
}
_PREFIXES = {
    "message": "msg_",
    "reasoning": "rs_",
    "function_call": "fc_",
    "custom_tool_call": "ctc_",
    "image_generation_call": "ig_",
}


def read_events(data: bytes) -> list[Json]:
    """The events of a stream, each with its name as its type."""
    found = []
    for block in data.decode().split("\n\n"):
        lines = block.split("\n")
        if not block or lines[0].startswith(":"):
            assert len(lines) == 1
            continue
        assert len(lines) == 2
        event = json.loads(lines[1].removeprefix("data: "))
        assert lines[0] == f"event: {event['type']}"
        found.append(event)
    assert data.endswith(b"\n\n") or not data
    return found


def check_response(response: Json) -> Json:
    """A response as clients expect it; returns it."""
    assert [name for name in REQUIRED if name not in response] == []
    Response.model_validate(response)
    if response["status"] == "completed":
        assert response["completed_at"] is not None
        assert response["error"] is None
        assert response["incomplete_details"] is None
        assert {item.get("status", "completed") for item in response["output"]} <= {"completed"}
    if response["usage"] is not None:
        usage = response["usage"]
        assert {"cached_tokens", "cache_write_tokens"} <= usage["input_tokens_details"].keys()
        assert "reasoning_tokens" in usage["output_tokens_details"]
        assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    ids = [item["id"] for item in response["output"]]
    assert len(set(ids)) == len(ids)
    calls = [item["call_id"] for item in response["output"] if "call_id" in item]
    assert len(set(calls)) == len(calls)
    assert all(calls)
    for item in response["output"]:
        assert item["id"].startswith(_PREFIXES[item["type"]])
        if item["type"] == "reasoning":
            assert item["summary"] or item.get("encrypted_content")
    return response


def check_stream(data: bytes) -> list[Json]:
    """Raises AssertionError for what is no legal stream, whole or broken off; returns its events."""
    events = read_events(data)
    checker = _Checker()
    for number, event in enumerate(events):
        assert event["sequence_number"] == number
        _EVENTS[event["type"]].model_validate(event)
        checker.take(event)
    return events


class _Checker:
    def __init__(self) -> None:
        self.first: Json = {}
        self.state = "new"
        self.items: list[Json] = []  # as added
        self.done: dict[int, Json] = {}
        self.said: dict[tuple[int, int], Json] = {}  # the parts of messages and thoughts, as far as they have come
        self.open_part: dict[int, int] = {}
        self.arguments: dict[int, str] = {}
        self.notes: dict[tuple[int, int], list[Json]] = {}

    def take(self, event: Json) -> None:
        kind = event["type"]
        assert self.state != "over", f"{kind} after the end"
        if kind == "response.created":
            assert self.state == "new"
            self.state, self.first = "created", self._begun(event)
        elif kind == "response.in_progress":
            assert self.state == "created"
            self.state = "going"
            assert self._begun(event) == self.first
        else:
            assert self.state == "going", kind
            if kind in ENDS:
                self._end(event)
            elif kind == "response.output_item.added":
                self._added(event)
            elif kind == "response.output_item.done":
                self._done(event)
            else:
                self._within(kind, event)

    def _begun(self, event: Json) -> Json:
        response = check_response(event["response"])
        assert response["status"] == "in_progress"
        assert response["output"] == []
        assert response["usage"] is None
        return response

    def _added(self, event: Json) -> None:
        item = event["item"]
        assert event["output_index"] == len(self.items)
        assert item["id"] not in [each["id"] for each in self.items]
        if item["type"] != "reasoning":
            assert item["status"] == "in_progress"
        assert not item.get("content")
        assert not item.get("summary")
        assert not item.get("arguments")
        assert not item.get("input")
        self.items.append(item)

    def _done(self, event: Json) -> None:
        place, item = event["output_index"], event["item"]
        added = self.items[place]
        assert place not in self.done
        assert place not in self.open_part
        assert (item["id"], item["type"]) == (added["id"], added["type"])
        for name in ("call_id", "name", "namespace"):
            assert item.get(name) == added.get(name)
        parts = [part for (where, _), part in self.said.items() if where == place]
        match item["type"]:
            case "message":
                assert item["content"] == parts
                assert parts
            case "reasoning":
                assert item["summary"] == parts
            case "function_call" | "custom_tool_call":
                assert place in self.arguments, "the arguments must be over before the call is"
                assert (item.get("arguments") or item.get("input") or "") == self.arguments[place]
            case "image_generation_call":
                assert item["result"]
        self.done[place] = item

    def _within(self, kind: str, event: Json) -> None:
        place = event["output_index"]
        item = self.items[place]
        assert event["item_id"] == item["id"]
        assert place not in self.done
        steps, _, last = kind.rpartition(".")
        if steps in _CALLS:
            item_type, field = _CALLS[steps]
            assert item["type"] == item_type
            pieces = item.setdefault("pieces", [])
            if last == "delta":
                assert place not in self.arguments
                assert event["delta"]
                pieces.append(event["delta"])
            else:
                assert event[field] == "".join(pieces)
                self.arguments[place] = event[field]
        elif kind.startswith("response.image_generation_call."):
            assert item["type"] == "image_generation_call"
        else:
            assert item["type"] == ("reasoning" if "summary" in kind else "message")
            self._part(kind, event, place, event["summary_index" if "summary" in kind else "content_index"])

    def _part(self, kind: str, event: Json, place: int, index: int) -> None:
        spot = (place, index)
        if kind.endswith("_part.added"):
            assert place not in self.open_part
            assert index == len([where for where, _ in self.said if where == place])
            assert not event["part"].get("text")
            assert not event["part"].get("refusal")
            self.open_part[place] = index
            self.said[spot] = event["part"]
            self.notes[spot] = []
            return
        assert self.open_part[place] == index
        part = self.said[spot]
        name = "refusal" if part["type"] == "refusal" else "text"
        if kind.endswith(".delta"):
            assert event["delta"]
            part[name] += event["delta"]
            if part["type"] == "output_text":
                part["logprobs"] += event["logprobs"]
        elif kind.endswith("annotation.added"):
            assert event["annotation_index"] == len(self.notes[spot])
            assert 0 <= event["annotation"]["start_index"] <= event["annotation"]["end_index"] <= len(part["text"])
            self.notes[spot].append(event["annotation"])
        elif kind.endswith("_part.done"):
            assert part.pop("is_over")
            part |= {"annotations": self.notes[spot]} if part["type"] == "output_text" else {}
            assert event["part"] == part
            del self.open_part[place]
        else:
            assert event[name] == part[name]
            part["is_over"] = True

    def _end(self, event: Json) -> None:
        self.state = "over"
        response = check_response(event["response"])
        assert event["type"] == f"response.{response['status']}"
        changed = {"status", "output", "usage", "error", "incomplete_details", "completed_at", "service_tier"}
        assert {name: value for name, value in response.items() if name not in changed} == {
            name: value for name, value in self.first.items() if name not in changed
        }
        assert response["output"] == [self.done[place] for place in sorted(self.done)]
        if response["status"] == "failed":
            assert response["error"]["message"]
        else:
            assert response["usage"] is not None
            assert len(self.done) == len(self.items)
            assert not self.open_part
