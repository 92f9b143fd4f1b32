"""What people may do to a running sandbox, under /sandbox/, and all three applications behind one address.

GET  /sandbox/books                                   charges, balance, accounts, the newest price
POST /sandbox/use       {address, energy}             a contract call
POST /sandbox/transfer  {from, to, amount}            a USDT transfer (millionths)
POST /sandbox/accounts  {address, stake_energy, balance_sun, tokens}
POST /sandbox/mood      {side, mood, endpoint, times} a mood by name, or {side, answer: {status, headers, body}, …},
                                                      or {side, clear: true}; node also: stale_head, balancer
POST /sandbox/terms     {field: value}                a field of Terms; durations in seconds
POST /sandbox/prices    {rent_sun, cycle_sun, burn_sun}

Faulty input is answered with 400 and `{"error": …}`.
"""

import json
from collections.abc import Callable
from dataclasses import fields
from datetime import timedelta
from typing import Any, Literal, get_args, get_origin, get_type_hints

from energyd.sandbox import addresses
from energyd.sandbox.asgi import (
    ANYWHERE,
    Answer,
    Application,
    Mood,
    Receive,
    Request,
    Scope,
    Send,
    accept_lifespan,
    json_answer,
    read_request,
    send_answer,
)
from energyd.sandbox.netts import MOODS as NETTS_MOODS, Netts
from energyd.sandbox.netts_terms import Terms
from energyd.sandbox.node import MOODS as NODE_MOODS, Node
from energyd.sandbox.world import World
from energyd.units import moment_text, trx_text

Body = dict[str, Any]
_Act = Callable[[Body], Body]

_NODE_HEADS = ("stale_head", "balancer")
_BALANCER_LAGS = (0, 3)


class BadRequestError(Exception):
    """What is wrong with a request, in words for its author."""


