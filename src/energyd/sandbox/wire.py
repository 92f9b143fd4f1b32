"""The pretend network: carries httpx requests to ASGI applications without a socket, and loses some on the way.

A request that was sent travels in a task of its own. Whoever sent it may give up waiting, be cancelled or crash: it
still arrives and takes effect. A network that stops the server when the client stops would hide the worst fault there
is, paying again while the first request is still on its way.

Words: a *trip* is one request and its reply; its two *legs* are the way there and the way back. A *fault* is an
accident of single trips, drawn when the trip begins. Cuts and holds are states of the network: whether a message is
lost is settled when it sets out, so what travels already arrives; a hold stops what travels, too.

In every selector "" stands for any: `host` is a name given to `transport`, `where` a host name or the beginning of a
URL ("https://netts.io/apiv2/order"). Seconds are the running loop's, virtual or real; chance is the given `rng`. There
are no connections here: a lost message looks like an open connection gone silent, which leaves the sender unsure; the
faults REFUSED, POOL_FULL and UNREACHABLE are the kinds that leave no doubt.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import inf
from random import Random

import httpx

from energyd.sandbox.asgi import Application, ConnectionDropped

__all__ = ["BOTH", "Between", "ConnectionDropped", "Disturbance", "Fault", "Leg", "What", "Wire", "WireEvent"]


class Leg(StrEnum):
    REQUEST = "request"
    REPLY = "reply"


BOTH = (Leg.REQUEST, Leg.REPLY)


class Fault(StrEnum):
    """What can befall a single trip, and what the sender sees of it. Several may fall together."""

    REFUSED = "refused"
    """ConnectError after the time of one leg; nothing arrives."""
    POOL_FULL = "pool_full"
    """PoolTimeout; nothing arrives."""
    UNREACHABLE = "unreachable"
    """ConnectTimeout; nothing arrives."""
    WRITE_STALLED = "write_stalled"
    """WriteTimeout, and yet the request arrives: its last bytes were on the way."""
    LOST_REQUEST = "lost_request"
    """ReadTimeout; nothing arrives."""
    LATE_REQUEST = "late_request"
    """The request arrives, but later by the disturbance's seconds."""
    DUPLICATE = "duplicate"
    """The request arrives twice; the first reply to come back counts."""
    LOST_REPLY = "lost_reply"
    """ReadTimeout; the request took effect."""
    LATE_REPLY = "late_reply"
    """The reply comes, but later by the disturbance's seconds."""
    RESET = "reset"
    """ReadError instead of the reply; the request took effect."""


_EARLY: dict[Fault, tuple[str, type[httpx.TransportError]]] = {
    Fault.REFUSED: ("", httpx.ConnectError),
    Fault.POOL_FULL: ("pool", httpx.PoolTimeout),
    Fault.UNREACHABLE: ("connect", httpx.ConnectTimeout),
    Fault.WRITE_STALLED: ("write", httpx.WriteTimeout),
}
"""What the sender meets before it waits for a reply, and which of httpx's timeouts it waits out first."""
_STAYS_HOME = {Fault.REFUSED, Fault.POOL_FULL, Fault.UNREACHABLE}


class What(StrEnum):
    SENT = "sent"
    LOST_REQUEST = "lost_request"
    ARRIVED = "arrived"
    ANSWERED = "answered"
    LOST_REPLY = "lost_reply"
    DELIVERED = "delivered"
    UNHEARD = "unheard"
    """The reply came back, but nobody waited for it any more."""
    FAILED = "failed"
    """The sender was given an error by the clock, not by a message."""


