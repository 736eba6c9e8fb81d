"""docs/metrics.md says what the metrics are, and their names follow the rules of Prometheus."""

from pathlib import Path

import pytest
import yaml

from queryengine.settings import ServerSettings
from queryengine.telemetry import names
from queryengine.telemetry.names import METRICS, Kind, Metric, to_markdown

PAGE = (Path(__file__).parents[1] / "docs" / "metrics.md").read_text(encoding="utf-8")


def test_the_page_ends_with_the_table() -> None:
    assert PAGE.endswith(to_markdown())


def test_every_metric_is_in_the_table() -> None:
    assert set(METRICS) == {value for value in vars(names).values() if isinstance(value, Metric)}


def test_the_example_scrapes_the_default_port() -> None:
    (job,) = yaml.safe_load(PAGE.split("```yaml\n")[1].split("```")[0])["scrape_configs"]
    assert job["static_configs"][0]["targets"] == [ServerSettings().metrics_listen]


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_name_follows_the_rules_of_prometheus(metric: Metric) -> None:
    assert metric.name.startswith("queryengine_")
    assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)
    assert set(metric.labels) <= {"engine", "state", "reason", "method", "code", "outcome", "version", "certificate"}