class Control:
    """An ASGI application."""

    def __init__(self, world: World, node: Node, netts: Netts) -> None:
        self.world, self.node, self.netts = world, node, netts
        self._acts: dict[tuple[str, str], _Act] = {
            ("GET", "books"): self._books,
            ("POST", "use"): self._use,
            ("POST", "transfer"): self._transfer,
            ("POST", "accounts"): self._accounts,
            ("POST", "mood"): self._mood,
            ("POST", "terms"): self._terms,
            ("POST", "prices"): self._prices,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await accept_lifespan(receive, send)
            return
        await send_answer(send, self.answer(await read_request(scope, receive)))

    def answer(self, request: Request) -> Answer:
        self.world.advance()
        act = self._acts.get((request.method, request.path.removeprefix("/sandbox/")))
        if act is None:
            known = ", ".join(f"{method} /sandbox/{name}" for method, name in self._acts)
            return json_answer({"error": f"no such path; there are {known}"}, 404)
        try:
            return json_answer(act(_read(request.body) if request.method == "POST" else {}))
        except BadRequestError as problem:
            return json_answer({"error": str(problem)}, 400)

    def _books(self, _: Body) -> Body:
        books = self.netts.books
        charges = [
            {
                "at": moment_text(charge.at),
                "kind": charge.kind,
                "address": charge.address,
                "amount": charge.amount,
                "cost_sun": charge.cost_sun,
                "order_id": charge.order_id,
            }
            for charge in books.charges
        ]
        return {
            "at": moment_text(self.world.time),
            "balance": trx_text(books.balance_sun),
            "balance_sun": books.balance_sun,
            "spent_sun": books.spent_sun,
            "burned_sun": sum(use.burned_sun for use in self.world.uses),
            "charges": charges,
            "accounts": [self._account(address) for address in self._people()],
        }

    def _people(self) -> list[str]:
        known = self.world.accounts.items()
        return [address for address, account in known if not account.is_contract and address != self.world.lender]

    def _account(self, address: str) -> Body:
        hosted = self.netts.host_mode.hosted.get(address)
        state = self.world.accounts[address].states[-1]
        figures = {"address": address, "available": self.world.available(address), "balance_sun": state.balance_sun}
        return figures | {"cycles": hosted.cycles if hosted else None}

    def _use(self, body: Body) -> Body:
        use = self.world.use(self._activated(body, "address"), _whole(body, "energy"))
        return {"tx_id": use.tx_id, "result": use.result, "from_stake": use.from_stake, "burned_sun": use.burned_sun}

    def _transfer(self, body: Body) -> Body:
        sender, amount = self._activated(body, "from"), _whole(body, "amount", 1_000_000)
        use = self.world.transfer(sender, _address(body, "to"), amount)
        return {"tx_id": use.tx_id, "result": use.result, "from_stake": use.from_stake, "burned_sun": use.burned_sun}

    def _activated(self, body: Body, field: str) -> str:
        address = _address(body, field)
        if self.world.account(address) is None:
            raise BadRequestError(f"{address} is not activated; POST it to /sandbox/accounts first")
        return address

    def _accounts(self, body: Body) -> Body:
        address = _address(body, "address")
        self.world.add_account(
            address,
            stake_energy=_whole(body, "stake_energy", 0),
            balance_sun=_whole(body, "balance_sun") if "balance_sun" in body else None,
            tokens=_whole(body, "tokens") if "tokens" in body else None,
        )
        return self._account(address)

    def _mood(self, body: Body) -> Body:
        side, endpoint = body.get("side"), str(body.get("endpoint", ANYWHERE))
        if side not in {"node", "netts"}:
            raise BadRequestError("side must be 'node' or 'netts'")
        moods = self.node.moods if side == "node" else self.netts.moods
        if body.get("clear"):
            moods.clear(body.get("endpoint"))
            if side == "node":
                self.node.stale, self.node.lags = False, (0,)
            return {"mood": "good"}
        if side == "node" and body.get("mood") in _NODE_HEADS:
            self._set_heads(str(body["mood"]))
        else:
            times = _whole(body, "times") if "times" in body else None
            moods.set(_chosen(body, NODE_MOODS if side == "node" else NETTS_MOODS), endpoint, times=times)
        return {"side": side, "endpoint": endpoint, "mood": body.get("mood", "answer")}

    def _set_heads(self, name: str) -> None:
        if name == "balancer":
            self.node.lags = _BALANCER_LAGS
        else:
            self.node.stale = True

    def _terms(self, body: Body) -> Body:
        hints = get_type_hints(Terms)
        read = {name: _term(name, value, hints) for name, value in body.items()}
        for name, value in read.items():
            setattr(self.netts.terms, name, value)
        names = [field.name for field in fields(Terms) if field.name != "api_key"]
        return {name: _shown(getattr(self.netts.terms, name)) for name in names}

    def _prices(self, body: Body) -> Body:
        if "rent_sun" in body:
            self.netts.prices.set_price(_whole(body, "rent_sun"))
        if "cycle_sun" in body:
            self.netts.prices.cycle_sun = _whole(body, "cycle_sun")
        if "burn_sun" in body:
            self.world.set_burn_price(_whole(body, "burn_sun"))
        prices = self.netts.prices
        burn = self.world.burn_price_sun()
        return {"rent_sun": prices.rent_sun(), "cycle_sun": prices.cycle_sun, "burn_sun": burn}


def _read(body: bytes) -> Body:
    try:
        parsed = json.loads(body)
    except ValueError as error:
        raise BadRequestError(f"the body is not JSON: {error}") from None
    if not isinstance(parsed, dict):
        raise BadRequestError("the body must be a JSON object")
    return parsed


def _address(body: Body, field: str) -> str:
    address = body.get(field)
    if not isinstance(address, str) or not addresses.is_address(address):
        raise BadRequestError(f"{field} must be a TRON address, not {address!r}")
    return address


def _whole(body: Body, field: str, default: int | None = None) -> int:
    value = body.get(field, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise BadRequestError(f"{field} must be a whole number, not {value!r}")
    return value


def _chosen(body: Body, known: dict[str, Mood]) -> Mood:
    if "answer" in body:
        return _forced(body["answer"], carried_out=bool(body.get("carried_out")))
    mood = known.get(str(body.get("mood")))
    if mood is None:
        raise BadRequestError(f"mood must be one of {', '.join(sorted(known))}, not {body.get('mood')!r}")
    return mood


def _forced(answer: object, *, carried_out: bool) -> Mood:
    if not isinstance(answer, dict) or not isinstance(answer.get("headers", {}), dict):
        raise BadRequestError("answer must be an object of status, headers and body")
    status, body = _whole(answer, "status", 200), answer.get("body", {})
    headers = [(str(name), str(value)) for name, value in answer.get("headers", {}).items()]
    forced = (
        Answer(status, body.encode(), tuple(headers)) if isinstance(body, str) else json_answer(body, status, headers)
    )
    return Mood(answer=forced, carried_out=carried_out)


def _term(name: str, value: Any, hints: dict[str, Any]) -> Any:
    """A value for a field of Terms, checked against the type that stands there."""
    hint = hints.get(name)
    options = [option for part in (hint, *get_args(hint)) if get_origin(part) is Literal for option in get_args(part)]
    if hint is None:
        raise BadRequestError(f"there is no term {name!r}; there are {', '.join(hints)}")
    if options and value not in options and not (value is None and type(None) in get_args(hint)):
        raise BadRequestError(f"{name} must be one of {', '.join(options)}, not {value!r}")
    if hint in {bool, int, str} and type(value) is not hint:
        raise BadRequestError(f"{name} must be of type {hint.__name__}, not {value!r}")
    if tuple in {get_origin(part) for part in (hint, *get_args(hint))} and value is not None:
        if not isinstance(value, list):
            raise BadRequestError(f"{name} must be a list, not {value!r}")
        return tuple(value)
    if timedelta in {hint, *get_args(hint)} and value is not None:
        return timedelta(seconds=_whole({name: value}, name))
    return value


def _shown(value: object) -> object:
    return value.total_seconds() if isinstance(value, timedelta) else value


def application(world: World, node: Node, netts: Netts) -> Application:
    """All three behind one address: /wallet…, /apiv2/… and /sandbox/….

    ConnectionDropped leaves it; wrap it in `asgi.over_tcp` for a real server.
    """
    control = Control(world, node, netts)

    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await accept_lifespan(receive, send)
            return
        path = scope["path"]
        chosen = node if path.startswith("/wallet") else netts if path.startswith("/apiv2/") else control
        await chosen(scope, receive, send)

    return dispatch
