"""What a node consists of: publishers, subscriptions, services, clients, timers, guard conditions.

The modules `rclpy.publisher`, `rclpy.subscription` and so on give these classes under their documented names.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine
from struct import Struct
from struct import error as struct_error
from typing import Any

from cyclonedds.core import DDSException
from cyclonedds.qos import Policy
from rosless.errors import CodecError, RoslessError
from rosless.interfaces.messages import Message, message_codec
from rosless.wakeup import Wakeup
from rosless.wire.session import Endpoint, Reader, Writer

from rclpy.clock import Clock
from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
from rclpy.exceptions import InvalidHandle
from rclpy.executors import await_or_execute
from rclpy.qos import HistoryPolicy, QoSProfile, dds_qos
from rclpy.task import Future

SERVICE_HEADER = Struct("<Qq")
REPLY_READER_TIMEOUT = 0.1  # seconds that a service waits for discovery of the client's reply reader
SERVICE_POLL = 0.01

Work = Callable[[], Coroutine[Any, Any, Any]]


class Entity:
    """Something of a node that has callbacks.  Executors call `_is_ready`, then `_take` for the work to do."""

    def __init__(self, node: Any, callback_group: Any) -> None:
        self._node, self.callback_group = node, callback_group
        self._endpoints: list[Endpoint] = []
        self._destroyed = False
        if callback_group is not None:
            callback_group.add_entity(self)

    def _is_ready(self) -> bool:
        return False

    def _take(self) -> Work | None:
        return None

    def _wake(self) -> None:
        self._node._wake()

    def _check(self) -> None:
        if self._destroyed:
            raise InvalidHandle(f"cannot use Destroyable because destruction was requested: {type(self).__name__}")

    def destroy(self) -> None:
        """Withdraw from the graph."""
        if not self._destroyed:
            self._destroyed = True
            self._node._forget(self)
            for endpoint in self._endpoints:
                endpoint.close()

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self.destroy()


class Publisher(Entity):
    """Publishes messages of one type on a topic."""

    def __init__(
        self,
        node: Any,
        msg_type: type[Message],
        topic: str,
        qos: QoSProfile,
        event_callbacks: PublisherEventCallbacks | None = None,
        callback_group: Any = None,
    ) -> None:
        super().__init__(node, None)
        self.msg_type, self._topic, self.qos_profile = msg_type, topic, qos
        self._codec = message_codec(msg_type)
        events = event_callbacks or PublisherEventCallbacks()
        self._writer: Writer = node.context.session.writer(
            f"rt{topic}",
            self._codec.name,
            dds_qos(qos, node._user_data(self._codec.name), True),
            on_incompatible=events._on_incompatible(node, topic),
        )
        self._endpoints = [self._writer]

    @property
    def topic_name(self) -> str:
        return self._topic

    topic = topic_name

    def publish(self, msg: Any) -> None:
        """Publish a message, or its CDR bytes.

        Raises:
            TypeError: a message of another type.
            InvalidHandle: the publisher was destroyed.
        """
        self._check()
        if isinstance(msg, bytes):
            data: bytes | bytearray = msg
        elif isinstance(msg, self.msg_type):
            data = self._codec.encode(msg)
        else:
            raise TypeError(f"Expected {self.msg_type}, got {type(msg)}")
        try:
            self._writer.write(data)
        except RoslessError:
            if self._node.context.ok():
                raise

    def get_subscription_count(self) -> int:
        """How many subscriptions are matched."""
        self._check()
        return self._writer.matched_count

    def assert_liveliness(self) -> None:
        raise AttributeError("rosless does not provide Publisher.assert_liveliness; it needs a genuine ROS 2")

    def wait_for_all_acked(self, timeout: Any = None) -> bool:
        """Wait until all matched subscriptions acknowledged everything; whether they did in time."""
        self._check()
        nanoseconds = timeout.nanoseconds if timeout is not None and timeout.nanoseconds >= 0 else 2**63 - 1
        try:
            return bool(self._writer.entity._wait_for_acks(self._writer.entity._ref, nanoseconds) == 0)
        except DDSException:
            return False


class Subscription(Entity):
    """Calls a function with every message of a topic."""

    def __init__(
        self,
        node: Any,
        msg_type: type[Message],
        topic: str,
        callback: Callable[..., Any],
        qos: QoSProfile,
        callback_group: Any,
        raw: bool = False,
        event_callbacks: SubscriptionEventCallbacks | None = None,
    ) -> None:
        super().__init__(node, callback_group)
        self.msg_type, self._topic, self.callback, self.qos_profile, self.raw = msg_type, topic, callback, qos, raw
        self._codec = message_codec(msg_type)
        self._with_info = _accepts_info(callback)
        keep_all = qos.history == HistoryPolicy.KEEP_ALL
        self._queue: deque[tuple[bytes, Any]] = deque(maxlen=None if keep_all else max(qos.depth, 1))
        events = event_callbacks or SubscriptionEventCallbacks()
        self._reader: Reader = node.context.session.reader(
            f"rt{topic}",
            self._codec.name,
            dds_qos(qos, node._user_data(self._codec.name), False),
            self._arrived,
            on_incompatible=events._on_incompatible(node, topic),
        )
        self._endpoints = [self._reader]

    @property
    def topic_name(self) -> str:
        return self._topic

    topic = topic_name

    def _arrived(self, data: bytes, info: Any) -> None:
        self._queue.append((data, info))
        self._wake()

    def _is_ready(self) -> bool:
        return bool(self._queue) and not self._destroyed

    def _take(self) -> Work | None:
        try:
            data, info = self._queue.popleft()
        except IndexError:
            return None

        async def work() -> None:
            try:
                message = data if self.raw else self._codec.decode(data)
            except CodecError as error:
                self._node.get_logger().error(f"dropped a message on '{self._topic}': {error}")
                return
            if self._with_info:
                stamps = {"source_timestamp": info.source_timestamp, "received_timestamp": time.time_ns()}
                await await_or_execute(self.callback, message, stamps)
            else:
                await await_or_execute(self.callback, message)

        return work

    def get_publisher_count(self) -> int:
        """How many publishers are matched."""
        self._check()
        return self._reader.matched_count


def _accepts_info(callback: Callable[..., Any]) -> bool:
    import inspect

    try:
        inspect.signature(callback).bind(object())
        return False
    except TypeError:
        pass
    try:
        inspect.signature(callback).bind(object(), object())
        return True
    except TypeError:
        raise RuntimeError(
            "Subscription.__init__(): callback should be either be callable with one argument (to get only the "
            "message) or two (to get message and message info)"
        ) from None
    except ValueError:
        return False


def identity_text(endpoint_id: bytes) -> str:
    """16 bytes as the dotted hexadecimal of `clientid=` and `serviceid=`."""
    return ".".join(f"{byte:02x}" for byte in endpoint_id)


class Service(Entity):
    """Answers requests."""

    def __init__(
        self,
        node: Any,
        srv_type: Any,
        srv_name: str,
        callback: Callable[..., Any],
        qos: QoSProfile,
        callback_group: Any,
    ) -> None:
        super().__init__(node, callback_group)
        self.srv_type, self.srv_name, self.callback = srv_type, srv_name, callback
        self._requests, self._replies = message_codec(srv_type.Request), message_codec(srv_type.Response)
        self._queue: deque[tuple[bytes, Any]] = deque()
        self._clients: dict[int, bytes | None] = {}
        self._reachable: set[int] = set()
        user_data = f"serviceid= {identity_text(os.urandom(16))};".encode() + node._user_data(srv_type._name)
        session = node.context.session
        self._writer = session.writer(
            f"rr{srv_name}Reply", self._replies.name, dds_qos(qos, user_data, True), is_service=True
        )
        self._reader = session.reader(
            f"rq{srv_name}Request", self._requests.name, dds_qos(qos, user_data, False), self._arrived, is_service=True
        )
        self._endpoints = [self._writer, self._reader]

    @property
    def service_name(self) -> str:
        return self.srv_name

    def _arrived(self, data: bytes, info: Any) -> None:
        self._queue.append((data, info))
        self._wake()

    def _is_ready(self) -> bool:
        return bool(self._queue) and not self._destroyed

    def _take(self) -> Work | None:
        try:
            data, info = self._queue.popleft()
        except IndexError:
            return None

        async def work() -> None:
            try:
                identity = SERVICE_HEADER.unpack_from(data, 4)
                request = self._requests.decode(data, SERVICE_HEADER.size)
            except (CodecError, struct_error) as error:
                self._node.get_logger().error(f"dropped a request of '{self.srv_name}': {error}")
                return
            header = RequestHeader(identity[0], identity[1], info.publication_handle)
            response = await await_or_execute(self.callback, request, self.srv_type.Response())
            if response is not None:
                self.send_response(response, header)
            else:
                raise TypeError(f"the callback of service '{self.srv_name}' returned None instead of a response")

        return work

    def send_response(self, response: Any, header: Any) -> None:
        """Send the response to the request that `header` stands for.

        Raises:
            TypeError: a response of another type.
        """
        self._check()
        if not isinstance(response, self.srv_type.Response):
            raise TypeError(
                f"the callback of service '{self.srv_name}' returned {type(response).__name__} instead of "
                f"{self.srv_type.Response.__name__}"
            )
        data = self._replies.encode(response, SERVICE_HEADER.pack(header.client_id, header.sequence_number))
        self._await_reply_reader(header.publication_handle)
        if not self._destroyed and self._node.context.ok():
            self._writer.write(data)

    def _client_of(self, handle: int) -> bytes | None:
        """The `clientid=` of the writer of a request, None if it tells none."""
        if handle not in self._clients:
            endpoint = self._reader.entity.get_matched_publication_data(handle)
            self._clients[handle] = _client_id(endpoint)
        return self._clients[handle]

    def _await_reply_reader(self, handle: int) -> None:
        """Wait for the client's reply reader: its discovery may come after that of its request writer."""
        if handle in self._reachable:
            return
        client = self._client_of(handle)
        deadline = time.monotonic() + REPLY_READER_TIMEOUT
        while client is not None and time.monotonic() < deadline and not self._destroyed:
            readers = self._writer.entity.get_matched_subscriptions()
            if any(_client_id(self._writer.entity.get_matched_subscription_data(one)) == client for one in readers):
                self._reachable.add(handle)
                return
            time.sleep(0.001)


