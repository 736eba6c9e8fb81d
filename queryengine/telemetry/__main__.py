"""Print the table of all metrics."""

import sys

from queryengine.telemetry.names import to_markdown

sys.stdout.write(to_markdown())
