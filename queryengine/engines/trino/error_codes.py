"""Trino's error codes as reasons: by name, else by the type that Trino gives each of them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from queryengine.domain.errors import Reason

_NAMES: Final[Mapping[Reason, str]] = MappingProxyType(
    {
        Reason.SYNTAX_ERROR: "SYNTAX_ERROR",
        Reason.STATEMENT_TOO_COMPLEX: (
            "STACK_OVERFLOW QUERY_TEXT_TOO_LARGE QUERY_HAS_TOO_MANY_STAGES QUERY_EXCEEDED_COMPILER_LIMIT "
            "OPTIMIZER_TIMEOUT"
        ),
        Reason.STATEMENT_NOT_ALLOWED: "READ_ONLY_VIOLATION",
        # Limits that the session sets, and a kind of table that a connector does not read.
        Reason.STATEMENT_REJECTED: "EXCEEDED_SCAN_LIMIT EXCEEDED_CPU_LIMIT UNSUPPORTED_TABLE_TYPE",
        Reason.QUERY_TIMEOUT: "EXCEEDED_TIME_LIMIT",
        Reason.ROW_TOO_LARGE: "PAGE_TOO_LARGE",
        Reason.OUT_OF_MEMORY: (
            "GENERIC_INSUFFICIENT_RESOURCES EXCEEDED_GLOBAL_MEMORY_LIMIT EXCEEDED_LOCAL_MEMORY_LIMIT "
            "EXCEEDED_FUNCTION_MEMORY_LIMIT EXCEEDED_TASK_DESCRIPTOR_STORAGE_CAPACITY EXCEEDED_SPILL_LIMIT "
            "CLUSTER_OUT_OF_MEMORY OUT_OF_SPILL_SPACE"
        ),
        # A node that went or is busy, or a query that Trino gave up because it believed its client gone.
        Reason.ENGINE_UNAVAILABLE: (
            "ABANDONED_QUERY ABANDONED_TASK ADMINISTRATIVELY_PREEMPTED CATALOG_NOT_AVAILABLE NO_NODES_AVAILABLE "
            "CLUSTER_HAS_TOO_MANY_RUNNING_QUERIES PAGE_TRANSPORT_ERROR PAGE_TRANSPORT_TIMEOUT QUERY_QUEUE_FULL "
            "QUERY_REJECTED REMOTE_BUFFER_CLOSE_FAILED REMOTE_HOST_GONE REMOTE_TASK_ERROR REMOTE_TASK_FAILED "
            "REMOTE_TASK_MISMATCH SERVER_SHUTTING_DOWN SERVER_STARTING_UP TOO_MANY_REQUESTS_FAILED"
        ),
        # Somebody else ended it, on the engine; or the cluster, or its access control, is set up wrongly.
        Reason.ENGINE_ERROR: (
            "USER_CANCELED ADMINISTRATIVELY_KILLED AMBIGUOUS_FUNCTION_IMPLEMENTATION CATALOG_STORE_ERROR "
            "CATALOG_UNAVAILABLE COMPILER_ERROR CONFIGURATION_INVALID CONFIGURATION_UNAVAILABLE CORRUPT_PAGE "
            "CORRUPT_SERIALIZED_IDENTITY EXCHANGE_MANAGER_NOT_CONFIGURED FUNCTION_IMPLEMENTATION_ERROR "
            "FUNCTION_IMPLEMENTATION_MISSING GENERIC_INTERNAL_ERROR INCOMPATIBLE_CLIENT INVALID_COLUMN_MASK "
            "INVALID_PROCEDURE_DEFINITION INVALID_RESOURCE_GROUP INVALID_ROW_FILTER PROCEDURE_CALL_FAILED "
            "SERIALIZATION_ERROR"
        ),
    }
)
_BY_NAME: Final = MappingProxyType({name: reason for reason, names in _NAMES.items() for name in names.split()})
_BY_TYPE: Final[Mapping[str, Reason]] = MappingProxyType(
    {"USER_ERROR": Reason.STATEMENT_REJECTED, "INSUFFICIENT_RESOURCES": Reason.OUT_OF_MEMORY}
)


def is_sorted(name: str, error_type: str) -> bool:
    """Whether a code of Trino has a reason because it was given one, and not because nobody knows it."""
    return name in _BY_NAME or error_type == "USER_ERROR"


def reason_of(name: str, error_type: str) -> Reason:
    """Connectors have codes of their own, which go by their type."""
    return _BY_NAME.get(name) or _BY_TYPE.get(error_type, Reason.ENGINE_ERROR)
