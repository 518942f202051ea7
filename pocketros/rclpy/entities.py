"""What a node consists of: publishers, subscriptions, services, clients, timers, guard conditions.

The modules `rclpy.publisher`, `rclpy.subscription` and so on give these classes under their documented names.
"""

from __future__ import annotations

import inspect
import itertools
import math
import os
import struct
import time
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from cyclonedds.core import DDSException
from pocketros.errors import CodecError, PocketrosError
from pocketros.interfaces.codec import decode, encode, encode_in_parts
from pocketros.wire.native import Sample
from pocketros.wire.session import Endpoint, Reader, Writer
from pocketros.wire.sharing import SharingReader, SharingWriter

from rclpy.clock import Clock
from rclpy.event_handler import (
    EventCallbacks,
    PublisherEventCallbacks,
    QoSIncompatibleInfo,
    SubscriptionEventCallbacks,
)
from rclpy.exceptions import InvalidHandle, RCLError
from rclpy.qos import INCOMPATIBLE_KINDS, HistoryPolicy, QoSPolicyKind, QoSProfile, dds_qos
from rclpy.task import Future, await_or_execute

IDENTITY = struct.Struct("<Qq")  # client and sequence number of a call
# Seconds that a service waits for discovery of the reply reader of a client that is there: before the callback, which
# may be a stop, and after it
READER_HEAD_START, REPLY_READER_TIMEOUT = 0.1, 1.0
SERVICE_POLL = 0.01
DROPS_TOLD_EVERY = 5.0  # seconds

Work = Callable[[], Coroutine[Any, Any, Any]]


class Entity:
    """Something of a node that may have callbacks.  Executors call `_is_ready`, then `_take` for the work to do."""

    _label = ""  # what the log calls it

    def __init__(self, node: Any, callback_group: Any = None, depth: int | None = None) -> None:
        node._check_handle()
        self._node, self.callback_group = node, callback_group
        self._endpoints: list[Endpoint] = []
        self._inbox: deque[Sample] = deque(maxlen=depth)
        self._destroyed = False
        self._dropped, self._drops_told = 0, -math.inf
        self._other_types: set[str] = set()
        if callback_group is not None:
            callback_group.add_entity(self)

    def _connect(self, kind: Any, topic: str, msg_type: Any, interface: str, identity: str = "", **options: Any) -> Any:
        """A new endpoint, Reader or Writer, whose samples go to `_handle`."""
        policies = dds_qos(
            self.qos_profile, interface, issubclass(kind, Writer), identity, keep_all=options.get("is_service")
        )
        name = msg_type._definition.name
        if issubclass(kind, Reader):
            options["on_sample"] = self._arrived
        tell = partial(self._tell_other_type, interface)
        self._endpoints.append(kind(self._node.context.session, topic, name, policies, on_other_type=tell, **options))
        return self._endpoints[-1]

    def _tell_other_type(self, own: str, other: str) -> None:
        other = other.removesuffix("_Request").removesuffix("_Response")
        if other not in self._other_types:
            self._other_types.add(other)
            self._node.get_logger().warning(
                f"Incompatible type on {self._label}: '{own}' here, '{other}' at another node. "
                "No messages will pass between them."
            )

    def _arrived(self, sample: Sample) -> None:
        self._inbox.append(sample)
        self._node._wake()

    def _decode(self, msg_type: Any, sample: Sample, skip: int = 0) -> Any:
        """The message of a sample; None for one that is lost or malformed, of which the log tells once in a while."""
        try:
            message = decode(msg_type, sample.data, skip)
            return None if sample.is_lost else message
        except CodecError as error:
            if sample.is_lost:
                return None
            self._dropped, now = self._dropped + 1, time.monotonic()
            if now - self._drops_told >= DROPS_TOLD_EVERY:
                last = "" if self._dropped == 1 else ", last"
                text = f"Dropped {self._dropped} malformed message(s) on {self._label}{last}: {error}"
                self._node.get_logger().error(text)
                self._dropped, self._drops_told = 0, now
            return None

    def _is_ready(self) -> bool:
        return bool(self._inbox) and not self._destroyed

    def _take(self) -> Work | None:
        try:
            return partial(self._handle, self._inbox.popleft())
        except IndexError:
            return None

    async def _handle(self, sample: Sample) -> None:
        """Serve one sample."""

    def _check(self) -> None:
        if self._destroyed:
            raise InvalidHandle(type(self).__name__)

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


