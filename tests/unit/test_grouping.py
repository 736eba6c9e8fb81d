"""Which tests share a process, by their ids."""

import pytest

from tests.grouping import group_of, server_of

CASES = [
    ("tests/engines/test_trino_tpch.py::test_a[True]", "trino", "trino"),
    ("tests/engines/test_trino_faults.py::test_a", "trino", "test_trino_faults"),
    ("tests/contract/test_engine_contract.py::test_a[clickhouse-0]", "clickhouse", "clickhouse"),
    ("tests/contract/test_engine_contract.py::test_a[0-generic]", "postgresql", "postgresql"),
    ("tests/contract/test_engine_contract.py::test_a[duckdb-0]", "", "test_engine_contract"),
    ("tests/policies/test_oracle.py::test_postgresql_by_hand", "postgresql", "postgresql"),
    ("tests/policies/test_oracle.py::test_duckdb_by_hand", "", "test_oracle"),
    ("tests/service/test_submit.py::test_postgresql_is_a_word", "", "test_submit"),
]


@pytest.mark.parametrize(("test_id", "server", "group"), CASES)
def test_tests_of_one_server_are_one_group(test_id: str, server: str, group: str) -> None:
    assert (server_of(test_id), group_of(test_id)) == (server, group)
