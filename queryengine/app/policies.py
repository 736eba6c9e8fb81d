"""Row and column policies of the settings: made into rules, checked before they are used, and loaded again."""

import hashlib
import hmac
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from queryengine.app.reload import Prepared
from queryengine.domain.live_table import AskedTable
from queryengine.domain.row_policy import RelationPolicy, RowPolicy
from queryengine.engines.base import JudgedPolicy
from queryengine.policy.analyses import Analyses
from queryengine.policy.row_security.live_catalog import ExpectedTable, LiveCatalog
from queryengine.policy.row_security.policies import Policies
from queryengine.policy.row_security.rules import EnginePolicy, Relation, Rule
from queryengine.settings import Settings, SettingsError
from queryengine.settings.policies import EnginePolicySettings, path_of

SALT_CHARACTERS: Final = 32


Ask = Callable[[str, RowPolicy], Awaitable[JudgedPolicy]]
"""Has the adapter of an engine, by its name, judge a policy."""
Key = tuple[str, ...]
"""Of settings, below policies.engines."""


@dataclass(frozen=True, slots=True)
class CheckedPolicies:
    """The policies of the settings, as far as they can be checked without the engines."""

    engines: Mapping[str, EnginePolicy]
    tables: Mapping[str, Sequence[ExpectedTable]]
    """What they name, by engine."""


async def checked_policies(settings: Settings, ask: Ask) -> CheckedPolicies:
    """The policies of each engine. Raises SettingsError that names every one that cannot be used."""
    mistakes = []
    policies, tables = {}, {}
    for name, engine in settings.policies.engines.items():
        if name not in settings.engines:
            known = ", ".join(settings.engines)
            mistakes.append(_mistake(settings, f"there is no engine of this name; known engines: {known}", name))
            continue
        policies[name] = found = _engine_policy(settings, name, engine)
        whole, keys = _whole(name, found)
        judged = await ask(name, whole)
        problems = (*_problems(name, found, keys, judged), *_unapplied(name, engine))
        mistakes += [_mistake(settings, problem, *key) for key, problem in problems]
        tables[name] = _expected(settings, name, found, keys, judged)
    if mistakes:
        raise SettingsError("\n".join(mistakes))
    return CheckedPolicies(policies, tables)


class PoliciesInForce:
    """A part of the server that loads its policies again."""

    def __init__(self, policies: Policies, catalog: LiveCatalog, analyses: Analyses) -> None:
        self._policies = policies
        self._catalog = catalog
        self._analyses = analyses

    def files(self, settings: Settings) -> Iterable[Path]:  # noqa: ARG002 - The signature is the protocol's.
        return ()

    async def prepare(self, settings: Settings) -> Prepared:
        found = await checked_policies(settings, self._analyses.judged)
        return Prepared(commit=lambda: self._adopt(found))

    def _adopt(self, found: CheckedPolicies) -> None:
        self._policies.adopt(found.engines)
        self._catalog.adopt(found.tables)


def _whole(name: str, policy: EnginePolicy) -> tuple[RowPolicy, list[Key]]:
    """All rules of an engine as one policy, and the key of each of its relations."""
    keys, relations = list[Key](), list[RelationPolicy]()
    for relation in policy.relations:
        key = (name, "relations", relation.key)
        if relation.is_open:
            keys.append(key)
            relations.append(relation.as_open())
        for rule in relation.rules:
            keys.append((*key, "rules", rule.name))
            relations.append(relation.for_rule(rule))
    whole = RowPolicy(
        schema=policy.schema,
        default_open=policy.default_open,
        relations=tuple(relations),
        hash_salt=policy.hash_salt,
    )
    return whole, keys


def _problems(name: str, policy: EnginePolicy, keys: Sequence[Key], judged: JudgedPolicy) -> Iterator[tuple[Key, str]]:
    """Each with the key of what is wrong."""
    for number, problem in judged.problems:
        yield (keys[number] if number is not None else (name,)), problem
    paths = [relation.path for relation in policy.relations]
    for relation in policy.relations:
        if paths.count(relation.path) > 1:
            yield (name, "relations", relation.key), "this table is listed twice"


def _unapplied(name: str, engine: EnginePolicySettings) -> Iterator[tuple[Key, str]]:
    """Predicates that nothing would apply."""
    for key, relation in engine.relations.items():
        if (relation.enforce or engine.enforce) == "engine":
            for rule_name, rule in relation.rules.items():
                if rule.rows:
                    problem = "expected no `rows` with `enforce: engine`, as nothing applies it; use `both`"
                    yield (name, "relations", key, "rules", rule_name), problem


def _expected(
    settings: Settings, name: str, policy: EnginePolicy, keys: Sequence[Key], judged: JudgedPolicy
) -> list[ExpectedTable]:
    """The tables that an engine must have, with their places."""
    compared: dict[Key, dict[str, str]] = {}
    for number, column in judged.compared:
        compared.setdefault(keys[number][:3], {})[column] = _place(settings, *keys[number])
    found = []
    for relation in policy.relations:
        key = (name, "relations", relation.key)
        asked = AskedTable(relation.path, relation.columns, relation.enforced)
        found.append(
            ExpectedTable(
                asked=asked,
                place=_place(settings, *key),
                compared=compared.get(key, {}),
            )
        )
    return found


def _place(settings: Settings, *key: str) -> str:
    full = ("policies", "engines", *key)
    return f"{settings.origin(*full)}: {'.'.join(full)}"


def _mistake(settings: Settings, problem: str, *key: str) -> str:
    return f"{_place(settings, *key)}: {problem}"


def _engine_policy(settings: Settings, name: str, engine: EnginePolicySettings) -> EnginePolicy:
    return EnginePolicy(
        schema=engine.default_schema or _default_schema(settings, name),
        default_open=engine.default == "open",
        relations=tuple(_relations(engine)),
        hash_salt=_salt(settings, name),
    )


def _relations(engine: EnginePolicySettings) -> Iterator[Relation]:
    for name, relation in engine.relations.items():
        rules = tuple(
            Rule(
                name=rule_name,
                roles=frozenset(rule.roles),
                claims=rule.values_of_claims,
                rows=rule.rows,
                masks=dict(rule.masks),
                hidden=frozenset(rule.hidden),
            )
            for rule_name, rule in relation.rules.items()
        )
        yield Relation(
            key=name,
            path=path_of(name),
            columns=tuple(relation.columns),
            is_open=relation.open,
            enforced=not relation.open and (relation.enforce or engine.enforce) != "rewrite",
            rules=rules,
        )


def _default_schema(settings: Settings, name: str) -> str:
    engine = settings.engines[name]
    url = str(engine.options.get("url", ""))
    if engine.type == "clickhouse":
        return urlsplit(url).path.strip("/") or "default"
    if engine.type == "spark":
        return "default"
    if engine.type == "trino":
        return str(engine.options.get("schema") or "default")
    return "public" if url.startswith("postgresql") else "main"


def _salt(settings: Settings, name: str) -> str:
    """What the mask `hash` is keyed with: not the secret itself, as statements are stored and logged by engines."""
    key = settings.policies.hash_key
    if key is None:
        return ""
    return hmac.new(key.reveal().encode(), name.encode(), hashlib.sha256).hexdigest()[:SALT_CHARACTERS]
