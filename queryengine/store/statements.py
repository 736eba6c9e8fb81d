"""The SQL, built with SQLAlchemy Core and compiled once per shape: writing a query costs one statement.

A compare-and-set is generated from the lifecycle table, so no statement here names a state of its own.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles

from queryengine.domain.filters import QueryFilter
from queryengine.domain.lifecycle import FINAL, TRANSITIONS, Event, QueryState, ResultState, sources
from queryengine.domain.query import VERSION_STEP
from queryengine.domain.submission import SQL_CHARACTERS_KEPT
from queryengine.domain.viewer import Viewer
from queryengine.store.prepared import Prepared
from queryengine.store.rows import ASKED, BECAME, label_line, plain
from queryengine.store.tables import HAS_ROWS, HAS_SUBJECT, IS_NAMED, IS_SHARED, QUERIES, RESULTS, SERVER, USAGE

_Q: Final = QUERIES.c
_R: Final = RESULTS.c
_READ: Final[Mapping[str, sa.ColumnElement[Any]]] = {
    **{name: _Q[name] for name in ASKED + BECAME},
    # They may be large, so they are read on their own.
    "parameters": sa.case((sa.func.length(_Q.parameters) == 0, _Q.parameters)),
}
_ALL: Final = tuple(_READ.values())
_FACTS: Final = tuple(_Q[name] for name in BECAME)
_CHARACTER_BYTES_MAX: Final = 4
# Of a long text, a listing has the beginning.
_BRIEF: Final = {
    name: sa.func.substr(_Q[name], 1, SQL_CHARACTERS_KEPT * _CHARACTER_BYTES_MAX) for name in ("sql", "executed_sql")
}
_LISTED: Final = tuple({**_READ, **_BRIEF}.values())
AFTER_ASCII: Final = "\x7f"
"""Sorts after every character of an id."""
_NEXT_VERSION: Final = (_Q.version // VERSION_STEP + 1) * VERSION_STEP

_FORGET: Final[Mapping[Event, Mapping[str, Any]]] = {
    Event.ORPHAN: {"owner": "", "start_us": None},
    Event.FAIL: {"result_state": ResultState.NONE},
    Event.CANCEL: {"result_state": ResultState.NONE},
}
"""What an event makes untrue, unless the caller says otherwise."""


def _bind(name: str) -> sa.BindParameter[Any]:
    # A value now, or compiling ahead of running refuses.
    return sa.bindparam(name, value=None)


class _position(sa.FunctionElement[int]):  # noqa: N801 - A function of SQL.
    """Where a text begins inside another, from 1 on; 0 when it is not there."""

    type = sa.Integer()
    inherit_cache = True


@compiles(_position, "sqlite")
def _instr(element: _position, compiler: Any, **options: Any) -> str:
    return f"instr({compiler.process(element.clauses, **options)})"


@compiles(_position, "postgresql")
def _strpos(element: _position, compiler: Any, **options: Any) -> str:
    return f"strpos({compiler.process(element.clauses, **options)})"


def _replacing(insert: Any, key: Sequence[str], names: Sequence[str]) -> Any:
    return insert.on_conflict_do_update(index_elements=list(key), set_={name: insert.excluded[name] for name in names})


def _same_query() -> tuple[sa.ColumnElement[bool], ...]:
    return (_Q.tenant == _bind("key_tenant"), _Q.query_id == _bind("key_query_id"))


INSERT: Final = Prepared(lambda insert: insert(QUERIES).on_conflict_do_nothing(), names=ASKED + BECAME)
# Literal, so that the planner sees that the partial indexes apply.
_HAS_SUBJECT: Final = sa.text(HAS_SUBJECT)


class _is_shared(sa.ColumnElement[Any]):  # noqa: N801 - A condition of SQL.
    """Whether a query carries the label that shares it."""

    # Not as a value, which SQLAlchemy would compare with 1.
    type = sa.types.NULLTYPE
    inherit_cache = True


@compiles(_is_shared)
def _is_shared_by(_: _is_shared, compiler: Any, **__: Any) -> str:
    return IS_SHARED[compiler.dialect.name]


def _seen(subject: sa.ColumnElement[Any], *, shared: bool) -> sa.ColumnElement[bool]:
    """Condition of the queries that a viewer of a subject sees."""
    own = sa.and_(_Q.subject == subject, _HAS_SUBJECT)
    return sa.or_(own, _is_shared()) if shared else own


GET: Final = Prepared(sa.select(*_ALL).where(*_same_query()))
GET_SEEN: Final = {
    shared: Prepared(sa.select(*_ALL).where(*_same_query(), _seen(_bind("seen_subject"), shared=shared)))
    for shared in (False, True)
}
"""By whether the viewer sees shared queries."""
PARAMETERS: Final = Prepared(sa.select(_Q.parameters).where(*_same_query()))
RECOVER: Final = Prepared(sa.update(QUERIES).where(_Q.end_us.is_(None)).values(version=_NEXT_VERSION).returning(*_ALL))
EXPIRING: Final = Prepared(
    sa.select(*_ALL)
    # Literal, so that the planner sees that the partial index applies.
    .where(sa.text(HAS_ROWS), _Q.expire_us <= _bind("now_us"))
    .order_by(_Q.expire_us)
    .limit(_bind("count"))
)
EXECUTION_TIMES: Final = Prepared(
    sa.select(
        _Q.engine,
        _Q.tenant,
        _Q.subject,
        _Q.query_hash,
        _Q.end_us - _Q.start_us,
        # A result that was cut says nothing of the next one.
        sa.case((_Q.truncation.is_(None), _Q.rows)),
        # What was read counts rows that policies hide.
        sa.case((_Q.policy_version == "", _Q.bytes_scanned)),
    )
    .where(_Q.state == QueryState.COMPLETED, _Q.end_us.is_not(None))
    .order_by(_Q.end_us.desc())
    .limit(_bind("count"))
)
DELETE_ENDED: Final = Prepared(
    sa.delete(QUERIES)
    .where(
        sa.tuple_(_Q.tenant, _Q.query_id).in_(
            sa.select(_Q.tenant, _Q.query_id)
            .where(_Q.end_us < _bind("ended_before_us"), sa.text(f"NOT {HAS_ROWS}"))
            .order_by(_Q.end_us)
            .limit(_bind("count"))
        )
    )
    .returning(_Q.tenant, _Q.record_bytes)
)
DELETE_OLDEST_OF: Final = Prepared(
    sa.delete(QUERIES)
    .where(
        sa.tuple_(_Q.tenant, _Q.query_id).in_(
            sa.select(_Q.tenant, _Q.query_id)
            .where(_Q.tenant == _bind("tenant"), _Q.end_us < _bind("ended_before_us"), sa.text(f"NOT {HAS_ROWS}"))
            .order_by(_Q.submit_us)
            .limit(_bind("count"))
        )
    )
    .returning(_Q.tenant, _Q.record_bytes)
)
ADD_RESULT: Final = Prepared(
    # Whoever completes a query decides what its result is, whatever a damaged record has by that name.
    lambda insert: _replacing(insert(RESULTS), ("tenant", "result_id"), ("bytes", "created_us", "payload")),
    names=("tenant", "result_id", "bytes", "created_us", "payload"),
)
DROP_RESULT: Final = Prepared(
    # With its last reference gone.
    sa.delete(RESULTS)
    .where(
        _R.tenant == _bind("key_tenant"),
        _R.result_id == _bind("key_result_id"),
        ~sa.exists().where(_Q.tenant == _R.tenant, _Q.result_id == _R.result_id, sa.text(HAS_ROWS)),
    )
    # Not `payload IS NOT NULL`, which SQLite 3.40 answers wrongly here.
    .returning(sa.func.length(_R.payload))
)
PAYLOAD: Final = Prepared(
    sa.select(_R.payload).where(_R.tenant == _bind("key_tenant"), _R.result_id == _bind("key_result_id"))
)
PAYLOAD_BYTES: Final = Prepared(
    sa.select(_R.tenant, sa.cast(sa.func.sum(_R.bytes), sa.BigInteger))
    .where(_R.payload.is_not(None))
    .group_by(_R.tenant)
)
STORED_BYTES: Final = Prepared(
    sa.select(_Q.tenant, _Q.subject, _Q.api_key, sa.cast(sa.func.sum(_Q.bytes), sa.BigInteger))
    .where(sa.text(HAS_ROWS))
    .group_by(_Q.tenant, _Q.subject, _Q.api_key)
)
USED: Final = Prepared(sa.select(USAGE.c.tenant, USAGE.c.bytes))
MOVE_IN: Final = Prepared(
    lambda insert: (
        insert(SERVER)
        .values(id=1, owner=_bind("owner"), beats=0)
        .on_conflict_do_update(index_elements=["id"], set_={"owner": _bind("owner")})
    )
)
BEAT: Final = Prepared(sa.update(SERVER).values(beats=SERVER.c.beats + 1))
COUNT_TRANSACTION: Final = Prepared(
    sa.update(SERVER).where(SERVER.c.owner == _bind("owner")).values(beats=SERVER.c.beats + 1).returning(SERVER.c.beats)
)
COUNTED: Final = Prepared(sa.select(SERVER.c.owner, SERVER.c.beats).with_for_update())


@lru_cache(maxsize=256)
def advance(event: Event, seen: QueryState, names: frozenset[str]) -> Prepared:
    """Compare-and-set for an event, from the state the caller saw and, once it runs, from the attempt it saw.

    Bind key_tenant, key_query_id, key_attempt and the changed columns, and failure_bytes for an event that ends the
    query: with its end, its parameters go, and it counts for less. `names` may have the result_id of a completion.
    """
    where = [*_same_query(), _Q.state.in_(sorted(sources(event))), _Q.state == seen]
    if seen is not QueryState.QUEUED:
        where.append(_Q.attempt == _bind("key_attempt"))
    if event is Event.ORPHAN:
        # Rows that somebody may have read are never produced a second time.
        where.append(_Q.first_page_us.is_(None))
    values: dict[str, Any] = {**_FORGET.get(event, {}), **_bound(names)}
    values |= {"state": TRANSITIONS[seen, event], "version": _NEXT_VERSION}
    if event is Event.CLAIM:
        values["attempt"] = _Q.attempt + 1
    if TRANSITIONS[seen, event] in FINAL:
        left = _Q.record_bytes - sa.func.length(_Q.parameters) + _bind("failure_bytes")
        values |= {"parameters": b"", "record_bytes": sa.case((left > 0, left), else_=0)}
    return Prepared(sa.update(QUERIES).where(*where).values(values).returning(*_FACTS))


@lru_cache(maxsize=256)
def update(
    names: frozenset[str],
    states: frozenset[QueryState] | None,
    result_states: frozenset[ResultState] | None,
    same_attempt: bool,
) -> Prepared:
    """Change facts that are no step of life, where the conditions hold. Bind as for `advance`."""
    where = list(_same_query())
    if same_attempt:
        where += [_Q.attempt == _bind("key_attempt"), _Q.state != QueryState.QUEUED]
    if states is not None:
        where.append(_Q.state.in_(sorted(states)))
    if result_states is not None:
        where.append(_Q.result_state.in_(sorted(result_states)))
    if "cancel_us" in names:
        # The first wish to cancel is the one that is remembered.
        where.append(_Q.cancel_us.is_(None))
    return Prepared(
        sa.update(QUERIES).where(*where).values({**_bound(names), "version": _NEXT_VERSION}).returning(*_FACTS)
    )


def listing(
    tenant: str,
    wanted: QueryFilter,
    *,
    before: tuple[int, str] | None,
    ended_since_us: int,
    now_us: int,
    limit: int,
) -> sa.Select[Any] | sa.CompoundSelect[Any]:
    """Newest first, with the beginning of their SQL; `before` is the (submit_us, query_id) of the last one that was
    seen. Of those that ended before `ended_since_us` only the ones that have rows which can be read at `now_us`.
    """
    conditions = [_Q.tenant == tenant, *_matching(wanted)]
    if ended_since_us:
        has_rows = sa.and_(sa.text(HAS_ROWS), sa.or_(_Q.expire_us.is_(None), _Q.expire_us > now_us))
        conditions.append(sa.or_(_Q.end_us.is_(None), _Q.end_us >= ended_since_us, has_rows))
    if before is not None:
        conditions.append(sa.tuple_(_Q.submit_us, _Q.query_id) < (before[0], plain(before[1])))
    # Each part has an index that holds it in order, so that as much of it is read as the limit takes.
    parts = [part.where(*conditions) for part in _parts_seen(wanted.seen_by)]
    select = parts[0] if len(parts) == 1 else sa.union_all(*parts)
    return select.order_by(sa.desc("submit_us"), sa.desc("query_id")).limit(limit)


def _matching(wanted: QueryFilter) -> Iterator[sa.ColumnElement[bool]]:
    """Conditions of all that a filter gives, but for whom the queries are."""
    if wanted.states:
        yield _Q.state.in_(sorted(wanted.states))
    if wanted.engine:
        yield _Q.engine == plain(wanted.engine)
    if wanted.subject:
        yield _Q.subject == plain(wanted.subject)
    if wanted.submitted_from_us is not None:
        yield _Q.submit_us >= wanted.submitted_from_us
    if wanted.submitted_before_us is not None:
        yield _Q.submit_us < wanted.submitted_before_us
    if prefix := wanted.query_id_prefix:
        # A range, which the primary key finds; ids are ASCII.
        yield _Q.query_id >= prefix
        yield _Q.query_id < prefix + AFTER_ASCII
    if wanted.named_query:
        # Literal, so that the planner sees that the partial index applies.
        yield sa.literal_column(IS_NAMED)
        if "@" in wanted.named_query:
            yield _Q.named_query == wanted.named_query
        else:
            yield _Q.named_query >= f"{wanted.named_query}@"
            yield _Q.named_query < f"{wanted.named_query}@{AFTER_ASCII}"
    for key, value in wanted.labels.items():
        yield _position(_Q.labels, label_line(key, value)) > 0


def _parts_seen(viewer: Viewer | None) -> list[sa.Select[Any]]:
    """What a viewer sees, in parts that have no query in common: its own, and those of others that are shared."""
    listed = sa.select(*_LISTED)
    if viewer is None:
        return [listed]
    subject = sa.literal(plain(viewer.subject), sa.Text())
    parts = [listed.where(_Q.subject == subject, _HAS_SUBJECT)] if viewer.subject else []
    if viewer.sees_shared:
        shared = listed.where(_is_shared())
        parts.append(shared.where(_Q.subject != subject) if viewer.subject else shared)
    return parts or [listed.where(sa.false())]


def holding_rows(query_ids: Sequence[str]) -> sa.Select[Any]:
    """Of these ids, the queries that have not ended and those with rows on disk."""
    holds = sa.or_(_Q.end_us.is_(None), sa.text(HAS_ROWS))
    return sa.select(_Q.tenant, _Q.query_id).where(_Q.query_id.in_(query_ids), holds)


def holding_results(result_ids: Sequence[str]) -> sa.CompoundSelect[Any]:
    """Of these names of results, those that a query refers to and those that a running one writes."""
    own = _Q.query_id + "." + sa.cast(_Q.attempt, sa.Text)
    referred = sa.select(_Q.tenant, _Q.result_id).where(_Q.result_id.in_(result_ids), sa.text(HAS_ROWS))
    written = sa.select(_Q.tenant, own).where(_Q.end_us.is_(None), own.in_(result_ids))
    return sa.union(referred, written)


def _bound(names: Iterable[str]) -> dict[str, Any]:
    return {name: _bind(name) for name in names}
