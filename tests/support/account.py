"""A provider's account that keeps files, batches and responses, as OpenAI's does: for all who have its key.

account = FakeAccount()
upstream.replies(account, always=True)
account.finish("batch_1", usage={...})
"""

import itertools
import json
import re
import threading
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support import bodies
from tests.support.bodies import Json
from tests.support.provider import Received, Script, _head, _whole
from tests.support.uploads import fields_of, parts_of

USAGE: Json = {
    "input_tokens": 1000,
    "input_tokens_details": {"cached_tokens": 200},
    "output_tokens": 500,
    "output_tokens_details": {"reasoning_tokens": 100},
    "total_tokens": 1500,
}


class FakeAccount:
    """Called by the provider with each request, on its thread."""

    def __init__(self, name: str = "") -> None:
        self.files: dict[str, tuple[Json, bytes]] = {}
        self.batches: dict[str, Json] = {}
        self.responses: dict[str, Json] = {}
        self.asked: list[str] = []  # method and path of each request
        self.down = False  # answers 503 to everything
        self._numbers = itertools.count(1)
        self._name = name
        self._lock = threading.Lock()

    # --- What happens there ---

    def finish(self, batch: str, status: str = "completed", *, usage: Json | None = USAGE, output: bytes = b"") -> None:
        """A batch is over, with a file of answers."""
        with self._lock:
            facts = self.batches[batch]
            facts["status"] = status
            facts["request_counts"] = {"total": 2, "completed": 2 if status == "completed" else 0, "failed": 0}
            if usage is not None:
                facts["usage"] = usage
            if status == "completed":
                facts["output_file_id"] = self._keep(output, filename="output.jsonl", purpose="batch_output")["id"]

    def answer(self, response: str, text: str = "Done") -> None:
        """A response made in the background is over."""
        with self._lock:
            self.responses[response] = {**bodies.response(text), "id": response, "background": True}

    def __call__(self, request: Received) -> Script:
        with self._lock:
            return self._answer(request)

    def _id(self, kind: str) -> str:
        return f"{kind}{self._name}{next(self._numbers)}"

    def _keep(self, content: bytes, **facts: Any) -> Json:
        made = {"id": self._id("file-"), "object": "file", "bytes": len(content), "created_at": bodies.CREATED, **facts}
        made["status"] = "processed"
        self.files[made["id"]] = (made, content)
        return made

    def _answer(self, request: Received) -> Script:
        parts = urlsplit(request.path)
        path = re.sub(r"^(/openai)?(/v1)?", "", parts.path)
        self.asked.append(f"{request.method} {path}")
        if self.down:
            return _whole(bodies.error("Down."), status=503)
        _, kind, *rest = path.split("/")
        match request.method, kind, rest:
            case "POST", "files", []:
                ((_, filename, _, content),) = [part for part in parts_of(request) if part[0] == "file"]
                return _whole(self._keep(content, filename=filename, purpose=fields_of(request)["purpose"][0]))
            case "GET", "files", [file]:
                return self._show(self.files[file][0] if file in self.files else None)
            case "GET", "files", [file, "content"] if file in self.files:
                content = self.files[file][1]
                preset = {"Content-Type": "application/octet-stream", "Content-Length": str(len(content))}
                return Script(_head(200, (), preset), [content] if content else [], "length")
            case "DELETE", "files", [file] if file in self.files:
                del self.files[file]
                return _whole({"id": file, "object": "file", "deleted": True})
            case "GET", "files" | "batches", []:
                raise AssertionError("the account's own lists hold what is others'")
            case "POST", "batches", []:
                made = {"id": self._id("batch_"), "object": "batch", "status": "validating", **request.json}
                self.batches[made["id"]] = made
                return _whole(made)
            case "GET", "batches", [batch]:
                return self._show(self.batches.get(batch))
            case "POST", "batches", [batch, "cancel"] if batch in self.batches:
                self.batches[batch]["status"] = "cancelling"
                return _whole(self.batches[batch])
            case "POST", "responses", []:
                return self._respond(request)
            case "GET", "responses", [response] if parse_qs(parts.query).get("stream") == ["true"]:
                preset = {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"}
                return Script(_head(200, (), preset), list(bodies.response_events()), "chunked")
            case "GET", "responses", [response]:
                return self._show(self.responses.get(response))
            case "DELETE", "responses", [response] if response in self.responses:
                del self.responses[response]
                return _whole({"id": response, "object": "response", "deleted": True})
            case "POST", "responses", [response, "cancel"] if response in self.responses:
                self.responses[response]["status"] = "cancelled"
                return _whole(self.responses[response])
            case "GET", "responses", [response, "input_items"] if response in self.responses:
                return _whole({"object": "list", "data": [], "has_more": False})
            case "POST", "chat", ["completions"]:
                return _whole(bodies.completion())
            case _:
                return self._show(None)

    def _show(self, facts: Json | None) -> Script:
        if facts is None:
            return _whole(bodies.error("No such object.", kind="invalid_request_error", code="not_found"), status=404)
        return _whole(facts)

    def _respond(self, request: Received) -> Script:
        asked = request.json
        made = {**bodies.response(), "id": self._id("resp_")}
        made["output"] = [{**item, "id": self._id("msg_")} for item in made["output"]]
        if asked.get("background"):
            made |= {"status": "queued", "background": True, "usage": None, "output": []}
        if asked.get("store", True):
            self.responses[made["id"]] = made
        if asked.get("stream"):
            first = json.dumps({"type": "response.created", "response": {**made, "status": "in_progress"}})
            last = json.dumps({"type": "response.completed", "response": made, "sequence_number": 1})
            steps = [
                f"event: response.created\ndata: {first}\n\n".encode(),
                f"event: response.completed\ndata: {last}\n\n".encode(),
            ]
            preset = {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"}
            return Script(_head(200, (), preset), steps, "chunked")
        return _whole(made)
