"""Outcomes that the gateway chooses, as one tree. Each dialect renders them; nothing else knows a client's envelope.

    GatewayError
    ├── BadRequest 400 ── InvalidJson, InvalidForm, MissingParameter, InvalidType, InvalidValue, TooManyInputTokens,
    │                   DialectMismatch, UnsupportedParameter
    ├── AuthenticationFailed 401 ── TokenMissing, TokenAmbiguous, TokenMalformed, TokenUnknown, TokenRevoked, TokenExpired,
    │                               TokenSuspended
    ├── PolicyRefusal 403 ── EndpointNotAllowed, ModelNotAllowed, ProviderNotAllowed, NetworkNotAllowed, HoursNotAllowed,
    │                        ModelUnpriced
    ├── BudgetExceeded 402, LimitExceeded 429
    ├── UnknownPath, ModelNotFound, ObjectNotFound 404
    ├── MethodNotAllowed 405
    ├── RequestTimeout 408
    ├── IdempotencyConflict 409 ── IdempotencyKeyReused, IdempotencyKeyInUse, IdempotencyAnswerLost
    ├── BodyTooLarge 413, UnsupportedEncoding 415, UpgradeRequired 426, HeadersTooLarge 431
    ├── ClientClosed 499                              (nobody is left to read it: for the record)
    ├── UpstreamError 502 ── NoCredential, UpstreamUnreachable, EgressBlocked, UpstreamAuthFailed, UpstreamDisconnected,
    │                        UpstreamMalformed
    ├── Unavailable 503 ── DirectoryUnavailable, NotSetUp, RecordUnavailable, CountersUnavailable,
    │                      UploadsUnavailable, ObjectsUnavailable, IdempotencyUnavailable, ShuttingDown
    └── UpstreamTimeout 504 ── ConnectTimeout, FirstByteTimeout, IdleTimeout, TotalTimeout

Clients match on `code`. `reason` is what the record keeps: it may be finer than what the client is told. `retryable` becomes
x-should-retry; None leaves the decision to the client's own rules. `__cause__` is for the log only.
"""

from collections.abc import Mapping, Sequence


class GatewayError(Exception):
    """An outcome we chose. `message` is for the client and names the remedy."""

    status = 500
    type = "server_error"
    code = "internal_error"
    reason = ""  # empty: the code
    retryable: bool | None = None
    message = "The gateway could not complete this request."
    # Whether the message ends with the request's id: what a policy, limit or budget refused is what an operator is asked about.
    names_request = False

    def __init__(
        self,
        message: str | None = None,
        *,
        param: str | None = None,
        headers: Sequence[tuple[bytes, bytes]] = (),
        details: Mapping[str, object] | None = None,
    ) -> None:
        """`param`: JSON path of the offending field. `headers`: more answer headers, such as Allow or Retry-After.

        `details`: facts for programs, shown beside the message.
        """
        if message is not None:
            self.message = message
        self.param = param
        self.headers = headers
        self.details = details
        super().__init__(self.message)

    @property
    def recorded_as(self) -> str:
        """The error code that the request record keeps."""
        return self.reason or self.code


# --- 400: the request itself ---


class BadRequest(GatewayError):
    """The request cannot be understood."""

    status, type, code, retryable = 400, "invalid_request_error", "invalid_request", False


class InvalidJson(BadRequest):
    """The body is not a JSON object, or is nested too deeply."""

    code = "invalid_json"
    message = "The request body is not valid JSON: send a JSON object."


class InvalidForm(BadRequest):
    """The body is not multipart/form-data, or not of a form that can be read in one way only."""

    code = "invalid_form"
    message = "The request body is not a form (multipart/form-data)."


class MissingParameter(BadRequest):
    """A field without which nothing can be done."""

    code = "missing_required_parameter"


class InvalidType(BadRequest):
    """A field of the wrong JSON type."""

    code = "invalid_type"


