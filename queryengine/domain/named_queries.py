"""Named queries: SQL text under a name, in versions that never change. Times are microseconds since 1970."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from queryengine.domain.identity import Principal, Role

NAMES_MAX: Final = 1_000
"""Named queries of one tenant that are not deleted."""
DELETED_NAMES_MAX: Final = 10_000
"""Deleted names of one tenant whose last version number is remembered; those that were deleted first are forgotten."""
VERSIONS_MAX: Final = 1_000
TAGS_MAX: Final = 50
PARAMETERS_MAX: Final = 100
DEFINITION_BYTES_MAX: Final = 64 << 20
"""All versions of all named queries of one tenant."""
VERSION_BYTES: Final = 1024
"""What a version takes beside its texts and parameters."""

LATEST: Final = "latest"
NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,99}")
TAG: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,49}")
VERSION: Final = re.compile(r"[1-9][0-9]{0,17}")


@dataclass(frozen=True, slots=True)
class Reference:
    """What `report`, `report@prod` or `report@7` stands for."""

    name: str
    tag: str = LATEST
    version: int | None = None
    """In place of the tag."""

    @classmethod
    def of(cls, text: str) -> "Reference | None":
        """None for what is no reference."""
        name, at, which = text.partition("@")
        if not NAME.fullmatch(name):
            return None
        if not at:
            return cls(name)
        if VERSION.fullmatch(which):
            return cls(name, version=int(which))
        return cls(name, which) if TAG.fullmatch(which) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """What one version holds."""

    sql: str
    parameters: bytes = b""
    """Their declarations, as an encoded NamedQueryDefinition of the contract that holds nothing else; opaque to the
    store. Defaults are of the declared type."""
    is_positional: bool = False
    """The placeholders of the text have no names, so values are bound in the order of the declarations."""
    description: str = ""
    owner: str = ""
    """For people: who looks after it."""
    engine: str = ""
    catalog: str = ""
    schema: str = ""
    session_settings: Mapping[str, str] = field(default_factory=dict)
    execution_timeout_ms: int | None = None
    row_limit: int = 0
    """0 means none."""
    cache_max_age_ms: int | None = None
    roles: frozenset[Role] = frozenset()
    """Who may run it; empty for everybody who may submit."""

    def record_bytes(self) -> int:
        """About what a version with this definition takes in the store."""
        texts = [self.sql, self.description, self.owner, self.catalog, self.schema]
        texts += [*self.session_settings, *self.session_settings.values()]
        return VERSION_BYTES + len(self.parameters) + sum(len(text.encode("utf-8", "replace")) for text in texts)


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedQuery:
    """A name, and what changes about it."""

    tenant: str
    name: str
    latest: int
    """Number of the newest version."""
    tags: Mapping[str, int] = field(default_factory=dict)
    roles: frozenset[Role] = frozenset()
    """Those of the newest version, which hold for all versions."""
    delete_us: int | None = None
    """When it was deleted; None while it is not."""

    def may_run(self, principal: Principal) -> bool:
        """Whether its roles allow that, beside what every submission takes."""
        return not self.roles or not self.roles.isdisjoint(principal.roles)

    def version_of(self, reference: Reference) -> int | None:
        """The number that a reference of this name stands for; None for an unknown tag."""
        if reference.version is not None:
            return reference.version
        return self.latest if reference.tag == LATEST else self.tags.get(reference.tag)


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of a named query."""

    number: int
    definition: Definition
    created_us: int
    created_by: str = ""
    """The subject that made it; empty when that is not known."""


@dataclass(frozen=True, slots=True)
class Found:
    """A named query in one of its versions."""

    named: NamedQuery
    version: Version

    @property
    def reference(self) -> str:
        return f"{self.named.name}@{self.version.number}"
