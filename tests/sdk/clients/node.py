"""The official Node clients: one process plays all scenes, a line of JSON for each (tests/node/drive.mjs)."""

import base64
import json
import subprocess
from collections.abc import Mapping
from typing import Any, Self

from tests.sdk.scenes import ABOUT, FORMAT, MOST, PARAMETERS, SCHEMA, SYSTEM, TOOL, Ask, Call, Refused, Said
from tests.support.node import FOLDER

NODES: Mapping[str, str] = {
    "openai on Node, chat": "chat",
    "openai on Node, Responses": "responses",
    "@anthropic-ai/sdk": "messages",
    "@google/genai": "gemini",
}
_WORDS = {
    "system": SYSTEM,
    "most": MOST,
    "tool": {"name": TOOL, "description": ABOUT, "parameters": dict(PARAMETERS)},
    "format": {"name": FORMAT, "schema": dict(SCHEMA)},
}


class NodeProcess:
    """Node with all clients in it. A context manager; one scene at a time."""

    def __init__(self, node: str, url: str, token: str) -> None:
        self._process = subprocess.Popen(
            [node, "drive.mjs", json.dumps({"url": url, "token": token, **_WORDS})],
            cwd=FOLDER,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=10)
        self._process.stdout.close()

    def play(self, client: str, ask: Mapping[str, Any]) -> dict[str, Any]:
        """What the client has heard, or its error."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"client": client, "ask": ask}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "Node has left"
        heard: dict[str, Any] = json.loads(line)
        return heard


class NodeClient:
    """One of the clients in the process."""

    def __init__(self, name: str, process: NodeProcess) -> None:
        self.name, self.dialect, self._process = name, NODES[name], process

    def close(self) -> None:
        """The process closes them all."""

    def ask(self, ask: Ask) -> Said:
        """Raises Refused."""
        fields: dict[str, Any] = {
            name: getattr(ask, name)
            for name in ("model", "text", "tool", "force", "schema", "think", "stream", "stop", "several", "logprobs")
        }
        for name in ("image", "document"):
            if data := getattr(ask, name):
                fields[name] = base64.b64encode(data).decode()
        if ask.before:
            said, results = ask.before
            calls = [
                {"id": call.id, "name": call.name, "result": result}
                for call, result in zip(said.calls, results, strict=True)
            ]
            fields["before"] = {"turn": said.turn, "calls": calls}
        heard = self._process.play(self.dialect, fields)
        if failed := heard.get("failed"):
            raise AssertionError(failed)
        if refused := heard.get("refused"):
            raise Refused(**refused)
        calls_made = tuple(Call(call["id"], call["name"], call["arguments"]) for call in heard.pop("calls"))
        tokens = heard.pop("tokens")
        return Said(calls=calls_made, tokens=(tokens[0], tokens[1]), **heard)
