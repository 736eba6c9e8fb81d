"""The policies in force, as they resolve for principals. What was resolved is remembered for those who come again."""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Self

from queryengine.domain.analysis import Name, Policed
from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.domain.identity import Principal
from queryengine.domain.query import Query
from queryengine.domain.row_policy import Condition, RelationPolicy, RowPolicy
from queryengine.policy.row_security.rules import OPEN_RULE, PLACEHOLDER, EnginePolicy, value_of

PROFILES_MAX: Final = 64
"""Different choices of rules that are remembered of one engine; most principals share a few."""
VERSION_CHARACTERS: Final = 32
OF_DECISION: Final = "-"
"""In a version, before what a decision point has added to it."""


class Profile:
    """The rules that apply to a group of principals, who differ in the values of their placeholders only."""

    def __init__(self, policy: RowPolicy, *, enforces: bool) -> None:
        """`enforces`: the engine has to know who asks."""
        self.policy = policy
        self.enforces = enforces
        self.encoded = policy.encode()
        self.digest = hashlib.sha256(self.encoded).hexdigest()
        self.by_path: Mapping[Name, RelationPolicy] = {each.path: each for each in policy.relations}

    @classmethod
    def of(cls, engine: EnginePolicy, principal: Principal) -> Self:
        found = [(each, each.for_principal(principal)) for each in engine.relations]
        policy = RowPolicy(
            schema=engine.schema,
            default_open=engine.default_open,
            relations=tuple(policy for _, policy in found if policy is not None),
            closed=tuple(each.path for each, policy in found if policy is None),
            hash_salt=engine.hash_salt,
        )
        return cls(policy, enforces=engine.enforces)


@dataclass(frozen=True, slots=True)
class EffectivePolicy:
    """What one principal may see of one engine."""

    profile: Profile
    values: Mapping[str, Any]
    schema: str
    """Of a table that a statement names without one."""
    tenant: str = ""
    """Of the principal: what is remembered of a text tells tenants apart, so that none learns what another has sent."""
    configured: Profile | None = None
    """The rules of the settings, where a decision point demands more for one query."""

    def narrowed(self, conditions: Mapping[Name, tuple[Condition, ...]]) -> "EffectivePolicy":
        """The same with further conditions on rows, by table."""
        relations = tuple(
            replace(each, conditions=conditions.get(each.path, ())) for each in self.profile.policy.relations
        )
        profile = Profile(replace(self.profile.policy, relations=relations), enforces=self.profile.enforces)
        return replace(self, profile=profile, configured=self.profile)

    @property
    def key(self) -> str:
        """Equal for principals of one tenant who see the same, and for no others."""
        facts = [self.tenant, self.schema, self.values]
        return f"{self.profile.digest}{json.dumps(facts, sort_keys=True, default=str)}"

    def policed(self, sql: str, relations: Iterable[Name], unlisted: Iterable[Name] = ()) -> Policed:
        """What is recorded of a text that runs in place of another. `unlisted` are tables that it reads and that no
        policy names.
        """
        paths = sorted(relations)
        version = self.version(paths)
        assert version is not None, "a text reads only what its principal may see"
        if self.configured is not None:
            # Whoever is shown other rows by a decision point sees something else.
            version += OF_DECISION + _hashed([self.profile.by_path[path].to_json() for path in paths])
        names = tuple(name_of(self.profile.by_path[path]) for path in paths)
        by_path = self.profile.by_path
        enforced = tuple(path for path in paths if by_path[path].enforced) if self.profile.enforces else None
        return Policed(
            sql=sql,
            version=version,
            policies=names,
            relations=tuple(paths),
            unlisted=tuple(unlisted),
            enforced=enforced,
        )

    def version(self, relations: Iterable[Name]) -> str | None:
        """Of what the principal sees of these relations by the settings; None when it may not see one of them."""
        profile = self.configured or self.profile
        parts = []
        for path in sorted(relations):
            relation = profile.by_path.get(path)
            if relation is None:
                return None
            texts = (relation.rows, *relation.masks.values())
            used = sorted({name for text in texts for name in PLACEHOLDER.findall(text)})
            parts.append([relation.to_json(), {name: self.values.get(name) for name in used}])
        policy = profile.policy
        # A table that was open as none named it is in no list of what was read; it may be named now.
        named = sorted([*profile.by_path, *policy.closed]) if policy.default_open else []
        shared = [policy.default_open, policy.hash_salt, named]
        return _hashed([parts, shared])


class Policies:
    """Of all engines that have some."""

    def __init__(self, engines: Mapping[str, EnginePolicy], decided: Callable[[Principal], str] = lambda _: "") -> None:
        """`decided`: what the plan of a query has of its principal where a decision point decides; else empty."""
        self._engines: dict[str, _Engine] = {}
        self._decided = decided
        self.adopt(engines)

    def adopt(self, engines: Mapping[str, EnginePolicy]) -> None:
        """Use these from now on."""
        self._engines = {name: _Engine(each) for name, each in engines.items()}

    def of(self, engine: str, principal: Principal, *, catalog: str = "", schema: str = "") -> EffectivePolicy | None:
        """What a principal may see of an engine; None when the engine has no policies. `catalog` and `schema` are those
        in which a submission wants its names to be looked up. Raises UNSUPPORTED for a catalog.
        """
        found = self._engines.get(engine)
        if found is None:
            return None
        if catalog:
            message = f"engine {engine!r} has row policies, and with them no choice of a catalog; leave it out"
            raise error(Reason.UNSUPPORTED, message, engine=engine, feature="catalog")
        return found.of(principal, schema)

    def require_same(self, principal: Principal, query: Query) -> None:
        """Raises RESULT_RESTRICTED unless the principal sees, of the tables that a query read, what the query saw."""
        plan = query.plan
        if plan.decided_for != self._decided(principal):
            raise _restricted()
        effective = self.of(plan.engine, principal)
        if effective is None:
            if plan.policy_version:
                raise _restricted()
            return
        relations = {name.rpartition(":")[0] for name in plan.row_policies}
        paths = [path for path in effective.profile.by_path if ".".join(path) in relations]
        if (
            len(paths) != len(plan.row_policies)
            or effective.version(paths) != plan.policy_version.partition(OF_DECISION)[0]
        ):
            raise _restricted()


def _hashed(parts: Any) -> str:
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:VERSION_CHARACTERS]


def _restricted() -> QueryEngineError:
    message = (
        "the rows were made under other row and column policies than those that hold for the caller; submit the query "
        "again"
    )
    return error(Reason.RESULT_RESTRICTED, message)


class _Engine:
    def __init__(self, policy: EnginePolicy) -> None:
        self._policy = policy
        self._placeholders = sorted(policy.placeholders())
        self._conditions = sorted(policy.conditions())
        self._profiles: OrderedDict[str, Profile] = OrderedDict()

    def of(self, principal: Principal, schema: str) -> EffectivePolicy:
        claims = [principal.claims.get(name) for name in self._conditions]
        key = json.dumps([sorted(principal.roles), claims], default=str)
        profile = self._profiles.get(key)
        if profile is None:
            profile = self._profiles[key] = Profile.of(self._policy, principal)
            if len(self._profiles) > PROFILES_MAX:
                self._profiles.popitem(last=False)
        else:
            self._profiles.move_to_end(key)
        values = {name: value_of(principal, name) for name in self._placeholders}
        known = {name: value for name, value in values.items() if value is not None}
        return EffectivePolicy(profile, known, schema or self._policy.schema, principal.tenant)


def name_of(relation: RelationPolicy) -> str:
    return f"{'.'.join(relation.path)}:{relation.rule or OPEN_RULE}"