class RequestHeader:
    """Whom a response goes to."""

    __slots__ = ("client_id", "publication_handle", "sequence_number")

    def __init__(self, client_id: int, sequence_number: int, publication_handle: int) -> None:
        self.client_id, self.sequence_number = client_id, sequence_number
        self.publication_handle = publication_handle


def _client_id(endpoint: Any) -> bytes | None:
    if endpoint is None or Policy.Userdata not in endpoint.qos:
        return None
    for item in endpoint.qos[Policy.Userdata].data.split(b";"):
        if item.startswith(b"clientid="):
            return bytes(item[9:].strip())
    return None


class Client(Entity):
    """Calls a service."""

    def __init__(self, node: Any, srv_type: Any, srv_name: str, qos: QoSProfile, callback_group: Any) -> None:
        super().__init__(node, callback_group)
        self.srv_type, self.srv_name = srv_type, srv_name
        self._requests, self._replies = message_codec(srv_type.Request), message_codec(srv_type.Response)
        self._pending: dict[int, Future] = {}
        self._sequence = itertools.count(1)
        self._lock = threading.Lock()
        self._queue: deque[bytes] = deque()
        user_data = f"clientid= {identity_text(os.urandom(16))};".encode() + node._user_data(srv_type._name)
        session = node.context.session
        self._reader = session.reader(
            f"rr{srv_name}Reply", self._replies.name, dds_qos(qos, user_data, False), self._arrived, is_service=True
        )
        self._writer = session.writer(
            f"rq{srv_name}Request", self._requests.name, dds_qos(qos, user_data, True), is_service=True
        )
        self._id = int.from_bytes(os.urandom(8), "little") >> 1
        self._endpoints = [self._reader, self._writer]

    @property
    def service_name(self) -> str:
        return self.srv_name

    def _arrived(self, data: bytes, info: Any) -> None:
        if len(data) < 4 + SERVICE_HEADER.size:
            return
        client, sequence = SERVICE_HEADER.unpack_from(data, 4)
        if client == self._id and sequence in self._pending:
            self._queue.append(data)
            self._wake()

    def _is_ready(self) -> bool:
        return bool(self._queue) and not self._destroyed

    def _take(self) -> Work | None:
        try:
            data = self._queue.popleft()
        except IndexError:
            return None

        async def work() -> None:
            _, sequence = SERVICE_HEADER.unpack_from(data, 4)
            with self._lock:
                future = self._pending.pop(sequence, None)
            if future is None or future.cancelled():
                return
            try:
                response = self._replies.decode(data, SERVICE_HEADER.size)
            except CodecError as error:
                future.set_exception(error)
            else:
                future.set_result(response)

        return work

    def call_async(self, request: Any) -> Future:
        """Send a request; the future gets the response.

        Raises:
            TypeError: a request of another type.
        """
        self._check()
        if not isinstance(request, self.srv_type.Request):
            raise TypeError(f"Expected {self.srv_type.Request}, got {type(request)}")
        future, sequence = Future(), next(self._sequence)
        with self._lock:
            self._pending[sequence] = future
        future._rosless_sequence = sequence  # type: ignore[attr-defined]
        try:
            self._writer.write(self._requests.encode(request, SERVICE_HEADER.pack(self._id, sequence)))
        except Exception:
            with self._lock:
                self._pending.pop(sequence, None)
            raise
        return future

    def call(self, request: Any, timeout_sec: float | None = None) -> Any:
        """Send a request and wait for the response; None when the time is over.  Needs a spinning executor."""
        answered = Wakeup()
        forget = self._node.context._on_wake(answered.set)
        future = self.call_async(request)
        future.add_done_callback(answered.set)
        try:
            answered.wait(timeout_sec)
        finally:
            forget()
        if not future.done():
            self.remove_pending_request(future)
            return None
        return future.result()

    def remove_pending_request(self, future: Future) -> None:
        """Forget a request; its future never gets a response."""
        with self._lock:
            self._pending.pop(getattr(future, "_rosless_sequence", -1), None)

    def service_is_ready(self) -> bool:
        """Whether a service is there that can receive requests and be heard."""
        self._check()
        return self._writer.matched_count > 0 and self._reader.matched_count > 0

    def wait_for_service(self, timeout_sec: float | None = None) -> bool:
        """Wait until the service is there; False when the time is over or the context is shut down."""
        deadline = None if timeout_sec is None or timeout_sec < 0 else time.monotonic() + timeout_sec
        while self._node.context.ok() and not self.service_is_ready():
            if deadline is not None and time.monotonic() >= deadline:
                return False
            time.sleep(SERVICE_POLL)
        return self._node.context.ok()


