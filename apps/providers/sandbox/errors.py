"""Refusals in OpenAI's words: the envelope, and the ones that models give on request."""

from collections.abc import Mapping
from types import MappingProxyType

import orjson


class ApiError(Exception):
    """An answer that refuses. `param` names the offending field as OpenAI would (`messages[0].role`)."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.kind, self.param, self.code = status, message, kind, param, code
        self.headers = headers

    @property
    def body(self) -> bytes:
        """The JSON envelope: always the four keys, `type` being our `kind`."""
        inner = {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}
        return orjson.dumps({"error": inner})


def missing(param: str) -> ApiError:
    """A required field is not there."""
    return ApiError(400, f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter")


def wrong_type(param: str, expected: str, got: object) -> ApiError:
    """A field holds something of another type than `expected`, which is said as in "a string"."""
    said = _TYPES.get(type(got), "something else")
    message = f"Invalid type for '{param}': expected {expected}, but got {said} instead."
    return ApiError(400, message, param=param, code="invalid_type")


def wrong_value(param: str, got: object, expected: str) -> ApiError:
    """A field holds a value outside of what is allowed, which `expected` says."""
    shown = orjson.dumps(got).decode()[:100]
    return ApiError(400, f"Invalid value: {shown}. {expected}", param=param, code="invalid_value")


def unknown_model(name: str) -> ApiError:
    """No such model here."""
    message = f"The model `{name}` does not exist or you do not have access to it."
    return ApiError(404, message, param="model", code="model_not_found")


_TYPES: dict[type, str] = {
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a decimal number",
    list: "an array",
    dict: "an object",
    type(None): "null",
}

NOTE = "This failure was asked for: the sandbox fails on request and no provider was called."

SERVER_ERROR = ApiError(
    500,
    f"The server had an error while processing your request. {NOTE}",
    kind="server_error",
)

# What models with `Behaviour.error` answer.
REFUSALS: Mapping[str, ApiError] = MappingProxyType(
    {
        "401": ApiError(401, f"Incorrect API key provided: sandbox. {NOTE}", code="invalid_api_key"),
        "403": ApiError(403, f"The project does not have access to this model. {NOTE}", code="model_not_found"),
        "429": ApiError(
            429,
            f"Rate limit reached for requests. Please try again in 1s. {NOTE}",
            kind="requests",
            code="rate_limit_exceeded",
            headers={"retry-after": "1", "retry-after-ms": "1000"},
        ),
        "quota": ApiError(
            429,
            f"You exceeded your current quota, please check your plan and billing details. {NOTE}",
            kind="insufficient_quota",
            code="insufficient_quota",
        ),
        "500": SERVER_ERROR,
        "503": ApiError(503, f"The engine is overloaded, please try again later. {NOTE}", kind="server_error"),
        "context_length": ApiError(
            400,
            f"This model's maximum context length is 16 tokens; your messages are longer. {NOTE}",
            param="messages",
            code="context_length_exceeded",
        ),
        "prompt_filter": ApiError(
            400,
            f"The response was filtered due to the prompt triggering a content management policy. {NOTE}",
            param="prompt",
            code="content_filter",
        ),
    }
)


def on_request(status: int) -> ApiError:
    """The refusal with that status: a table's if there is one, else a plain one. For the command line's --status."""
    if refusal := REFUSALS.get(str(status)):
        return refusal
    kind = "server_error" if status >= 500 else "invalid_request_error"
    return ApiError(status, f"The sandbox was told to answer {status}. {NOTE}", kind=kind)