@dataclass(frozen=True, slots=True)
class WireEvent:
    """One line of the trace: at loop second `at`, `what` happened to the trip of that number."""

    at: float
    trip: int
    host: str
    server: str
    method: str
    path: str
    what: What
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Between:
    """A selector: the trips between `host` and `where`."""

    host: str = ""
    where: str = ""

    def covers(self, host: str, url: httpx.URL) -> bool:
        there = str(url).startswith(self.where) if "://" in self.where else self.where in ("", url.host)
        return there and self.host in ("", host)

    def names(self, other: "Between") -> bool:
        return self.host in ("", other.host) and self.where in ("", other.where)


@dataclass(slots=True, eq=False)
class Disturbance:
    """A fault that strikes a share of the trips, until so many were struck or a loop second is reached."""

    fault: Fault
    between: Between
    share: float
    left: float
    until: float
    late_seconds: tuple[float, float]

    def strikes(self, trip: "_Trip", now: float, rng: Random) -> bool:
        if self.left <= 0 or now >= self.until or not trip.within(self.between):
            return False
        if self.share < 1 and rng.random() >= self.share:
            return False
        self.left -= 1
        return True


@dataclass(slots=True, eq=False)
class _Trip:
    number: int
    host: str
    request: httpx.Request
    reply: "asyncio.Future[httpx.Response | httpx.TransportError]"
    orphan: bool
    """Its sender has crashed: no reply can reach it, even if the host is back by then."""
    faults: dict[Fault, float] = field(default_factory=dict)
    """With the seconds of delay that were drawn; only the late ones use them."""

    def within(self, between: Between) -> bool:
        return between.covers(self.host, self.request.url)