class _Incompatibility(Entity):
    """Calls a function with what a publisher or a subscription has met since the last call."""

    def __init__(self, node: Any, callback_group: Any, callback: Callable[[Any], Any]) -> None:
        super().__init__(node, callback_group)
        self._callback, self._kind = callback, QoSPolicyKind.INVALID
        self._met = self._told = 0

    def met(self, kind: QoSPolicyKind) -> None:
        """Note a counterpart."""
        self._kind = kind
        self._met += 1
        self._node._wake()

    def _is_ready(self) -> bool:
        return self._met > self._told and not self._destroyed

    def _take(self) -> Work:
        info = QoSIncompatibleInfo(self._met, self._met - self._told, self._kind)
        self._told = info.total_count
        return partial(await_or_execute, self._callback, info)


class _TopicEntity(Entity):
    """A publisher or a subscription: one endpoint on a topic."""

    _kind: Any

    def __init__(
        self,
        node: Any,
        msg_type: Any,
        topic: str,
        qos: QoSProfile,
        callback_group: Any,
        events: EventCallbacks,
        event_group: Any,
    ) -> None:
        keep_all = qos.history == HistoryPolicy.KEEP_ALL
        super().__init__(node, callback_group, None if keep_all else max(qos.depth, 1))
        self.msg_type, self.topic_name, self.topic, self.qos_profile = msg_type, topic, topic, qos
        self._label, name = f"topic '{topic}'", msg_type._definition.name
        self._events, self._event = events, None
        if events.incompatible_qos is not None:
            self._event = node._add(_Incompatibility(node, event_group, events.incompatible_qos))
        tell = self._met_incompatible
        self._endpoint = self._connect(self._kind, f"rt{topic}", msg_type, name, on_incompatible=tell)

    def _met_incompatible(self, policy: int) -> None:
        """Tell of a counterpart whose policy (a DDS id) is incompatible, on the session's thread."""
        if (kind := INCOMPATIBLE_KINDS.get(policy)) is None:
            return  # not a policy but the type, which is told of elsewhere
        if self._event is not None:
            self._event.met(kind)
        elif self._events.use_default_callbacks:
            self._node.get_logger().warning(self._events._warning(self.topic_name, kind))

    def destroy(self) -> None:
        if self._event is not None:
            self._event.destroy()
        super().destroy()

    def _matched_count(self) -> int:
        self._check()
        return int(self._endpoint.matched_count)


class Publisher(_TopicEntity):
    """Publishes messages of one type on a topic."""

    _kind = SharingWriter
    get_subscription_count = _TopicEntity._matched_count

    def __init__(self, node: Any, msg_type: Any, topic: str, qos: QoSProfile, group: Any, events: Any = None) -> None:
        super().__init__(node, msg_type, topic, qos, None, events or PublisherEventCallbacks(), group)

    def publish(self, msg: Any) -> None:
        """Publish a message, or its CDR bytes.

        Raises:
            TypeError: a message of another type.
            InvalidHandle: the publisher was destroyed.
        """
        self._check()
        if not isinstance(msg, bytes | self.msg_type):
            raise TypeError(f"Expected {self.msg_type}, got {type(msg)}")
        encoded = encode_in_parts if self._endpoint.shares else encode
        data = msg if isinstance(msg, bytes) else encoded(self.msg_type, msg)
        try:
            self._endpoint.write(data)
        except PocketrosError:
            if self._node.context.ok():
                raise

    def wait_for_all_acked(self, timeout: Any = None) -> bool:
        """Wait until all matched subscriptions acknowledged everything; whether they did in time."""
        self._check()
        nanoseconds = timeout.nanoseconds if timeout is not None and timeout.nanoseconds >= 0 else 2**63 - 1
        with suppress(DDSException):
            return bool(self._endpoint.entity._wait_for_acks(self._endpoint.entity._ref, nanoseconds) == 0)
        return False


class Subscription(_TopicEntity):
    """Calls a function with every message of a topic."""

    _kind = SharingReader
    get_publisher_count = _TopicEntity._matched_count

    def __init__(
        self,
        node: Any,
        msg_type: Any,
        topic: str,
        callback: Callable[..., Any],
        qos: QoSProfile,
        callback_group: Any,
        raw: bool = False,
        events: Any = None,
    ) -> None:
        self.callback, self.raw, self._with_info = callback, raw, _takes_two(callback)
        events = events or SubscriptionEventCallbacks()
        super().__init__(node, msg_type, topic, qos, callback_group, events, callback_group)

    async def _handle(self, sample: Sample) -> None:
        message = bytes(sample.data) if self.raw else self._decode(self.msg_type, sample)
        if sample.is_lost:
            self._endpoint.take_copies()
        elif message is not None:
            stamps = {"source_timestamp": sample.stamp, "received_timestamp": time.time_ns()}
            await await_or_execute(self.callback, message, *([stamps] if self._with_info else []))


def _takes_two(callback: Callable[..., Any]) -> bool:
    """Whether a callback takes the message and its stamps, not the message alone."""
    try:
        signature = inspect.signature(callback)
    except ValueError:  # a function of C without a signature
        return False
    for count in (1, 2):
        with suppress(TypeError):
            signature.bind(*range(count))
            return count == 2
    raise RuntimeError("the callback of a subscription must take one argument (the message) or two (and its stamps)")


