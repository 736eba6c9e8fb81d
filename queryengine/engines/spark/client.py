"""Spark Connect's protocol, as far as an engine needs it: sessions, and operations in them.

The only module that knows the messages of pyspark-client. Its own session class is not used: it retries for ten
minutes, keeps threads that outlive it, and has no limit on a call. Here every call has a limit in seconds.
"""

import threading
import time
import uuid
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import grpc

with warnings.catch_warnings():
    # It warns of versions of pandas, which no message here touches.
    warnings.simplefilter("ignore")
    from pyspark.sql.connect import proto as _messages
    from pyspark.sql.connect.proto.base_pb2_grpc import SparkConnectServiceStub

CALL_SECONDS: Final = 10.0
"""For calls that a server answers at once."""
STOP_SECONDS: Final = 5.0
"""For calls that stop something."""
_ASK_AGAIN_SECONDS: Final = 0.02
_SLICE_SECONDS: Final = 10.0
"""How long a stream may be silent before the server is asked whether it lives. A working one reports progress."""
_ALIVE_SECONDS: Final = 5.0
_MESSAGE_BYTES_MAX: Final = 128 << 20
_CHUNK_BYTES: Final = 1 << 20
"""Larger Arrow batches come in pieces of this size. What is under way when a stream is taken up again must be less than
what the server keeps, 10 MiB.
"""

proto: Final[Any] = _messages
"""The classes of messages."""
_RUNNING: Final = proto.GetStatusResponse.OperationStatus.OperationState.OPERATION_STATE_RUNNING
NOT_ANSWERED: Final = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
"""Codes of calls that came to nobody, or back from nobody."""

Proto = Any
"""A message of the protocol; its classes have no types."""


class DeadlinePassedError(Exception):
    """The time that an operation may take is over."""


class Connection:
    """A channel to one server, for many sessions. Thread-safe."""

    def __init__(self, target: str, *, user: str, token: str, use_ssl: bool, headers: Sequence[Any] = ()) -> None:
        self.user = proto.UserContext(user_id=user)
        self.metadata = [*headers, *([("authorization", f"Bearer {token}")] if token else [])]
        options = [
            ("grpc.max_receive_message_length", _MESSAGE_BYTES_MAX),
            ("grpc.max_send_message_length", _MESSAGE_BYTES_MAX),
            # A channel of one's own, not one shared with another engine of this process.
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.max_reconnect_backoff_ms", 5_000),
        ]
        self._channel = (
            grpc.secure_channel(target, grpc.ssl_channel_credentials(), options)
            if use_ssl
            else grpc.insecure_channel(target, options)
        )
        self.stub = SparkConnectServiceStub(self._channel)
        self._target = target

    def wait(self, seconds: float) -> None:
        """Return when the channel is up. Raises TimeoutError."""
        ready = grpc.channel_ready_future(self._channel)
        try:
            ready.result(seconds)
        except grpc.FutureTimeoutError:
            message = f"no connection to {self._target} within {seconds:g} s"
            raise TimeoutError(message) from None
        finally:
            ready.cancel()

    def close(self) -> None:
        self._channel.close()


