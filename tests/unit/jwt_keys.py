"""Keys and tokens of an issuer that tests make up, and a clock that goes as it is told."""

import json
import secrets
from collections.abc import Mapping
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from jwt.algorithms import get_default_algorithms

ISSUER: Final = "https://issuer.test/"
AUDIENCE: Final = "queryengine"
NOW: Final = 1_800_000_000
"""Seconds since 1970, when the tests take place."""


class SetClock:
    """A clock that stands still until it is moved."""

    def __init__(self, seconds: float = NOW) -> None:
        self.seconds = seconds

    def now_us(self) -> int:
        return int(self.seconds * 1e6)

    def monotonic(self) -> float:
        return self.seconds


RSA: Final = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_RSA: Final = rsa.generate_private_key(public_exponent=65537, key_size=2048)
SMALL_RSA: Final = rsa.generate_private_key(public_exponent=65537, key_size=1024)
P256: Final = ec.generate_private_key(ec.SECP256R1())
P384: Final = ec.generate_private_key(ec.SECP384R1())
P521: Final = ec.generate_private_key(ec.SECP521R1())
ED25519: Final = ed25519.Ed25519PrivateKey.generate()
SECRET: Final = secrets.token_bytes(64)

SIGNING: Final[Mapping[str, Any]] = {
    **dict.fromkeys(("HS256", "HS384", "HS512"), SECRET),
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), RSA),
    "ES256": P256,
    "ES384": P384,
    "ES512": P521,
    "EdDSA": ED25519,
}
"""The key that signs, by algorithm."""


def public_pem(key: Any) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def private_pem(key: Any) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def jwk(key: Any, kid: str, algorithm: str = "RS256", **more: Any) -> dict[str, Any]:
    """The public key as an issuer publishes it."""
    return {**get_default_algorithms()[algorithm].to_jwk(key.public_key(), as_dict=True), "kid": kid, **more}


def key_set(*keys: Mapping[str, Any]) -> bytes:
    return json.dumps({"keys": keys}).encode()


def claims(now: float = NOW, **changed: Any) -> dict[str, Any]:
    """Those of a good token; a change to None leaves one out."""
    good = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "tenant": "acme", "iat": now - 10, "exp": now + 300}
    return {name: value for name, value in {**good, **changed}.items() if value is not None}


def token(said: Mapping[str, Any] | None = None, *, algorithm: str = "RS256", key: Any = None, **header: Any) -> str:
    """Signed by the key of its algorithm unless another one is given."""
    signing = SIGNING[algorithm] if key is None else key
    return jwt.encode(dict(said or claims()), signing, algorithm=algorithm, headers=header)


def bearer(text: str, *more: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    """The metadata of a call with a token."""
    return (("authorization", f"Bearer {text}"), *more)
