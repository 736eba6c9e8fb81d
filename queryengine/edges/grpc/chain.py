"""What happens around every call, link by link: the order is in `serving`, and nowhere else.

A link is an async function of a call and of what follows it. It may act before and after, and refuses by raising
QueryEngineError; the links before it then see that. A new concern of all calls is one more link.
"""

from collections.abc import Sequence
from typing import Any

import grpc

from queryengine.edges.grpc.admission import Admission
from queryengine.edges.grpc.call import Call, Context, Following, Link, Method
from queryengine.edges.grpc.counting import count
from queryengine.edges.grpc.failures import report_defects, translate_failures
from queryengine.edges.grpc.handling import Handling


def serving(method: Method, identify: Link, admission: Admission, handling: Handling, audit: Link | None = None) -> Any:
    """The handler of one method. The request is read by the last link, so that a call which is refused before, or waits
    for its turn, holds none of it in memory.
    """
    recorded: Sequence[Link] = () if audit is None else (audit,)
    links: Sequence[Link] = (translate_failures, count, report_defects, *recorded, identify, admission.admit)
    chain = joined(links, handling.stream if method.is_streaming else handling.reply)

    async def serve(_: Any, context: Context) -> bytes | None:
        return await chain(Call(method, context))

    # To gRPC every method takes a stream of requests: it hands over a single request only once it has read it.
    if method.is_streaming:
        return grpc.stream_stream_rpc_method_handler(serve)
    return grpc.stream_unary_rpc_method_handler(serve)


def joined(links: Sequence[Link], last: Following) -> Following:
    """Links as one chain, the first of them outermost."""
    for link in reversed(links):
        last = _before(link, last)
    return last


def _before(link: Link, following: Following) -> Following:
    return lambda call: link(call, following)
