"""A security key of software: what a browser would send of it."""

import hashlib
import json
from base64 import urlsafe_b64encode
from secrets import token_bytes
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fido2.cose import ES256
from fido2.webauthn import Aaguid, AttestationObject, AttestedCredentialData, AuthenticatorData, CollectedClientData

if TYPE_CHECKING:  # models can be imported only once the services run, which is after this file has been read
    from apps.orgs.models import User

ORIGIN, HOST = "https://testserver", "testserver"
FLAG = AuthenticatorData.FLAG


class SecurityKey:
    """One key, registered for one account."""

    def __init__(self, user: "User") -> None:
        from allauth.mfa.models import Authenticator

        self.user, self._id, self._private = user, token_bytes(16), ec.generate_private_key(ec.SECP256R1())
        public = ES256.from_cryptography_key(self._private.public_key())
        held = AttestedCredentialData.create(Aaguid.NONE, self._id, public)
        about = AuthenticatorData.create(self._host(), FLAG.UP | FLAG.AT, 0, held)
        made = {
            "clientDataJSON": _text(CollectedClientData.create("webauthn.create", token_bytes(32), ORIGIN)),
            "attestationObject": _text(AttestationObject.create("none", about, {})),
        }
        Authenticator.objects.create(
            user=user, type=Authenticator.Type.WEBAUTHN, data={"name": "key", "credential": self._answer(made)}
        )

    def signs(self, challenge: str, *, asks_for_pin: bool) -> str:
        """Its answer to a challenge, as a form sends it."""
        data = CollectedClientData.create("webauthn.get", challenge, ORIGIN)
        about = AuthenticatorData.create(self._host(), FLAG.UP | FLAG.UV if asks_for_pin else FLAG.UP, 1)
        signature = self._private.sign(about + data.hash, ec.ECDSA(hashes.SHA256()))
        handle = str(self.user.pk).encode()
        made = {
            "clientDataJSON": _text(data),
            "authenticatorData": _text(about),
            "signature": _text(signature),
            "userHandle": _text(handle),
        }
        return json.dumps(self._answer(made))

    def _answer(self, response: dict[str, str]) -> dict[str, Any]:
        key = _text(self._id)
        return {"id": key, "rawId": key, "type": "public-key", "response": response, "clientExtensionResults": {}}

    @staticmethod
    def _host() -> bytes:
        return hashlib.sha256(HOST.encode()).digest()


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
