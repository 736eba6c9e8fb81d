"""Settings of authenticators: mistakes are named with their key and line, and no key or secret is in a message."""

import json
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml

from queryengine.domain.identity import Role
from queryengine.settings import Settings, SettingsError, load
from queryengine.settings.jwt import JwtSettings
from tests.unit.jwt_keys import AUDIENCE, ED25519, ISSUER, P256, RSA, SECRET, SMALL_RSA, jwk, private_pem, public_pem

BASE = {"type": "jwt", "issuer": ISSUER, "audience": [AUDIENCE], "algorithms": ["RS256"]}


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    certificate = trustme.CA().issue_cert("issuer.test", key_type=trustme.KeyType.RSA).cert_chain_pems[0].bytes()
    contents = {
        "rsa.pem": public_pem(RSA),
        "ec.pem": public_pem(P256),
        "ed.pem": public_pem(ED25519),
        "certificate.pem": certificate,
        "private.pem": private_pem(RSA),
        "private_ec.pem": private_pem(P256),
        "small.pem": public_pem(SMALL_RSA),
        "jwk.json": json.dumps(jwk(RSA, "a")).encode(),
        "secret": SECRET.hex().encode()[:64],
        "short": SECRET.hex().encode()[:31],
        "repeating": b"abcabcabc" * 10,
        "text": b"hello",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def loaded(folder: Path, **changed: Any) -> JwtSettings:
    given = {name: value for name, value in {**BASE, **changed}.items() if value is not None}
    path = folder / "s.yaml"
    path.write_text(yaml.safe_dump({"auth": {"authenticators": [given]}}, sort_keys=False), encoding="utf-8")
    (found,) = load(str(path)).auth.authenticators
    assert isinstance(found, JwtSettings)
    return found


def file(folder: Path, name: str) -> str:
    return f"file:{folder / name}"


@pytest.mark.parametrize(
    ("name", "algorithm"),
    [
        ("rsa.pem", "RS256"),
        ("rsa.pem", "PS512"),
        ("ec.pem", "ES256"),
        ("ed.pem", "EdDSA"),
        ("certificate.pem", "RS384"),
    ],
)
def test_a_public_key_or_a_certificate_is_taken(keys: Path, name: str, algorithm: str) -> None:
    found = loaded(keys, algorithms=[algorithm], keys=[{"public_key": file(keys, name), "kid": "a"}])
    (key,) = found.verifying_keys()
    assert (key.kid, algorithm in key.algorithms) == ("a", True)


def test_a_secret_is_taken_and_shown_nowhere(keys: Path) -> None:
    found = loaded(keys, algorithms=["HS256", "HS512"], keys=[{"secret": file(keys, "secret")}])
    assert found.verifying_keys()[0].algorithms == {"HS256", "HS512"}
    secret = (keys / "secret").read_text()
    assert secret not in f"{found!r} {found} {found.model_dump_json()} {found.verifying_keys()!r}"


def test_defaults_are_the_careful_ones(keys: Path) -> None:
    found = loaded(keys, jwks_url="https://issuer.test/keys")
    assert (found.tenant_claim, found.subject_claim, found.leeway_seconds) == ("tenant", "sub", 30)
    assert set(found.default_roles) == {Role.SUBMIT, Role.READ, Role.CANCEL}
    assert Settings().auth.authenticators == ()


MISTAKES: dict[str, tuple[dict[str, Any], str, str]] = {
    "no issuer": ({"issuer": None}, "issuer", "must be set"),
    "no audience": ({"audience": None}, "audience", "must be set"),
    "empty audience": ({"audience": []}, "audience", "must not be empty"),
    "no algorithms": ({"algorithms": None}, "algorithms", "must be set"),
    "algorithm none": ({"algorithms": ["none"]}, "algorithms.0", "'HS256', 'HS384'"),
    "mixed algorithms": ({"algorithms": ["HS256", "RS256"]}, "", "HS algorithms or others, not both"),
    "neither keys nor URL": ({}, "", "expected either keys or jwks_url"),
    "both": ({"jwks_url": "https://a/", "keys": [{"public_key": "rsa.pem"}]}, "", "expected either keys or"),
    "secret and public": ({"keys": [{"secret": "secret", "public_key": "rsa.pem"}]}, "keys.0", "either secret or"),
    "a key of nothing": ({"keys": [{"kid": "a"}]}, "keys.0", "expected either secret or public_key"),
    "HS by URL": ({"algorithms": ["HS256"], "jwks_url": "https://a/"}, "", "which no URL may publish"),
    "unreadable file": ({"keys": [{"public_key": "none.pem"}]}, "keys.0.public_key", "cannot be read: No such file"),
    "a folder": ({"keys": [{"public_key": "."}]}, "keys.0.public_key", "is not a regular file"),
    "a private key": ({"keys": [{"public_key": "private.pem"}]}, "", "private.pem holds a private key"),
    "a private EC key": (
        {"algorithms": ["ES256"], "keys": [{"public_key": "private_ec.pem"}]},
        "",
        "holds a private key, which only the issuer may have",
    ),
    "no key": ({"keys": [{"public_key": "text"}]}, "", "holds no public key or certificate as PEM"),
    "a JWK": ({"keys": [{"public_key": "jwk.json"}]}, "", "holds no public key or certificate as PEM"),
    "a weak RSA key": ({"keys": [{"public_key": "small.pem"}]}, "", "RSA key of 1024 bits; expected 2048"),
    "another algorithm": ({"keys": [{"public_key": "ec.pem"}]}, "", "for other algorithms; algorithms has RS256"),
    "a secret for RS": ({"keys": [{"secret": "secret"}]}, "", "is a secret; algorithms has RS256"),
    "a short secret": ({"algorithms": ["HS256"], "keys": [{"secret": "short"}]}, "", "has 31 bytes; HS256 needs"),
    "short for one": ({"algorithms": ["HS256", "HS512"], "keys": [{"secret": "short"}]}, "", "has 31 bytes"),
    "a repeating secret": ({"algorithms": ["HS256"], "keys": [{"secret": "repeating"}]}, "", "repeats the same"),
    "a public key as secret": ({"algorithms": ["HS256"], "keys": [{"secret": "rsa.pem"}]}, "", "expected a secret"),
    "http elsewhere": ({"jwks_url": "http://issuer.test/keys"}, "jwks_url", "expected https"),
    "a user in the URL": ({"jwks_url": "https://me:hunter2@issuer.test/"}, "jwks_url", "without a user"),
    "a user in a bad URL": ({"jwks_url": "https://me:hunter2@[issuer/"}, "jwks_url", "expected a URL"),
    "a user and a bad port": ({"jwks_url": "https://me:hunter2@a:x/"}, "jwks_url", "expected a URL"),
    "another scheme": ({"jwks_url": "file:///etc/passwd"}, "jwks_url", "expected https://host/path"),
    "no CA file": ({"jwks_url": "https://a/", "jwks_ca": "/no/such.pem"}, "jwks_ca", "cannot be used: No such file"),
    "unknown role": ({"jwks_url": "https://a/", "roles": {"x": "root"}}, "roles.x", "expected 'submit', 'read'"),
    "leeway of a day": ({"jwks_url": "https://a/", "leeway_seconds": 86400}, "leeway_seconds", "at most 300"),
    "a key misspelt": ({"jwks_url": "https://a/", "isuer": "x"}, "isuer", "unknown key; did you mean issuer?"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_named_with_its_key_and_line(keys: Path, case: str) -> None:
    changed, key, expected = MISTAKES[case]
    if "keys" in changed:
        named = [
            {name: file(keys, each) if name != "kid" else each for name, each in given.items()}
            for given in changed["keys"]
        ]
        changed = {**changed, "keys": named}
    with pytest.raises(SettingsError) as refusal:
        loaded(keys, **changed)
    (line,) = str(refusal.value).splitlines()
    assert line.startswith(f"{keys / 's.yaml'}:")
    assert f"auth.authenticators.0{'.' if key else ''}{key}: " in line
    assert expected in line
    for secret in ("short", "secret", "repeating", "private.pem"):
        assert (keys / secret).read_text() not in line
    assert "hunter2" not in line


def test_the_line_is_that_of_the_key_inside_of_the_list(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(
        "auth:\n  authenticators:\n    - type: jwt\n      issuer: a\n      audience: [b]\n"
        "      algorithms: [RS256]\n      jwks_url: ftp://a\n    - type: nonne\n"
    )
    with pytest.raises(SettingsError) as refusal:
        load(str(path))
    lines = sorted(str(refusal.value).splitlines())
    assert lines[0].startswith(f"{path}:7: auth.authenticators.0.jwks_url: expected https://host/path")
    assert lines[1].startswith(f"{path}:8: auth.authenticators.1: ")


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        (["none", "jwt"], "`none` once and last"),
        (["none", "none"], "`none` once and last"),
        (["jwt", "jwt"], "one `jwt` for each issuer"),
    ],
)
def test_an_order_that_cannot_work_is_refused(tmp_path: Path, types: list[str], expected: str) -> None:
    listed = [{**BASE, "jwks_url": "https://a/"} if each == "jwt" else {"type": each} for each in types]
    path = tmp_path / "s.yaml"
    path.write_text(yaml.safe_dump({"auth": {"authenticators": listed}}))
    with pytest.raises(SettingsError, match=expected):
        load(str(path))