class Header(NamedTuple):
    """Whom a response goes to: the call's client and number, and the DDS handle of the writer that asked."""

    client_id: int
    sequence_number: int
    handle: int


class _ServiceEntity(Entity):
    """A service or a client: requests go one way, replies the other, each behind the identity of the call."""

    role, sent, received = "", "", ""

    def __init__(self, node: Any, srv_type: Any, srv_name: str, qos: QoSProfile, callback_group: Any) -> None:
        super().__init__(node, callback_group)
        self.srv_type, self.srv_name, self.service_name, self.qos_profile = srv_type, srv_name, srv_name, qos
        self._sent, self._received = getattr(srv_type, self.sent), getattr(srv_type, self.received)
        self._label = f"service '{srv_name}'"
        identity = f"{self.role}id= {'.'.join(f'{byte:02x}' for byte in os.urandom(16))};"
        topics = {"Request": f"rq{srv_name}Request", "Response": f"rr{srv_name}Reply"}
        # The channel of the replies comes first, so that whoever sees the requests' sees that, too
        made = {
            part: self._connect(
                Writer if part == self.sent else Reader,
                topics[part],
                getattr(srv_type, part),
                srv_type._name,
                identity,
                is_service=True,
            )
            for part in ("Response", "Request")
        }
        self._writer, self._reader = made[self.sent], made[self.received]

    def _send(self, message: Any, client_id: int, sequence_number: int) -> None:
        self._check()
        if not isinstance(message, self._sent):
            raise TypeError(f"'{self.srv_name}': expected {self._sent}, got {type(message)}")
        self._writer.write(encode(self._sent, message, IDENTITY.pack(client_id, sequence_number)))

    async def _handle(self, sample: Sample) -> None:
        if (message := self._decode(self._received, sample, IDENTITY.size)) is not None:
            await self._answer(message, Header(*IDENTITY.unpack_from(sample.data, 4), sample.writer))

    async def _answer(self, message: Any, header: Header) -> None:
        raise NotImplementedError  # pragma: no cover - both subclasses define it


class Service(_ServiceEntity):
    """Answers requests."""

    role, sent, received = "service", "Response", "Request"

    def __init__(self, *names: Any, callback: Callable[..., Any]) -> None:
        self.callback = callback
        self._reachable: set[int] = set()
        super().__init__(*names)

    async def _answer(self, message: Any, header: Header) -> None:
        # What the callback begins may publish to the client, as the goals of an action do
        self._await_reply_reader(header.handle, READER_HEAD_START)
        response = await await_or_execute(self.callback, message, self.srv_type.Response())
        if not self._destroyed and self._node.context.ok():
            self.send_response(response, header)

    def send_response(self, response: Any, header: Header) -> None:
        """Send the response to the request that `header` stands for.

        Raises:
            TypeError: a response of another type.
        """
        self._await_reply_reader(header.handle, REPLY_READER_TIMEOUT)
        self._send(response, header.client_id, header.sequence_number)

    def _await_reply_reader(self, handle: int, timeout: float) -> None:
        """Wait for the client's reply reader: its discovery may come after that of its request writer."""
        reader, writer = self._reader, self._writer
        if handle in self._reachable or (client := reader.counterpart(handle).get("clientid")) is None:
            return
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline and not self._destroyed and handle in reader.counterparts():
            if any(writer.counterpart(one).get("clientid") == client for one in writer.counterparts()):
                self._reachable = {one for one in self._reachable if one in reader.counterparts()} | {handle}
                return
            time.sleep(0.001)