class InvalidValue(BadRequest):
    """A field of the right type with an impossible value."""

    code = "invalid_value"


class TooManyInputTokens(BadRequest):
    """More input than a policy allows for one request."""

    code = "input_tokens_exceeded"
    names_request = True


class DialectMismatch(BadRequest):
    """The model's provider speaks another dialect than the endpoint, or has no such endpoint. The message names those it has."""

    code = "dialect_mismatch"


class UnsupportedParameter(BadRequest):
    """A field that cannot be said in the dialect of the model's provider."""

    code = "unsupported_parameter"


# --- 401, 403: who asks ---


class AuthenticationFailed(GatewayError):
    """The token opens nothing."""

    status, type, code, retryable = 401, "invalid_request_error", "invalid_api_key", False


class TokenMissing(AuthenticationFailed):
    """No token in any of the headers we read."""

    reason = "token_missing"
    message = "No token was sent: put your Tollgate token where the API key goes (Authorization: Bearer tg_live_…)."


class TokenAmbiguous(AuthenticationFailed):
    """Two headers carry different tokens."""

    reason = "token_ambiguous"
    message = "Several different tokens were sent: send one, in Authorization, api-key, x-api-key or x-goog-api-key."


class TokenMalformed(AuthenticationFailed):
    """Not one of ours, or a typing error: the checksum says so without a look-up."""

    reason = "token_malformed"
    message = "This is not a Tollgate token, or it has a typing error: tokens begin with tg_live_ and are copied whole."


class TokenUnknown(AuthenticationFailed):
    """Well formed, but no organization of this installation issued it."""

    reason = "token_unknown"
    message = "This token is not known here: check that it was issued by this installation."


class TokenRevoked(AuthenticationFailed):
    """Withdrawn by an operator."""

    reason = "token_revoked"
    message = "This token was revoked: ask the operator of your gateway for a new one."


class TokenExpired(AuthenticationFailed):
    """Past its expiry."""

    reason = "token_expired"
    message = "This token has expired: ask the operator of your gateway for a new one."


class TokenSuspended(AuthenticationFailed):
    """Its service is disabled or its organization suspended."""

    reason = "token_suspended"
    message = "The service or organization of this token is disabled: ask the operator of your gateway."


class PolicyRefusal(GatewayError):
    """A policy does not allow it. The message names the rule and where it comes from."""

    status, type, code, retryable = 403, "permission_error", "not_allowed", False
    names_request = True


class EndpointNotAllowed(PolicyRefusal):
    """The token's scopes, or a policy, do not hold this endpoint."""

    code = "endpoint_not_allowed"


class ModelNotAllowed(PolicyRefusal):
    """A policy does not allow this model."""

    code = "model_not_allowed"


class ProviderNotAllowed(PolicyRefusal):
    """A policy allows none of the providers, or not the credential, that could serve the model."""

    code = "provider_not_allowed"


class NetworkNotAllowed(PolicyRefusal):
    """A policy does not allow calls from this address."""

    code = "network_not_allowed"


class HoursNotAllowed(PolicyRefusal):
    """A policy does not allow calls at this time."""

    code = "hours_not_allowed"


class ModelUnpriced(PolicyRefusal):
    """The model's price is not known, and a policy or a budget wants it known."""

    code = "model_unpriced"


# --- 402, 429: how much, how fast ---


class BudgetExceeded(GatewayError):
    """A budget has no room for the call. Details: scope, limit, spent, held, resets_at."""

    status, type, code, retryable = 402, "insufficient_quota", "budget_exceeded", False
    names_request = True


class LimitExceeded(GatewayError):
    """Too many requests or tokens a minute, or too many at once. Carries Retry-After. Recorded by the limit's kind."""

    status, type, code = 429, "rate_limit_error", "rate_limit_exceeded"
    names_request = True

    def __init__(
        self, message: str, *, kind: str, headers: Sequence[tuple[bytes, bytes]], details: Mapping[str, object]
    ) -> None:
        """`kind`: requests, tokens or concurrency."""
        super().__init__(message, headers=headers, details=details)
        self.reason = f"limit_{kind}"


