"""An identity provider on a real socket that tells the truth until a test says otherwise; it signs with keys of its own.

with IdentityProvider() as idp:
    idp.claims["aud"] = "somebody else"      # what the next ID token says
    idp.breaks["/token"] = (500, b"")        # how a path answers instead
"""

import base64
import hashlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

CLIENT_ID = "tollgate"
CLIENT_SECRET = "a secret: with % and +"


class Key:
    """A signing key under a name."""

    def __init__(self, kid: str) -> None:
        self.kid, self.private = kid, rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def public(self) -> dict[str, Any]:
        found: dict[str, Any] = jwt.algorithms.RSAAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        return {**found, "kid": self.kid, "use": "sig", "alg": "RS256"}


GOOD, OTHER = Key("good"), Key("other")


class IdentityProvider:
    """What a test turns is an attribute; what it wants to know is in `asked`."""

    def __init__(self, port: int = 0) -> None:
        self.key, self.published = GOOD, [GOOD]
        self.algorithm, self.headers = "RS256", {"kid": "good"}
        self.claims: dict[str, Any] = {}  # instead of the true ones; None: left out
        self.userinfo: dict[str, Any] = {}
        self.discovery: dict[str, Any] = {}
        self.token_answer: dict[str, Any] = {}
        self.breaks: dict[str, tuple[int, bytes]] = {}
        self.asked: list[tuple[str, dict[str, str], str | None]] = []  # path, form, authorization
        self._codes: dict[str, dict[str, str]] = {}
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer({})

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
                self._answer({name: values[0] for name, values in parse_qs(raw).items()})

            def _answer(self, form: dict[str, str]) -> None:
                path = urlsplit(self.path).path
                provider.asked.append((path, form, self.headers.get("authorization")))
                status, body = provider.breaks.get(path) or provider.answer(path, form)
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_words: Any) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self._server.server_port
        self.issuer = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    def stop(self) -> None:
        """No more connections."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def approves(self, url: str) -> dict[str, str]:
        """What a person's browser brings back to the callback after signing in at the provider's page `url`."""
        sent = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        code = f"code-{len(self._codes)}"
        self._codes[code] = sent
        return {"code": code, "state": sent["state"]}

    def answer(self, path: str, form: dict[str, str]) -> tuple[int, bytes]:
        match path:
            case "/.well-known/openid-configuration":
                return 200, _json(
                    {
                        "issuer": self.issuer,
                        "authorization_endpoint": f"{self.issuer}/authorize",
                        "token_endpoint": f"{self.issuer}/token",
                        "jwks_uri": f"{self.issuer}/keys",
                        "userinfo_endpoint": f"{self.issuer}/userinfo",
                        **self.discovery,
                    }
                )
            case "/keys":
                return 200, _json({"keys": [key.public() for key in self.published]})
            case "/userinfo":
                return 200, _json({"sub": "1001", **self.userinfo})
            case "/token":
                return self._token(form)
        return 404, b"{}"

    def _token(self, form: dict[str, str]) -> tuple[int, bytes]:
        sent = self._codes.pop(form.get("code", ""), None)
        challenge = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if (
            sent is None
            or _unpadded(challenge) != sent["code_challenge"]
            or form["redirect_uri"] != sent["redirect_uri"]
        ):
            return 400, _json({"error": "invalid_grant"})
        now = int(time.time())
        true = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "sub": "1001",
            "iat": now,
            "exp": now + 300,
            "nonce": sent["nonce"],
            "email": "ana@acme.test",
            "email_verified": True,
            "name": "Ana Acme",
            "groups": [],
        }
        claims = {name: value for name, value in {**true, **self.claims}.items() if value is not None}
        return 200, _json(
            {"access_token": "at-1", "token_type": "Bearer", "id_token": self._sign(claims), **self.token_answer}
        )

    def _sign(self, claims: dict[str, Any]) -> str:
        match self.algorithm:
            case "none":
                return f"{_part({'alg': 'none', **self.headers})}.{_part(claims)}."
            case "HS256":  # with the public key as the secret, which anybody has
                head = f"{_part({'alg': 'HS256', **self.headers})}.{_part(claims)}"
                import hmac

                from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

                public = self.key.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
                return f"{head}.{_unpadded(hmac.digest(public, head.encode(), 'sha256'))}"
        # As bytes: the library's own way would hold nonsense against us and not send it.
        return jwt.PyJWS().encode(_json(claims), self.key.private, algorithm=self.algorithm, headers=self.headers)


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _part(value: Any) -> str:
    return _unpadded(_json(value))


def _unpadded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
