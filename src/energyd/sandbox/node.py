"""The HTTP interface of a TRON full node over a World, with the ways in which public nodes misbehave.

Failures are HTTP 200 with `Error`, as java-tron has them; `release="4.8.2"` words its errors as that release does.
"""

from collections.abc import Callable

from energyd.sandbox.asgi import (
    COMMON_MOODS,
    Answer,
    Mood,
    Moods,
    Receive,
    Request,
    Scope,
    Send,
    accept_lifespan,
    json_answer,
    perform,
    read_request,
    send_answer,
    text_answer,
)
from energyd.sandbox.chain import SOLID_LAG
from energyd.sandbox.node_answers import NodeAnswers
from energyd.sandbox.node_requests import NodeError, Params, View, params_of
from energyd.sandbox.world import World

_Call = Callable[[Params, View], object]
_SOLID_CALLS = frozenset(
    [
        "getaccount",
        "getnowblock",
        "getblock",
        "getblockbynum",
        "getblockbylimitnext",
        "gettransactioninfobyid",
        "gettransactioninfobyblocknum",
        "triggerconstantcontract",
        "estimateenergy",
        "getdelegatedresourcev2",
        "getenergyprices",
    ]
)
_VISIBLE_FROM_QUERY = frozenset({"getnowblock", "getchainparameters"})


def _error(text: str, status: int = 200) -> Answer:
    return json_answer({"Error": text}, status)


MOODS = COMMON_MOODS | {
    "empty": Mood(answer=json_answer({})),
    "error": Mood(answer=_error("class java.lang.NullPointerException : null")),
    "frequency": Mood(
        answer=_error("The key exceeds the frequency limit(15), and the query server is suspended for 30s", 403)
    ),
    "daily": Mood(
        answer=_error("Exceed the user daily usage (100000), the maximum query frequency is 1 time per second", 403)
    ),
    "too_many": Mood(answer=Answer(429, b"")),
    "unknown_key": Mood(answer=_error("ApiKey not exists", 401)),
    "busy": Mood(answer=_error("class java.lang.IllegalAccessException : lack of computing resources")),
    "lite": Mood(answer=text_answer("this API is closed because this node is a lite fullnode")),
    "no_constant_calls": Mood(
        answer=json_answer(
            {"result": {"code": "CONTRACT_VALIDATE_ERROR", "message": "this node does not support constant"}}
        )
    ),
    "disabled": Mood(answer=_error("this API is unavailable due to config", 404)),
}
"""Moods by name. The endpoint of a mood is the last part of the path, such as `getaccountresource`."""


class Node:
    """An ASGI application. Its switches can be changed at any time.

    `lags`: by how many blocks the heads behind a balancer are late; answers take turns. `shows_pending`: reads show
    calls that wait for their block, as real nodes do. `stale`: the head stays where it was when this was set.
    """

    def __init__(self, world: World, *, release: str = "4.8.1", estimates: bool = False) -> None:
        self.world = world
        self.moods = Moods()
        self.answers = NodeAnswers(world, release=release, estimates=estimates)
        self.lags: tuple[int, ...] = (0,)
        self.shows_pending = True
        self.requests = 0
        self._stale_head: int | None = None
        self._calls: dict[str, _Call] = {
            "getaccountresource": self.answers.account_resource,
            "getaccount": self.answers.account,
            "getchainparameters": self.answers.chain_parameters,
            "getnowblock": self.answers.now_block,
            "getblock": self.answers.block,
            "getblockbynum": self.answers.block_by_number,
            "getblockbylimitnext": self.answers.blocks,
            "gettransactioninfobyblocknum": self.answers.receipts,
            "gettransactioninfobyid": self.answers.receipt,
            "triggerconstantcontract": self.answers.constant_call,
            "estimateenergy": self.answers.estimate,
            "getcontractinfo": self.answers.contract_info,
            "getdelegatedresourcev2": self.answers.delegated,
            "getdelegatedresourceaccountindexv2": self.answers.delegation_index,
            "getenergyprices": self.answers.energy_prices,
            "getnextmaintenancetime": self.answers.next_maintenance,
            "getnodeinfo": self.answers.node_info,
        }

    @property
    def stale(self) -> bool:
        return self._stale_head is not None

    @stale.setter
    def stale(self, stale: bool) -> None:
        self.world.advance()
        self._stale_head = self.world.head if stale else None

    def mood(self, name: str, endpoint: str = "*", *, times: int | None = None) -> None:
        """Sets one of MOODS by its name, for the next `times` requests or until cleared."""
        self.moods.set(MOODS[name], endpoint, times=times)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await accept_lifespan(receive, send)
            return
        request = await read_request(scope, receive)
        mood = self.moods.take(request.path.rpartition("/")[2])
        await send_answer(send, await perform(mood, lambda: self.answer(request)))

    def answer(self, request: Request) -> Answer:
        """The answer in a good mood."""
        self.world.advance()
        self.requests += 1
        layer, _, name = request.path.removeprefix("/").partition("/")
        solid = layer == "walletsolidity"
        call = self._calls.get(name)
        if call is None or not (layer == "wallet" or (solid and name in _SOLID_CALLS)):
            return text_answer("<html><body>Error 404 Not Found</body></html>", 404, "text/html")
        try:
            params = params_of(request, self.answers.release)
            asked = request.query if name in _VISIBLE_FROM_QUERY else params
            view = self._view(solid=solid, visible=str(asked.get("visible", "")).lower() == "true")
            return json_answer(call(params, view))
        except NodeError as error:
            return _error(f"class {error}")

    def _view(self, *, solid: bool, visible: bool) -> View:
        newest = self.world.head if self._stale_head is None else self._stale_head
        head = newest - self.lags[self.requests % len(self.lags)]
        if solid:
            head -= SOLID_LAG + head % 2
        current = head == self.world.head and self.shows_pending
        return View(head, None if current else head, visible)