class Wire:
    """All hosts' network. `routes` lead from a `where` to an application; the first that matches is taken."""

    def __init__(
        self,
        rng: Random,
        routes: Mapping[str, Application],
        *,
        travel_seconds: tuple[float, float] = (0.02, 0.2),
    ) -> None:
        self.travel_seconds = travel_seconds
        """The shortest and longest time of one leg; may be changed at any time."""
        self._rng = rng
        self._routes = [(Between("", where), application) for where, application in routes.items()]
        self._listeners: list[Callable[[WireEvent], None]] = []
        self._disturbances: list[Disturbance] = []
        self._cuts: list[tuple[Between, Leg]] = []
        self._holds: list[tuple[Between, asyncio.Event]] = []
        self._down: set[str] = set()
        self._trips = 0
        self._travelling: dict[asyncio.Task[None], _Trip] = {}
        self._bugs: list[BaseException] = []

    def transport(self, host: str) -> httpx.AsyncBaseTransport:
        """What `host` gives to its httpx.AsyncClient."""
        return _HostTransport(self, host)

    def on_event(self, listener: Callable[[WireEvent], None]) -> None:
        self._listeners.append(listener)

    # Accidents of single trips

    def disturb(
        self,
        fault: Fault,
        *,
        host: str = "",
        where: str = "",
        share: float = 1.0,
        count: int | None = None,
        for_seconds: float | None = None,
        late_seconds: tuple[float, float] = (60.0, 600.0),
    ) -> Disturbance:
        """Let `fault` strike a `share` of the trips from now on: the next `count`, or for a stretch, or until calmed.

        `late_seconds` is the range from which LATE_REQUEST and LATE_REPLY draw.
        """
        until = inf if for_seconds is None else asyncio.get_running_loop().time() + for_seconds
        left = inf if count is None else count
        disturbance = Disturbance(fault, Between(host, where), share, left, until, late_seconds)
        self._disturbances.append(disturbance)
        return disturbance

    def calm(self, disturbance: Disturbance | None = None) -> None:
        """End one disturbance, or all."""
        self._disturbances = [one for one in self._disturbances if disturbance not in (None, one)]

    # States of the network

    def partition(self, host: str = "", where: str = "", *, legs: tuple[Leg, ...] = BOTH) -> None:
        """Lose what sets out between `host` and `where`, until repaired; one leg alone makes a one-way cut."""
        self._cuts.extend((Between(host, where), leg) for leg in legs)

    def repair(self, host: str = "", where: str = "") -> None:
        """Undo the partitions made with these selectors; "" undoes any."""
        self._cuts = [cut for cut in self._cuts if not Between(host, where).names(cut[0])]

    def hold(self, host: str = "", where: str = "") -> None:
        """Keep back whatever travels between `host` and `where`, both ways, until released."""
        self._holds.append((Between(host, where), asyncio.Event()))

    def release(self, host: str = "", where: str = "") -> None:
        """Let go what was held with these selectors; it arrives at once. "" releases any."""
        freed = [hold for hold in self._holds if Between(host, where).names(hold[0])]
        self._holds = [hold for hold in self._holds if hold not in freed]
        for _, gate in freed:
            gate.set()

    def cut(self, host: str) -> None:
        """Crash the host's side: nothing more goes out or comes in. What it sent before still arrives."""
        self._down.add(host)
        for trip in self._travelling.values():
            trip.orphan |= trip.host == host

    def bounce(self, host: str) -> None:
        """Let the host be back. Replies to what it sent before the crash stay lost."""
        self._down.discard(host)

    async def settle(self, patience_seconds: float = 3600.0) -> None:
        """Release all holds, wait for what still travels, cancel the rest; then raise what went wrong in here.

        An application's exception is a bug of the pretend world, unless it is ConnectionDropped. Its client was
        answered 500, as by a real server, and might well cope with that; so it is raised here. So is a listener's.
        """
        self.release()
        now = asyncio.get_running_loop().time
        deadline = now() + patience_seconds
        while self._travelling and (left := deadline - now()) > 0:
            await asyncio.wait(list(self._travelling), timeout=left)
        for task in (leftover := list(self._travelling)):
            task.cancel()
        await asyncio.gather(*leftover, return_exceptions=True)
        bugs, self._bugs = self._bugs, []
        if bugs:
            raise BaseExceptionGroup("the pretend world failed", bugs)

    # The sender's side of a trip

    async def carry(self, host: str, request: httpx.Request) -> httpx.Response:
        await request.aread()
        trip = self._begin(host, request)
        limits: Mapping[str, float | None] = request.extensions.get("timeout", {})
        if not trip.faults.keys() & _STAYS_HOME:
            self._launch(trip)
        for fault, (stage, error) in _EARLY.items():
            if fault in trip.faults:
                await _wait_in_vain(limits.get(stage) if stage else self._leg_seconds())
                raise self._failed(trip, error)
        return await self._hear(trip, limits.get("read"))

    def _begin(self, host: str, request: httpx.Request) -> _Trip:
        loop = asyncio.get_running_loop()
        self._trips += 1
        trip = _Trip(self._trips, host, request, loop.create_future(), orphan=host in self._down)
        for disturbance in self._disturbances:
            if disturbance.strikes(trip, loop.time(), self._rng):
                trip.faults[disturbance.fault] = self._rng.uniform(*disturbance.late_seconds)
        if self._application(trip) is None:
            trip.faults[Fault.REFUSED] = 0.0
        self._tell(trip, What.SENT, " ".join(trip.faults))
        return trip

    def _launch(self, trip: _Trip) -> None:
        if trip.orphan or Fault.LOST_REQUEST in trip.faults or self._is_cut(trip, Leg.REQUEST):
            self._tell(trip, What.LOST_REQUEST)
            return
        for copy in range(2 if Fault.DUPLICATE in trip.faults else 1):
            task = asyncio.get_running_loop().create_task(self._travel(trip), name=f"trip-{trip.number}.{copy}")
            self._travelling[task] = trip
            task.add_done_callback(self._landed)

    def _landed(self, task: asyncio.Task[None]) -> None:
        del self._travelling[task]
        if not task.cancelled() and (bug := task.exception()):
            self._bugs.append(bug)

    async def _hear(self, trip: _Trip, limit_seconds: float | None) -> httpx.Response:
        try:
            async with asyncio.timeout(limit_seconds):
                answer = await trip.reply
        except TimeoutError:
            raise self._failed(trip, httpx.ReadTimeout) from None
        if isinstance(answer, httpx.TransportError):
            raise answer
        return answer

    def _failed(self, trip: _Trip, error: type[httpx.TransportError]) -> httpx.TransportError:
        self._tell(trip, What.FAILED, error.__name__)
        return error(f"{error.__name__} on the way to {trip.request.url.host}", request=trip.request)

    # The message's side of a trip

    async def _travel(self, trip: _Trip) -> None:
        await self._pass_leg(trip, Fault.LATE_REQUEST)
        self._tell(trip, What.ARRIVED)
        answer = await self._ask(trip)
        self._tell(trip, What.ANSWERED, _name(answer))
        if Fault.LOST_REPLY in trip.faults or self._is_cut(trip, Leg.REPLY):
            self._tell(trip, What.LOST_REPLY)
            return
        if Fault.RESET in trip.faults:
            answer = httpx.ReadError("connection reset by peer", request=trip.request)
        await self._pass_leg(trip, Fault.LATE_REPLY)
        self._deliver(trip, answer)

    async def _pass_leg(self, trip: _Trip, late: Fault) -> None:
        await asyncio.sleep(self._leg_seconds() + trip.faults.get(late, 0.0))
        while gate := self._gate(trip):
            await gate.wait()

    async def _ask(self, trip: _Trip) -> httpx.Response | httpx.TransportError:
        application = self._application(trip)
        assert application is not None, "a trip without a route stays at home"
        asgi = httpx.ASGITransport(application, client=(trip.host, 0))
        try:
            return await asgi.handle_async_request(trip.request)
        except ConnectionDropped:
            return httpx.RemoteProtocolError("server disconnected without sending a response", request=trip.request)
        except Exception as bug:  # noqa: BLE001 - kept for `settle`, where it reaches whoever runs the world
            self._bugs.append(bug)
            return httpx.Response(500, stream=httpx.ByteStream(b""))

    def _deliver(self, trip: _Trip, answer: httpx.Response | httpx.TransportError) -> None:
        if trip.orphan:
            self._tell(trip, What.LOST_REPLY)
        elif trip.reply.done():
            self._tell(trip, What.UNHEARD)
        else:
            trip.reply.set_result(answer)
            self._tell(trip, What.DELIVERED, _name(answer))

    # Small questions

    def _application(self, trip: _Trip) -> Application | None:
        return next((application for between, application in self._routes if trip.within(between)), None)

    def _is_cut(self, trip: _Trip, leg: Leg) -> bool:
        return any(leg is cut_leg and trip.within(between) for between, cut_leg in self._cuts)

    def _gate(self, trip: _Trip) -> asyncio.Event | None:
        return next((gate for between, gate in self._holds if trip.within(between)), None)

    def _leg_seconds(self) -> float:
        return self._rng.uniform(*self.travel_seconds)

    def _tell(self, trip: _Trip, what: What, detail: str = "") -> None:
        request, now = trip.request, asyncio.get_running_loop().time()
        event = WireEvent(now, trip.number, trip.host, request.url.host, request.method, request.url.path, what, detail)
        for listener in self._listeners:
            listener(event)


def _name(answer: httpx.Response | httpx.TransportError) -> str:
    return str(answer.status_code) if isinstance(answer, httpx.Response) else type(answer).__name__


async def _wait_in_vain(limit_seconds: float | None) -> None:
    """Until the limit; without one, for ever, as httpx would."""
    if limit_seconds is None:
        await asyncio.get_running_loop().create_future()
    else:
        await asyncio.sleep(limit_seconds)


class _HostTransport(httpx.AsyncBaseTransport):
    def __init__(self, wire: Wire, host: str) -> None:
        self._wire = wire
        self._host = host

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._wire.carry(self._host, request)
