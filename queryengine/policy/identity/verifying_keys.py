"""Keys that verify signatures, each bound to the algorithms that its type allows: a public RSA key never becomes the
secret of an HMAC, whatever the header of a token says.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate
from jwt import PyJWTError
from jwt.algorithms import Algorithm, get_default_algorithms
from jwt.api_jwk import PyJWK

SECRET_BYTES_MIN: Final[Mapping[str, int]] = MappingProxyType({"HS256": 32, "HS384": 48, "HS512": 64})
"""As long as the hash, as RFC 7518 asks."""
RSA_BITS_MIN: Final = 2048
RSA_BITS_MAX: Final = 16384
"""A larger one takes long to verify with, and whoever sends tokens decides how often."""

_RSA: Final = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
_CURVES: Final[Mapping[str, str]] = MappingProxyType({"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"})
ALGORITHMS: Final = (*SECRET_BYTES_MIN, *sorted(_RSA), *_CURVES.values(), "EdDSA")
"""All that can be configured."""

_KNOWN: Final[Mapping[str, Algorithm]] = MappingProxyType(get_default_algorithms())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class VerifyingKey:
    """One key. Compared by identity, and shown nowhere: it may be a secret."""

    kid: str
    """Empty for a key without a name."""
    algorithms: frozenset[str]
    key: Any


def secret_key(secret: bytes, algorithms: Iterable[str], *, kid: str = "") -> VerifyingKey:
    """The key of an HMAC. Raises ValueError, which does not repeat it, for one that is too short for an algorithm or is
    the text of another kind of key.
    """
    wanted = frozenset(algorithms) & SECRET_BYTES_MIN.keys()
    for algorithm in sorted(wanted):
        if len(secret) < SECRET_BYTES_MIN[algorithm]:
            least = SECRET_BYTES_MIN[algorithm]
            raise ValueError(f"has {len(secret)} bytes; {algorithm} needs at least {least}, made by a random generator")
    if len(set(secret)) < 8:
        raise ValueError("repeats the same few bytes; use one made by a random generator")
    try:
        key = _KNOWN["HS256"].prepare_key(secret)
    except PyJWTError:
        raise ValueError("is a public key, a certificate or a JWK; expected a secret") from None
    return VerifyingKey(kid=kid, algorithms=wanted, key=key)


def public_key(pem: bytes, *, kid: str = "") -> VerifyingKey:
    """The key in a PEM file: a public key, or that of a certificate. Raises ValueError, which does not repeat it."""
    if b"PRIVATE KEY" in pem or _is_private(pem):
        raise ValueError("holds a private key, which only the issuer may have; expected its public key")
    try:
        if b"BEGIN CERTIFICATE" in pem:
            key: Any = load_pem_x509_certificate(pem).public_key()
        else:
            key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("holds no public key or certificate as PEM") from None
    return VerifyingKey(kid=kid, algorithms=_algorithms_of(key), key=key)


def keys_of(
    key_set: Mapping[str, Any], allowed: frozenset[str], *, keys_max: int
) -> tuple[Sequence[VerifyingKey], Sequence[str]]:
    """The keys of a JWK Set (RFC 7517) that can verify by an allowed algorithm, and why others were passed over. Raises
    ValueError for what is no JWK Set, and for one with more keys.
    """
    found = key_set.get("keys")
    if not isinstance(found, list):
        raise ValueError("it is no JWK Set: it has no list `keys`")  # noqa: TRY004 - It is a document, no argument.
    if len(found) > keys_max:
        raise ValueError(f"it has {len(found)} keys; at most {keys_max} are read")
    keys, passed_over = [], []
    for number, each in enumerate(found):
        try:
            keys.append(_of_jwk(each, allowed))
        except ValueError as cause:
            passed_over.append(f"keys[{number}] {cause}")
    return keys, passed_over


def _of_jwk(jwk: Any, allowed: frozenset[str]) -> VerifyingKey:
    if not isinstance(jwk, dict):
        raise ValueError("is not an object")  # noqa: TRY004 - As above.
    if jwk.get("kty") == "oct" or "d" in jwk:
        raise ValueError("is secret, and everybody can read it here")
    operations = jwk.get("key_ops", ["verify"])
    if jwk.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
        raise ValueError("is not for signatures")
    kid = jwk.get("kid", "")
    if not isinstance(kid, str):
        raise ValueError("has a kid that is not text")  # noqa: TRY004 - As above.
    try:
        key = PyJWK.from_dict({name: value for name, value in jwk.items() if name != "alg"}).key
    # Whatever is wrong inside of a key that others wrote, as a number that is none.
    except Exception:
        raise ValueError("cannot be read as a key") from None
    algorithms = _algorithms_of(key) & allowed
    if "alg" in jwk:
        algorithms &= {jwk["alg"]} if isinstance(jwk["alg"], str) else frozenset()
    if not algorithms:
        raise ValueError("is for no algorithm of the configuration")
    return VerifyingKey(kid=kid, algorithms=algorithms, key=key)


def _algorithms_of(key: Any) -> frozenset[str]:
    """Those that a public key can verify by. Raises ValueError for none."""
    if isinstance(key, rsa.RSAPublicKey):
        if not RSA_BITS_MIN <= key.key_size <= RSA_BITS_MAX:
            raise ValueError(f"is an RSA key of {key.key_size} bits; expected {RSA_BITS_MIN} to {RSA_BITS_MAX}")
        return _RSA
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES:
        return frozenset({_CURVES[key.curve.name]})
    if isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        return frozenset({"EdDSA"})
    raise ValueError("is not of a kind that signs tokens: RSA, ECDSA over P-256, P-384 or P-521, or EdDSA")


def _is_private(pem: bytes) -> bool:
    try:
        load_pem_private_key(pem, password=None)
    except (TypeError, ValueError, UnsupportedAlgorithm):
        return False
    return True