class Session:
    """Settings, current catalog and schema, and operations, apart from those of every other session."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stub = connection.stub
        self.id = str(uuid.uuid4())
        self._observed: str | None = None

    def fields(self) -> dict[str, Any]:
        """What every request in the session holds."""
        return {
            "session_id": self.id,
            "user_context": self._connection.user,
            "client_type": "queryengine",
            # Without it, a server that was started again meanwhile makes a new session, which has none of the settings.
            "client_observed_server_side_session_id": self._observed,
        }

    def configure(self, settings: Mapping[str, str]) -> None:
        """To be called first: from then on it is an error when Spark does not know the session any more."""
        request = proto.ConfigRequest(**self.fields())
        request.operation.set.SetInParent()
        for name, value in settings.items():
            request.operation.set.pairs.add(key=name, value=value)
        response = self._stub.Config(request, timeout=CALL_SECONDS, metadata=self._connection.metadata)
        self._observed = response.server_side_session_id

    def version(self, seconds: float = CALL_SECONDS) -> str:
        request = proto.AnalyzePlanRequest(**self.fields())
        request.spark_version.SetInParent()
        response = self._stub.AnalyzePlan(request, timeout=seconds, metadata=self._connection.metadata)
        return str(response.spark_version.version)

    def schema_call(self, relation: Proto, deadline: float) -> "SchemaCall":
        request = proto.AnalyzePlanRequest(**self.fields())
        request.schema.plan.root.CopyFrom(relation)
        left = deadline - time.monotonic()
        if left <= 0:
            raise DeadlinePassedError
        return SchemaCall(
            self, self._stub.AnalyzePlan.future(request, timeout=left, metadata=self._connection.metadata)
        )

    def operation(self, plan: Proto, tags: Iterable[str], deadline: float) -> "Operation":
        request = proto.ExecutePlanRequest(**self.fields(), operation_id=str(uuid.uuid4()), plan=plan, tags=tags)
        return Operation(self, self._connection, request, deadline)

    def interrupt(self) -> None:
        """Have Spark stop all operations of the session that it knows of. Returns before they have stopped."""
        kind = proto.InterruptRequest.INTERRUPT_TYPE_ALL
        request = proto.InterruptRequest(**self.fields(), interrupt_type=kind)
        self._stub.Interrupt(request, timeout=STOP_SECONDS, metadata=self._connection.metadata)

    def is_running(self, operation_id: str, seconds: float) -> bool:
        """Whether Spark works on an operation, in its own words. It does not while it waits for who reads the end."""
        request = proto.GetStatusRequest(**self.fields())
        request.operation_status.operation_ids.append(operation_id)
        response = self._stub.GetStatus(request, timeout=seconds, metadata=self._connection.metadata)
        return any(each.state == _RUNNING for each in response.operation_statuses)

    def check_alive(self) -> None:
        """Raises TimeoutError when Spark, silent for a while, does not answer a plain question either; grpc.RpcError
        when it answers that there is no such session.
        """
        try:
            self.version(_ALIVE_SECONDS)
        except grpc.RpcError as silence:
            if silence.code() not in NOT_ANSWERED:
                raise
            raise TimeoutError(f"Spark has not answered for {_SLICE_SECONDS + _ALIVE_SECONDS:g} s") from silence

    def error_details(self, error_id: str) -> Proto:
        request = proto.FetchErrorDetailsRequest(**self.fields(), error_id=error_id)
        return self._stub.FetchErrorDetails(request, timeout=CALL_SECONDS, metadata=self._connection.metadata)

    def release(self) -> None:
        """End the session: what runs in it is interrupted, and what comes later is refused."""
        request = proto.ReleaseSessionRequest(session_id=self.id, user_context=self._connection.user)
        self._stub.ReleaseSession(request, timeout=STOP_SECONDS, metadata=self._connection.metadata)


class SchemaCall:
    """A question for the columns of a relation, under way."""

    def __init__(self, session: Session, call: Any) -> None:
        self._session = session
        self._call = call

    def result(self) -> Any:
        """The fields of the schema. Raises as Operation.responses, and grpc.FutureCancelledError after `cancel`."""
        while True:
            try:
                return self._call.result(_SLICE_SECONDS).schema.schema.struct.fields
            except grpc.FutureTimeoutError:
                self._session.check_alive()
            except grpc.RpcError as cause:
                if cause.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
                    raise DeadlinePassedError from cause
                raise

    def cancel(self) -> None:
        self._call.cancel()


class Operation:
    """One plan on the server, and the stream of its responses."""

    def __init__(self, session: Session, connection: Connection, request: Proto, deadline: float) -> None:
        request.request_options.add().reattach_options.reattachable = True
        chunks = request.request_options.add().result_chunking_options
        chunks.allow_arrow_batch_chunking = True
        chunks.preferred_arrow_chunk_size = _CHUNK_BYTES
        self.id: str = request.operation_id
        self._session = session
        self._connection = connection
        self._request = request
        self._deadline = deadline
        self._lock = threading.Lock()
        self._call: Any = None
        self._has_begun = False
        self._is_stopped = False
        self.has_ended = False
        """Spark has said that it is over, well or not."""
        self._last_response = ""

    def responses(self) -> Iterator[Proto]:
        """Every response once, in order, until the result is complete.

        A stream that the server or a network ends early is taken up again where it was. Raises grpc.RpcError as the
        server does, TimeoutError when it has stopped answering, DeadlinePassedError.
        """
        heard = True
        while True:
            try:
                with self._lock:
                    self._call = call = self._begun()
                if self._is_stopped:
                    call.cancel()
                for response in call:
                    heard = True
                    self._last_response = response.response_id
                    if response.HasField("result_complete"):
                        self.has_ended = True
                        return
                    yield response
            except grpc.RpcError as cause:
                if self._is_stopped:
                    raise
                self._check_worth_going_on(cause, heard)
            heard = False

    def stop_reading(self) -> None:
        """Wake whoever is in `responses`; says nothing to the server. From any thread."""
        with self._lock:
            self._is_stopped = True
            call = self._call
        if call is not None:
            call.cancel()

    def stop(self) -> None:
        """Stop it on the server, and return when that says so. Raises grpc.RpcError when it does not answer."""
        if self.has_ended or not self._has_begun:
            return
        # Again and again: an interrupt between planning and the first job is lost.
        self._session.interrupt()
        while self._session.is_running(self.id, STOP_SECONDS):
            threading.Event().wait(_ASK_AGAIN_SECONDS)
            self._session.interrupt()
        # Not before: Spark forgets an operation that is released while it runs, and works on.
        self.release()
        self.has_ended = True

    def release(self) -> None:
        """Let Spark drop what it keeps of an operation that has ended; otherwise it does with the session, or late."""
        request = proto.ReleaseExecuteRequest(**self._session.fields(), operation_id=self.id)
        request.release_all.SetInParent()
        self._connection.stub.ReleaseExecute(request, timeout=STOP_SECONDS, metadata=self._connection.metadata)

    def _begun(self) -> Any:
        seconds = min(_SLICE_SECONDS, self._left())
        stub, metadata = self._connection.stub, self._connection.metadata
        if not self._has_begun:
            self._has_begun = True
            return stub.ExecutePlan(self._request, timeout=seconds, metadata=metadata)
        request = proto.ReattachExecuteRequest(**self._session.fields(), operation_id=self.id)
        if self._last_response:
            request.last_response_id = self._last_response
        return stub.ReattachExecute(request, timeout=seconds, metadata=metadata)

    def _left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise DeadlinePassedError
        return left

    def _check_worth_going_on(self, cause: grpc.RpcError, heard: bool) -> None:
        self._left()
        code = cause.code()
        if code == grpc.StatusCode.UNAVAILABLE and heard and self._last_response:
            return
        if code != grpc.StatusCode.DEADLINE_EXCEEDED:
            self.has_ended = code != grpc.StatusCode.UNAVAILABLE
            raise cause
        if not heard:
            self._session.check_alive()