# --- 404 to 431: what is asked ---


class UnknownPath(GatewayError):
    """Under our prefixes, but nothing we serve."""

    status, type, code, retryable = 404, "invalid_request_error", "unknown_url", False


class ModelNotFound(GatewayError):
    """No model of this name for this organization."""

    status, type, code, retryable = 404, "invalid_request_error", "model_not_found", False


class ObjectNotFound(GatewayError):
    """No file, batch or response with this id, or it is another service's: nobody is told which."""

    status, type, code, retryable = 404, "invalid_request_error", "object_not_found", False


class MethodNotAllowed(GatewayError):
    """A known path with another verb. Carries Allow."""

    status, type, code, retryable = 405, "invalid_request_error", "method_not_allowed", False


class RequestTimeout(GatewayError):
    """The client stopped sending in the middle of its body."""

    status, type, code = 408, "timeout_error", "request_timeout"
    message = "The request body did not arrive in time."


# --- 409: a key that stands for another request ---


class IdempotencyConflict(GatewayError):
    """The Idempotency-Key is taken."""

    status, type, code, retryable = 409, "invalid_request_error", "idempotency_conflict", False


class IdempotencyKeyReused(IdempotencyConflict):
    """By a request with another body, model or endpoint."""

    code = "idempotency_key_reused"
    message = "This Idempotency-Key was sent with another request in the last 24 hours: use a new key for each request."


class IdempotencyKeyInUse(IdempotencyConflict):
    """By the same request, which has no answer yet."""

    code, retryable = "idempotency_key_in_use", True
    message = "The request with this Idempotency-Key is still being answered: send it again to get the answer."

    def __init__(self) -> None:
        super().__init__(headers=((b"retry-after", b"1"), (b"retry-after-ms", b"1000")))


class IdempotencyAnswerLost(IdempotencyConflict):
    """By the same request, whose answer could not be kept."""

    code = "idempotency_answer_not_kept"
    message = "The request with this Idempotency-Key was answered, but its answer is too large to be kept: it is not made again."


class BodyTooLarge(GatewayError):
    """More bytes than MAX_BODY_BYTES, or with a file than MAX_UPLOAD_BYTES."""

    status, type, code, retryable = 413, "invalid_request_error", "request_too_large", False


class UnsupportedEncoding(GatewayError):
    """A compressed request body."""

    status, type, code, retryable = 415, "invalid_request_error", "unsupported_encoding", False
    message = "Compressed request bodies are not supported: send the JSON as it is, without Content-Encoding."


class UpgradeRequired(GatewayError):
    """A plain HTTP request for what only a WebSocket gives."""

    status, type, code, retryable = 426, "invalid_request_error", "upgrade_required", False
    message = (
        "This is a WebSocket: connect to it with a client for those, such as the realtime client of OpenAI's SDKs."
    )


class HeadersTooLarge(GatewayError):
    """More header bytes than a request may have."""

    status, type, code, retryable = 431, "invalid_request_error", "headers_too_large", False
    message = "The request's headers are too large."


class ClientClosed(GatewayError):
    """The client left before the answer was complete. Nobody reads this; the record keeps it."""

    status, type, code, retryable = 499, "client_error", "client_closed", False
    message = "The client closed the connection."


# --- 502: the provider ---


class UpstreamError(GatewayError):
    """The provider did not give an answer that we could pass on."""

    status, type, code = 502, "upstream_error", "upstream_error"


class NoCredential(UpstreamError):
    """The model is known, but there is no usable credential for its provider."""

    code, retryable = "no_credential", False


class UpstreamUnreachable(UpstreamError):
    """No connection could be made: name, address, TLS or refusal."""

    code = "upstream_unavailable"
    message = "The provider could not be reached."


