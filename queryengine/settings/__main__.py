"""Print the reference of all keys."""

import sys

from queryengine.settings.reference import to_markdown

sys.stdout.write(to_markdown())