class Client(_ServiceEntity):
    """Calls a service."""

    role, sent, received = "client", "Request", "Response"

    def __init__(self, *names: Any) -> None:
        self._pending: dict[int, Future] = {}
        self._sequence = itertools.count(1)
        self._id = int.from_bytes(os.urandom(8), "little") >> 1
        super().__init__(*names)

    def _arrived(self, sample: Sample) -> None:
        if len(sample.data) >= 4 + IDENTITY.size:
            client, sequence = IDENTITY.unpack_from(sample.data, 4)
            if client == self._id and sequence in self._pending:
                super()._arrived(sample)

    async def _answer(self, message: Any, header: Header) -> None:
        future = self._pending.pop(header.sequence_number, None)
        if future is not None and not future.cancelled():
            future.set_result(message)

    def call_async(self, request: Any) -> Future:
        """Send a request; the future gets the response.

        Raises:
            TypeError: a request of another type.
        """
        future, sequence = Future(), next(self._sequence)
        self._pending[sequence] = future
        future.add_done_callback(lambda _: self._pending.pop(sequence, None))
        try:
            self._send(request, self._id, sequence)
        except Exception:
            del self._pending[sequence]
            raise
        return future

    def call(self, request: Any, timeout_sec: float | None = None) -> Any:
        """Send a request and wait for the response, None at a shutdown.  Needs a spinning executor.

        Raises:
            TimeoutError: the time is over.
        """
        future = self.call_async(request)
        if not wait_for(future, self._node.context, timeout_sec):
            self.remove_pending_request(future)
            if self._node.context.ok():
                raise TimeoutError(f"no response of service '{self.srv_name}' within {timeout_sec} s")
        return future.result()

    def remove_pending_request(self, future: Future) -> None:
        """Forget a request; its future never gets a response."""
        for sequence in [sequence for sequence, one in list(self._pending.items()) if one is future]:
            self._pending.pop(sequence, None)

    def service_is_ready(self) -> bool:
        """Whether a service is there that can receive requests and be heard."""
        self._check()
        return all(endpoint.matched_count > 0 for endpoint in self._endpoints)

    def wait_for_service(self, timeout_sec: float | None = None) -> bool:
        """Wait until the service is there; False when the time is over or the context is shut down."""
        return wait_until(self.service_is_ready, self._node.context, timeout_sec)


def wait_for(future: Future, context: Any, timeout_sec: float | None = None) -> bool:
    """Wait, outside of executors, until a future is done or the context is shut down; whether it is done."""
    done: SimpleQueue[Any] = SimpleQueue()
    forget = context._on_wake(lambda: done.put(None))
    future.add_done_callback(done.put)
    with suppress(Empty):
        if context.ok():
            done.get(timeout=timeout_sec)
    forget()
    return future.done()


def wait_until(ready: Callable[[], bool], context: Any, timeout_sec: float | None) -> bool:
    """Wait for something that discovery brings; whether it came in time and before a shutdown."""
    deadline = None if timeout_sec is None or timeout_sec < 0 else time.monotonic() + timeout_sec
    while context.ok() and not ready():
        if deadline is not None and time.monotonic() >= deadline:
            return False
        time.sleep(SERVICE_POLL)
    return bool(context.ok())


class _CallingEntity(Entity):
    """Calls a function without arguments when it is due."""

    def __init__(self, node: Any, callback: Callable[..., Any] | None, callback_group: Any) -> None:
        super().__init__(node, callback_group)
        self.callback = callback

    async def _call(self) -> None:
        if self.callback is not None:
            await await_or_execute(self.callback)


class Timer(_CallingEntity):
    """Calls a function periodically in a clock's time."""

    def __init__(
        self, node: Any, callback: Any, period_ns: int, clock: Clock, callback_group: Any, autostart: bool = True
    ) -> None:
        if period_ns < 0:
            raise RCLError(f"failed to create timer: timer period must be non-negative, not {period_ns} ns")
        super().__init__(node, callback, callback_group)
        self._period, self.clock, self._cancelled = period_ns, clock, not autostart
        self._last = clock._now()
        self._next = self._last + period_ns
        self._forget_jumps = clock._on_jump(self._jumped)

    def _jumped(self) -> None:
        self._next = min(self._next, self.clock._now() + self._period)  # time may have gone back
        if self._is_ready():
            self._node._wake()

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

    _is_ready = is_ready

    def is_canceled(self) -> bool:
        return self._cancelled

    def cancel(self) -> None:
        self._cancelled = True

    def reset(self) -> None:
        """Begin a new period now; a cancelled timer runs again."""
        self._cancelled = False
        self._next = self.clock._now() + self._period
        self._node._wake()

    def time_since_last_call(self) -> int:
        return self.clock._now() - self._last

    def time_until_next_call(self) -> int | None:
        return None if self._cancelled else self._next - self.clock._now()

    def _seconds_to_wait(self) -> float | None:
        """Seconds until it is due; None for a timer that is cancelled or busy, or that /clock will wake."""
        if self._cancelled or self.clock.ros_time_is_active or not self.callback_group.can_execute(self):
            return None
        return (self._next - self.clock._now()) / 1e9

    def _take(self) -> Work | None:
        now = self.clock._now()
        if now < self._next:
            return None
        self._last = now
        # Missed periods are skipped, and the phase is kept
        self._next += self._period * (1 + (now - self._next) // self._period) if self._period else 0
        return self._call

    def destroy(self) -> None:
        self._forget_jumps()
        super().destroy()


class GuardCondition(_CallingEntity):
    """Calls a function after `trigger`."""

    _triggered = False

    def trigger(self) -> None:
        self._check()
        self._triggered = True
        self._node._wake()

    def _is_ready(self) -> bool:
        return self._triggered and not self._destroyed

    def _take(self) -> Work | None:
        self._triggered = False
        return self._call
