"""Which version of a named query a reference stands for, from memory.

Names and versions are read from the record when they are first asked for. A server that changes a named query forgets
what it remembers of it before the call that did so is answered; the record has one server, so nobody else changes it.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from queryengine.codec.declarations import Declarations
from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.domain.named_queries import Definition, Found, NamedQuery, Reference, Version
from queryengine.store.named import NamedQueryStore

NAMES_MAX: Final = 10_000
VERSIONS_BYTES_MAX: Final = 32 << 20

Key = tuple[str, str]
"""The tenant and the name."""


@dataclass(frozen=True, slots=True)
class Runnable:
    """A version of a named query, ready to run."""

    found: Found
    declarations: Declarations

    @property
    def definition(self) -> Definition:
        return self.found.version.definition


class NamedIndex:
    """Of all tenants; what was not used for longest is forgotten first."""

    def __init__(
        self, store: NamedQueryStore, *, names_max: int = NAMES_MAX, bytes_max: int = VERSIONS_BYTES_MAX
    ) -> None:
        self._store = store
        self._names_max = names_max
        self._bytes_max = bytes_max
        self._bytes = 0
        self._changes = 0
        """Of what is in the record, so that nothing is remembered that was read before a change."""
        self._names: OrderedDict[Key, NamedQuery] = OrderedDict()
        self._versions: OrderedDict[tuple[Key, int], tuple[Version, Declarations]] = OrderedDict()

    def remembered(self, tenant: str, reference: Reference) -> Runnable | None:
        """What is in memory. Raises NAMED_QUERY_NOT_FOUND for a tag that is known not to be there."""
        named = self._names.get((tenant, reference.name))
        if named is None:
            return None
        self._names.move_to_end((tenant, reference.name))
        key = (tenant, reference.name), _number(named, reference)
        found = self._versions.get(key)
        if found is None:
            return None
        self._versions.move_to_end(key)
        return Runnable(Found(named, found[0]), found[1])

    async def find(self, tenant: str, reference: Reference) -> Runnable:
        """Raises NAMED_QUERY_NOT_FOUND."""
        found = self.remembered(tenant, reference)
        return found if found is not None else await self._read(tenant, reference)

    def forget(self, tenant: str, name: str) -> None:
        """Once a change of it is in the record."""
        self._changes += 1
        key = tenant, name
        named = self._names.pop(key, None)
        if named is not None:
            # Its numbers begin again from 1 if it is deleted and its last one is forgotten.
            for number in range(1, named.latest + 1):
                self._drop((key, number))

    async def _read(self, tenant: str, reference: Reference) -> Runnable:
        changes, key = self._changes, (tenant, reference.name)
        named = await self._store.get(tenant, reference.name)
        if named is None:
            raise not_found()
        number = _number(named, reference)
        version = await self._store.version(named, number)
        if version is None:
            raise not_found()
        declarations = Declarations.of(version.definition.parameters)
        if changes == self._changes:
            self._names[key] = named
            if len(self._names) > self._names_max:
                self.forget(*next(iter(self._names)))
            self._keep((key, number), version, declarations)
        return Runnable(Found(named, version), declarations)

    def _keep(self, key: tuple[Key, int], version: Version, declarations: Declarations) -> None:
        self._drop(key)
        self._versions[key] = version, declarations
        self._bytes += version.definition.record_bytes()
        while self._bytes > self._bytes_max:
            self._drop(next(iter(self._versions)))

    def _drop(self, key: tuple[Key, int]) -> None:
        found = self._versions.pop(key, None)
        if found is not None:
            self._bytes -= found[0].definition.record_bytes()


def _number(named: NamedQuery, reference: Reference) -> int:
    number = named.version_of(reference)
    if number is None:
        raise not_found()
    return number


def not_found() -> QueryEngineError:
    return error(Reason.NAMED_QUERY_NOT_FOUND, "no such named query, version or tag, or none that the caller may run")