class Timer(Entity):
    """Calls a function periodically in a clock's time."""

    def __init__(
        self,
        node: Any,
        callback: Callable[..., Any] | None,
        period_ns: int,
        clock: Clock,
        callback_group: Any,
        autostart: bool = True,
    ) -> None:
        super().__init__(node, callback_group)
        self.callback, self._period, self.clock = callback, period_ns, clock
        self._cancelled = not autostart
        self._last = clock._now()
        self._next = self._last + period_ns
        self._forget_jumps = clock._on_jump(self._jumped)

    def _jumped(self) -> None:
        now = self.clock._now()
        if now + self._period < self._next:
            self._next = now + self._period  # time went back
        if now >= self._next:
            self._wake()

    @property
    def timer_period_ns(self) -> int:
        return self._period

    @timer_period_ns.setter
    def timer_period_ns(self, value: int) -> None:
        self._period = int(value)
        self.reset()

    def is_ready(self) -> bool:
        """Whether the callback is due."""
        return not self._cancelled and not self._destroyed and self.clock._now() >= self._next

    def is_canceled(self) -> bool:
        return self._cancelled

    def cancel(self) -> None:
        self._cancelled = True

    def reset(self) -> None:
        """Begin a new period now; a cancelled timer runs again."""
        self._cancelled = False
        self._next = self.clock._now() + self._period
        self._wake()

    def time_since_last_call(self) -> int:
        return self.clock._now() - self._last

    def time_until_next_call(self) -> int | None:
        return None if self._cancelled else self._next - self.clock._now()

    def _seconds_to_wait(self) -> float | None:
        """Seconds until it is due; None for a timer that is cancelled, or that /clock will wake."""
        if self._cancelled or self.clock._simulated:
            return None
        return (self._next - self.clock._now()) / 1e9

    def _is_ready(self) -> bool:
        return self.is_ready()

    def _take(self) -> Work | None:
        now = self.clock._now()
        if now < self._next:
            return None
        self._last = now
        # Missed periods are skipped, and the phase is kept
        self._next += self._period * (1 + (now - self._next) // self._period) if self._period else 0

        async def work() -> None:
            if self.callback is not None:
                await await_or_execute(self.callback)

        return work

    def destroy(self) -> None:
        self._forget_jumps()
        super().destroy()


class GuardCondition(Entity):
    """Calls a function after `trigger`."""

    def __init__(self, node: Any, callback: Callable[..., Any] | None, callback_group: Any) -> None:
        super().__init__(node, callback_group)
        self.callback = callback
        self._triggered = False

    def trigger(self) -> None:
        self._check()
        self._triggered = True
        self._wake()

    def _is_ready(self) -> bool:
        return self._triggered and not self._destroyed

    def _take(self) -> Work | None:
        self._triggered = False

        async def work() -> None:
            if self.callback is not None:
                await await_or_execute(self.callback)

        return work


class Rate:
    """Sleeps so that a loop runs at a frequency; needs an executor that spins in another thread."""

    def __init__(self, timer: Timer, *, context: Any) -> None:
        self._timer, self._context = timer, context
        self._wakeup = Wakeup()
        self._forget = context._on_wake(self._wakeup.set)
        timer.callback = self._wakeup.set

    def sleep(self) -> None:
        """Sleep until the next period.

        Raises:
            ROSInterruptException: the context was shut down.
        """
        from rclpy.exceptions import ROSInterruptException

        self._wakeup.clear()
        if self._context.ok():
            self._wakeup.wait()
        if not self._context.ok():
            raise ROSInterruptException()

    def destroy(self) -> None:
        self._forget()
        self._timer.destroy()


__all__ = ["Client", "Entity", "GuardCondition", "Publisher", "Rate", "Service", "Subscription", "Timer"]
