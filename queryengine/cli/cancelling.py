"""`queryengine cancel --label`: stop all queries that carry some labels, once it is said how many they are."""

import sys
from collections.abc import Mapping

import typer

from queryengine.client import Client
from queryengine.domain.lifecycle import QueryState

ALIVE = (QueryState.QUEUED, QueryState.RUNNING)
LISTED = 1_000


def cancel_labelled(
    client: Client,
    labels: Mapping[str, str],
    *,
    engine: str,
    subject: str,
    reason: str,
    wait: float,
    ask: bool,
) -> str:
    """Cancel them, as many as one call does, and say what was done. Asks before on a terminal; no ends the command."""
    if ask and sys.stdin.isatty():
        found = client.list_queries(states=ALIVE, labels=labels, engine=engine, subject=subject, page_size=LISTED)
        if not found.queries:
            return "no query that waits or runs carries these labels"
        count = f"{len(found.queries):,}{' or more' if found.next_page_token else ''}"
        typer.confirm(f"cancel {count} {'query' if count == '1' else 'queries'}?", abort=True, err=True)
    done = client.cancel_queries(labels, engine=engine, subject=subject, reason=reason, wait=wait)
    parts = [f"{done.cancelled:,} cancelled"]
    if done.cancelling:
        parts.append(f"{done.cancelling:,} on their way")
    if done.already_ended:
        parts.append(f"{done.already_ended:,} had ended")
    left = f"; {done.left:,} are left, so run it again" if done.left else ""
    return ", ".join(parts) + left
