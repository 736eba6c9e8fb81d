"""Keys that bound what one request and one tenant may use."""

from pydantic import Field

from queryengine.settings.group import KIB, MIB, Group


class LimitSettings(Group):
    """Bounds on requests and on what one tenant may hold."""

    request_bytes: int = Field(default=MIB, ge=KIB, description="Largest request message.")
    sql_bytes: int = Field(default=128 * KIB, ge=1, description="Longest SQL text, as UTF-8.")
    parameters: int = Field(default=1000, ge=0, description="Most parameters of one statement.")
    tenant_running: int = Field(default=10, ge=1, description="Queries of one tenant that run at a time.")
    tenant_slots_percent: int = Field(
        default=100,
        ge=1,
        le=100,
        description="Part of an engine's slots that one tenant may use, one at least, also while no other waits.",
    )
    shared_seconds: float = Field(
        default=600,
        ge=0,
        description="While a tenant that has no slot of an engine has submitted to it within this time, tenants that "
        "have one leave the last free slot; 0 leaves none.",
    )
    short_run_seconds: float = Field(
        default=30,
        ge=0,
        description="A query whose execution timeout is no longer may have the slot that is left to other tenants.",
    )
    long_run_seconds: float = Field(
        default=1800,
        gt=0,
        description="A query whose execution timeout is longer is a long run: long runs leave one slot of each engine "
        "to other queries, and those of one tenant take half of the slots at most.",
    )
    tenant_queued: int = Field(default=100, ge=0, description="Queries of one tenant that wait; more are refused.")
    tenant_streams: int = Field(
        default=20, ge=1, description="Open streams of one tenant: StreamResults, WatchStatus, WatchQueries."
    )
    queue_timeout_seconds: float = Field(
        default=600, gt=0, description="Wait for a slot when the request sets no limit."
    )
    execution_timeout_seconds: float = Field(default=1800, gt=0, description="Run time when the request sets no limit.")
    interactive_timeout_seconds: float = Field(
        default=120, gt=0, description="Longest run time of an interactive query, whatever the request sets."
    )
    priority_seconds: float = Field(
        default=60,
        ge=0,
        description="Head start in the queue of a tenant that one level of priority is worth: a query that has waited "
        "for so much longer goes first.",
    )
    wait_timeout_max_seconds: float = Field(
        default=60, ge=0, description="Longest wait inside Submit, GetStatus and Cancel."
    )
    tenant_waiting_calls: int = Field(
        default=2000,
        ge=1,
        description="Calls of one tenant that wait for their turn, or for a process that checks or decodes; "
        "more are refused.",
    )
    tenant_waiting_bytes: int = Field(
        default=32 * MIB, ge=1, description="Bytes of requests of one tenant that wait to be checked; more are refused."
    )
    check_timeout_seconds: float = Field(default=2, gt=0, description="Longest processor time to check a statement.")
    cancel_grace_seconds: float = Field(
        default=3, ge=0, description="Time an engine gets to stop a query before its worker is killed."
    )


class SandboxSettings(Group):
    """Processes without an engine, for work on other people's text and rows."""

    check_workers: int = Field(
        default=3,
        ge=2,
        le=64,
        description="Processes that check SQL: half of them take short statements only, half of the rest begin with "
        "long ones (none with 2), and the others take what needs more time. They start when they are needed.",
    )
    cut_workers: int = Field(
        default=2,
        ge=1,
        le=64,
        description="Processes that decode stored rows, for typed rows and for random access.",
    )
