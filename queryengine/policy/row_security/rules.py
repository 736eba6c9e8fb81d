"""The policies of the configuration, as values: what holds for whom."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from queryengine.domain.analysis import Name
from queryengine.domain.identity import Principal, Role
from queryengine.domain.row_policy import CLAIMS, SUBJECT, TENANT, RelationPolicy

PLACEHOLDER: Final = re.compile(r"\{(tenant|subject|claims\.[^{}'\"\s]+)\}")
OPEN_RULE: Final = "(open)"
"""What stands for the rule of a relation that is open, where rules are named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What the principals whom it is for see of a relation."""

    name: str
    roles: frozenset[Role] = frozenset()
    """One of them is enough; empty for everybody."""
    claims: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    """By claim, values of which it must have one; all claims must."""
    rows: str = ""
    masks: Mapping[str, str] = field(default_factory=dict)
    hidden: frozenset[str] = frozenset()

    def is_for(self, principal: Principal) -> bool:
        if self.roles and self.roles.isdisjoint(principal.roles):
            return False
        return all(_has(principal.claims.get(name), values) for name, values in self.claims.items())

    def placeholders(self) -> Iterator[str]:
        for text in (self.rows, *self.masks.values()):
            yield from PLACEHOLDER.findall(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """A table, and its rules in their order: the first that is for a principal applies, and no other."""

    key: str
    """In the settings."""
    path: Name
    columns: tuple[str, ...]
    is_open: bool = False
    enforced: bool = False
    """Whether the engine filters its rows, too."""
    rules: tuple[Rule, ...] = ()

    def as_open(self) -> RelationPolicy:
        return RelationPolicy(path=self.path, columns=self.columns, masks={})

    def for_rule(self, rule: Rule) -> RelationPolicy:
        return RelationPolicy(
            path=self.path,
            columns=self.columns,
            rule=rule.name,
            rows=rule.rows,
            masks=rule.masks,
            hidden=rule.hidden,
            enforced=self.enforced,
        )

    def for_principal(self, principal: Principal) -> RelationPolicy | None:
        """None where the principal may see nothing of it."""
        if self.is_open:
            return self.as_open()
        found = next((rule for rule in self.rules if rule.is_for(principal)), None)
        return self.for_rule(found) if found is not None else None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnginePolicy:
    """All policies of one engine."""

    schema: str
    default_open: bool = False
    relations: tuple[Relation, ...]
    hash_salt: str = ""

    @property
    def enforces(self) -> bool:
        """Whether the engine has to know who asks."""
        return any(relation.enforced for relation in self.relations)

    def placeholders(self) -> frozenset[str]:
        """Of all its rules."""
        return frozenset(name for relation in self.relations for rule in relation.rules for name in rule.placeholders())

    def conditions(self) -> frozenset[str]:
        """The claims on which it depends which rules apply."""
        return frozenset(name for relation in self.relations for rule in relation.rules for name in rule.claims)


def value_of(principal: Principal, placeholder: str) -> Any:
    """None when the principal has none."""
    if placeholder == TENANT:
        return principal.tenant
    if placeholder == SUBJECT:
        return principal.subject
    return principal.claims.get(placeholder.removeprefix(CLAIMS))


def _has(claim: Any, values: tuple[Any, ...]) -> bool:
    """Whether a claim, or one item of it, is one of the values; `true` is not 1."""
    items = claim if isinstance(claim, list | tuple) else [claim]
    return any(type(item) is type(value) and item == value for item in items for value in values)
