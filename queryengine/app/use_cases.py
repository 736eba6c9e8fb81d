"""What a client may do with queries, made from the rooms below. Every edge is given these and nothing else."""

from dataclasses import dataclass

from queryengine.accepting.admitting import Admitting
from queryengine.accepting.cancelling import Cancelling
from queryengine.accepting.explaining import Explaining
from queryengine.accepting.known import Known
from queryengine.accepting.listing import Listing
from queryengine.accepting.looking import Looking
from queryengine.accepting.named import NamedQueries
from queryengine.accepting.recording import Recording
from queryengine.accepting.releasing import Releasing
from queryengine.accepting.submitting import Submitting
from queryengine.accepting.unread import Unread
from queryengine.accepting.usage import UsageReport
from queryengine.app.execution import Execution
from queryengine.app.named import Named
from queryengine.app.reading import Reading
from queryengine.app.shared import Shared
from queryengine.app.state import State
from queryengine.policy.limits.rates import SubmitRates
from queryengine.policy.planner import Planner
from queryengine.policy.row_security.policies import Policies


@dataclass(frozen=True, slots=True, kw_only=True)
class UseCases:
    """The use cases of one server. Tenant first, everywhere."""

    submitting: Submitting
    explaining: Explaining
    looking: Looking
    listing: Listing
    cancelling: Cancelling
    releasing: Releasing
    usage: UsageReport
    admitting: Admitting
    recording: Recording
    named: NamedQueries


def make_use_cases(
    planner: Planner,
    execution: Execution,
    reading: Reading,
    state: State,
    shared: Shared,
    *,
    policies: Policies,
    named: Named,
) -> UseCases:
    store, registry, clock = state.store, shared.registry, shared.clock
    looking = Looking(registry, policies)
    cancelling = Cancelling(looking=looking, store=store, scheduler=execution.scheduler, clock=clock)
    admitting = Admitting(
        limits=shared.limits,
        rates=SubmitRates(clock.monotonic),
        quota=state.quota,
        records=state.records,
        dispatcher=execution.dispatcher,
    )
    recording = Recording(
        store=store,
        registry=registry,
        dispatcher=execution.dispatcher,
        scheduler=execution.scheduler,
        unread=Unread(cancelling, shared.tasks),
        metrics=shared.metrics,
    )
    submitting = Submitting(
        known=Known(registry, store, state.results.may_hold),
        resolving=named.resolving,
        admitting=admitting,
        planner=planner,
        recording=recording,
        fetching=reading.fetching,
        policies=policies,
        clock=clock,
    )
    explaining = Explaining(
        admitting=admitting,
        resolving=named.resolving,
        planner=planner,
        past=execution.past,
        engine_plans=execution.engine_plans,
    )
    releasing = Releasing(looking=looking, store=store, lifetimes=shared.lifetimes, removal=state.removal, clock=clock)
    return UseCases(
        usage=UsageReport(store.ledger, clock),
        submitting=submitting,
        explaining=explaining,
        looking=looking,
        listing=Listing(store=store, registry=registry, lifetimes=shared.lifetimes),
        cancelling=cancelling,
        releasing=releasing,
        admitting=admitting,
        recording=recording,
        named=named.queries,
    )