class EgressBlocked(UpstreamError):
    """The credential's base URL leads to an address that the installation does not allow."""

    code, retryable = "egress_refused", False
    message = (
        "The credential's base URL leads to an address that this installation does not call. "
        "An operator can allow its range with EGRESS_ALLOW."
    )


class UpstreamAuthFailed(UpstreamError):
    """The provider refuses the credential that we hold, which is the operator's to mend and no fault of the token."""

    code, retryable = "upstream_auth_failed", False


class UpstreamDisconnected(UpstreamError):
    """The provider's answer broke off."""

    code = "upstream_disconnected"
    message = "The provider's answer broke off before its end."


class UpstreamMalformed(UpstreamError):
    """An answer that is not what was asked for, such as JSON for a stream, or a redirect."""

    code = "upstream_malformed"
    message = "The provider's answer was not understandable."


# --- 503: the gateway itself ---


class Unavailable(GatewayError):
    """The gateway cannot decide right now."""

    status, type, code, retryable = 503, "server_error", "unavailable", True


class IdempotencyUnavailable(Unavailable):
    """Nobody can say whether the request was made before, so it is not made."""

    code = "idempotency_unavailable"
    message = (
        "The gateway cannot check this Idempotency-Key right now: try again shortly, or send the request without it."
    )


class DirectoryUnavailable(Unavailable):
    """The token is not known here and the database cannot be asked."""

    code = "directory_unavailable"
    message = "The gateway cannot check this token right now: try again shortly."


class NotSetUp(Unavailable):
    """There is no organization here yet, so no token can be anybody's."""

    code, retryable = "not_set_up", False
    message = "This gateway is not set up yet: its operator does that in the console, at /setup/."


class RecordUnavailable(Unavailable):
    """The request could not be recorded, so it is not made."""

    code = "record_unavailable"
    message = "The gateway cannot record requests right now, so it makes none: an operator must free its spool."


class CountersUnavailable(Unavailable):
    """Limits and budgets cannot be asked, so nothing is let through that they apply to."""

    code = "counters_unavailable"
    message = "The gateway cannot check this token's limits and budgets right now: try again shortly."

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message, headers=((b"retry-after", b"1"), (b"retry-after-ms", b"1000")))


class UploadsUnavailable(Unavailable):
    """There is no room on the gateway's disk for another upload."""

    code = "uploads_unavailable"
    message = "The gateway has no room for this upload right now: try again shortly."

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message, headers=((b"retry-after", b"2"), (b"retry-after-ms", b"2000")))


class ObjectsUnavailable(Unavailable):
    """The database, which knows whose files, batches and responses are whose, cannot be asked."""

    code = "objects_unavailable"
    message = "The gateway cannot look up files, batches and responses right now: try again shortly."


class ShuttingDown(Unavailable):
    """The process ends, and this answer with it."""

    code = "server_shutdown"
    message = "The gateway is restarting: try again."


# --- 504: time ---


class UpstreamTimeout(GatewayError):
    """The provider took longer than allowed."""

    status, type, code = 504, "timeout_error", "upstream_timeout"


class ConnectTimeout(UpstreamTimeout):
    """No connection within the connect timeout."""

    code = "upstream_connect_timeout"
    message = "No connection to the provider could be made in time."


class FirstByteTimeout(UpstreamTimeout):
    """No first byte within the first byte timeout."""

    code = "upstream_first_byte_timeout"
    message = "The provider did not begin to answer in time."


class IdleTimeout(UpstreamTimeout):
    """Silence for longer than the idle timeout."""

    code = "upstream_idle_timeout"
    message = "The provider fell silent in the middle of its answer."


class TotalTimeout(UpstreamTimeout):
    """The whole answer took longer than the total timeout."""

    code = "upstream_total_timeout"
    message = "The provider's answer took longer than allowed."
