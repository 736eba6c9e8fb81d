"""Who calls, from the metadata and the connection of a call."""

from queryengine.edges.grpc.call import Call, Caller, Context, Following, Link
from queryengine.policy.identity import Authentication, Presented


def identifying(authentication: Authentication) -> Link:
    """The link that says who calls, and refuses what the authentication refuses."""

    async def identify(call: Call, following: Following) -> bytes | None:
        identified = await authentication.identify(_presented(call.context))
        call.caller = Caller(identified.principal, identified.still_valid, call.caller.trail)
        return await following(call)

    return identify


def _presented(context: Context) -> Presented:
    security = context.auth_context()
    # On the side of a server the chain is what came beside the peer's own certificate.
    certificates = (*security.get("x509_pem_cert", ()), *security.get("x509_pem_cert_chain", ()))
    return Presented(tuple(context.invocation_metadata() or ()), context.peer(), certificates)
