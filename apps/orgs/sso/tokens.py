"""Is this ID token the provider's, for us, for this sign-in, and still good? The library that we build on asks less.

Signature with a key that the issuer publishes, by an algorithm with a public key; issuer; audience and authorized party; expiry;
nonce. Nothing in the token chooses how it is checked, except among these keys and algorithms.
"""

import hmac
from collections.abc import Mapping
from typing import Any

import jwt

from apps.orgs.sso.provider import Provider, signing_keys
from apps.orgs.sso.refusals import (
    TOKEN_ALGORITHM,
    TOKEN_AUDIENCE,
    TOKEN_CLAIMS,
    TOKEN_EXPIRED,
    TOKEN_ISSUER,
    TOKEN_NONCE,
    TOKEN_SIGNATURE,
    TOKEN_UNREADABLE,
    SsoRefused,
)

# Never `none`, and never HS256: its key would be one that others know.
ALGORITHMS: Mapping[str, str] = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), "RSA"),
    **dict.fromkeys(("ES256", "ES384", "ES512"), "EC"),
    "EdDSA": "OKP",
}
LEEWAY = 60  # seconds by which the provider's clock and ours may differ

# What the library and the ones below it raise for words of the wrong kind, besides their own errors.
_ODD = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)

_DECODER = jwt.PyJWT(options={"enforce_minimum_key_length": True})


def id_token_claims(token: object, *, issued_by: Provider, client_id: str, nonce: str) -> Mapping[str, Any]:
    """What the token says. Raises SsoRefused unless everything about it is right."""
    if not isinstance(token, str):
        raise SsoRefused(TOKEN_UNREADABLE, "the token endpoint answered without an id_token")
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, *_ODD) as error:
        raise SsoRefused(TOKEN_UNREADABLE, str(error)) from error
    algorithm = str(header.get("alg"))
    if algorithm not in ALGORITHMS:
        raise SsoRefused(TOKEN_ALGORITHM, f"signed by {algorithm[:20]!r}")
    claims = _decoded(token, _key(issued_by, header, algorithm), algorithm, issued_by.issuer, client_id)
    _check_party(claims, client_id)
    if not hmac.compare_digest(_bytes(claims.get("nonce")), _bytes(nonce)):
        raise SsoRefused(TOKEN_NONCE, "the token belongs to another sign-in")
    if not 0 < len(claims["sub"]) <= 255 or not claims["sub"].isprintable():
        raise SsoRefused(TOKEN_CLAIMS, "the subject is empty, longer than 255 characters or not printable")
    return claims


def _key(issued_by: Provider, header: Mapping[str, Any], algorithm: str) -> jwt.PyJWK:
    """The key that the token names. The keys are fetched anew, once, for a name that is not among them: they rotate."""
    for anew in (False, True):
        fitting = [
            key
            for key in signing_keys(issued_by, anew=anew)
            if key.get("kty") == ALGORITHMS[algorithm]
            and key.get("use", "sig") == "sig"
            and key.get("alg", algorithm) == algorithm
            and ("kid" not in header or key.get("kid") == header["kid"])
        ]
        if len(fitting) == 1:
            try:
                return jwt.PyJWK(dict(fitting[0]), algorithm=algorithm)
            except (jwt.PyJWTError, *_ODD) as error:
                raise SsoRefused(TOKEN_SIGNATURE, "the provider's key cannot be read") from error
    raise SsoRefused(TOKEN_SIGNATURE, f"{len(fitting)} keys of the provider fit the token")


def _decoded(token: str, key: jwt.PyJWK, algorithm: str, issuer: str, client_id: str) -> dict[str, Any]:
    try:
        return _DECODER.decode(
            token,
            key,
            algorithms=[algorithm],
            issuer=issuer,
            audience=client_id,
            leeway=LEEWAY,
            options={"require": ["iss", "sub", "aud", "exp", "iat"]},
        )
    except (jwt.InvalidSignatureError, jwt.InvalidKeyError) as error:
        raise SsoRefused(TOKEN_SIGNATURE, str(error)) from error
    except (jwt.ExpiredSignatureError, jwt.ImmatureSignatureError) as error:
        raise SsoRefused(TOKEN_EXPIRED, f"{error}; do the clocks agree?") from error
    except jwt.InvalidIssuerError as error:
        raise SsoRefused(TOKEN_ISSUER, str(error)) from error
    except jwt.InvalidAudienceError as error:
        raise SsoRefused(TOKEN_AUDIENCE, str(error)) from error
    except jwt.MissingRequiredClaimError as error:
        raise SsoRefused(
            {"iss": TOKEN_ISSUER, "aud": TOKEN_AUDIENCE}.get(error.claim, TOKEN_CLAIMS), str(error)
        ) from error
    except (jwt.PyJWTError, *_ODD) as error:
        raise SsoRefused(TOKEN_UNREADABLE, str(error)) from error


def _check_party(claims: Mapping[str, Any], client_id: str) -> None:
    """A token for several audiences says who asked for it: that must be us."""
    party = claims.get("azp")
    if party is None and isinstance(claims["aud"], list) and len(claims["aud"]) > 1:
        raise SsoRefused(TOKEN_AUDIENCE, "the token has several audiences and no authorized party")
    if party is not None and party != client_id:
        raise SsoRefused(TOKEN_AUDIENCE, "the token was issued to another application")


def _bytes(nonce: object) -> bytes:
    return str(nonce).encode(errors="backslashreplace")
