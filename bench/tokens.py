"""What verified callers cost: a warm SELECT 1 with a token beside one without, on one server.

    python -m bench.tokens [--fast]

The server takes JSON Web Tokens (`jwt`, RS256) and calls without any (`none`). Blocks of calls of each kind alternate,
so that a busy machine is busy for all; times are those of single calls, one at a time, and core-milliseconds those of
the server process. A service sends one token with many calls, which the server then remembers; the last line has
another token in each call, which is verified each time. The calls differ in nothing else.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import grpc
import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bench.running import Program, machine, server
from queryengine.v1 import query_service_pb2 as pb
from queryengine.v1 import query_service_pb2_grpc as pb_grpc

ISSUER: Final = "https://issuer.test/"
AUDIENCE: Final = "queryengine"
TARGET_MS: Final = 0.5
Metadata = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Side:
    """Calls of one kind, and what they took."""

    name: str
    program: Program
    stub: pb_grpc.QueryServiceStub
    metadata: Callable[[], Metadata]
    milliseconds: list[float] = field(default_factory=list)
    core_seconds: float = 0.0

    def run(self, count: int) -> None:
        request = pb.SubmitRequest(sql="SELECT 1")
        request.wait_timeout.seconds = 10
        presented = [self.metadata() for _ in range(count)]
        before, _ = self.program.core_seconds()
        for metadata in presented:
            begin = time.perf_counter()
            reply = self.stub.Submit(request, metadata=metadata)
            self.milliseconds.append((time.perf_counter() - begin) * 1e3)
            assert reply.pages[0].row_count == 1, reply
        after, _ = self.program.core_seconds()
        self.core_seconds += after - before

    def forget(self) -> None:
        """Leave out what has been measured so far."""
        self.milliseconds, self.core_seconds = [], 0.0

    def show(self, beside: "Side | None" = None) -> float:
        """Print the figures, and how much they are above those of another side; returns that of p50."""
        p50, core = statistics.median(self.milliseconds), self.core_seconds / len(self.milliseconds) * 1e3
        line = f"{self.name:<40}p50 {p50:.3f} ms, {core:.3f} core-ms"
        added = 0.0
        if beside is not None:
            its_core = beside.core_seconds / len(beside.milliseconds) * 1e3
            added = p50 - statistics.median(beside.milliseconds)
            line += f"   adds {added:+.3f} ms, {core - its_core:+.3f} core-ms"
        print(line, flush=True)
        return added


def tokens(key: rsa.RSAPrivateKey) -> Iterator[str]:
    """One after another, each different."""
    number = 0
    while True:
        number += 1
        now = int(time.time())  # noqa: TID251 - A token says when it was made.
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "bench", "tenant": "bench", "iat": now, "exp": now + 3600}
        yield jwt.encode({**claims, "jti": str(number), "roles": ["submit", "read"]}, key, algorithm="RS256")


def as_metadata(token: str) -> Metadata:
    return (("authorization", f"Bearer {token}"),)


def settings_of(folder: Path, key: rsa.RSAPrivateKey) -> dict[str, Any]:
    """Of a server that takes tokens, and calls without one."""
    path = folder / "public.pem"
    path.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    issuer = {"type": "jwt", "issuer": ISSUER, "audience": [AUDIENCE], "algorithms": ["RS256"]}
    return {"auth": {"authenticators": [{**issuer, "keys": [{"public_key": f"file:{path}"}]}, {"type": "none"}]}}


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what verified callers cost.")
    parser.add_argument("--fast", action="store_true", help="fewer calls")
    rounds, count = (10, 100) if parser.parse_args().fast else (40, 200)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    made = tokens(key)
    remembered = as_metadata(next(made))
    print(machine())
    with (
        tempfile.TemporaryDirectory() as folder,
        server(groups=settings_of(Path(folder), key)) as (process, address),
        grpc.insecure_channel(address) as channel,
    ):
        stub = pb_grpc.QueryServiceStub(channel)
        none = Side("none", process, stub, lambda: (("x-tenant-id", "bench"),))
        with_token = Side("jwt, a token that is remembered", process, stub, lambda: remembered)
        with_others = Side("jwt, another token in each call", process, stub, lambda: as_metadata(next(made)))
        sides = (none, with_token, with_others)
        for side in sides:
            side.run(count)
            side.forget()
        for number in range(rounds):
            # Each is first, second and last equally often.
            for position in range(len(sides)):
                sides[(number + position) % len(sides)].run(count)
        none.show()
        added = with_token.show(none)
        with_others.show(none)
        print(f"target, a remembered token adds less than {TARGET_MS} ms: {'met' if added < TARGET_MS else 'missed'}")


if __name__ == "__main__":
    main()
