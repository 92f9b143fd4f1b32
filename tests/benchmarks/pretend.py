"""A node and a Netts that cost next to nothing: fixed answers, in a process of their own or within this one.

The sandbox is for behaviour and computes every answer; here only the time of whoever asks is of interest.
"""

import asyncio
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import orjson

ROOT = Path(__file__).parents[2]
PRICES = {"energy_1h": {"unit": "sun", "periods": [{"is_current": True, "price": 30}]}}
ANSWERS = {
    "getaccount": {},  # nobody delegates to it
    "getchainparameters": {"chainParameter": [{"key": "getEnergyFee", "value": 100}]},
    "pricing": {"success": True, "data": {"services": PRICES}},
    "userinfo": {"status": "success", "stats": {"balance": 28361.15, "total_trx_spent": 832181.95}},
    "order1h": {"detail": {"code": 10_000, "data": {"orderId": "1H1", "paidTRX": 3.93, "energy": 131_000}}},
}
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)


def answer(path: str, *, energy_limit: int) -> bytes:
    """The body for a path of either service; every address has `energy_limit` and has used nothing."""
    name = path.rpartition("/")[2].partition("?")[0]
    if name == "getblock":
        now = int(time.time())
        raw = {"number": now // 3, "timestamp": now // 3 * 3000}
        return orjson.dumps({"block_header": {"raw_data": raw}})
    if name == "getaccountresource":
        return orjson.dumps({"EnergyLimit": energy_limit, "TotalEnergyLimit": 180_000_000_000})
    return orjson.dumps(ANSWERS[name])


class InMemory(httpx.AsyncBaseTransport):
    """Both services without a network. Notes when the last reading was handed over and when the last order came."""

    def __init__(self, energy_limit: int) -> None:
        self._energy_limit = energy_limit
        self.read_at = self.ordered_at = 0.0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path.endswith("/order1h"):
            self.ordered_at = time.perf_counter()
        body = answer(path, energy_limit=self._energy_limit)
        if path.endswith("/getaccountresource"):
            self.read_at = time.perf_counter()
        return httpx.Response(200, content=body)


class _Connection(asyncio.Protocol):
    """As much of HTTP/1.1 as clients need that keep connections and wait for each answer."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport, self._came = transport, b""

    def data_received(self, data: bytes) -> None:
        self._came += data
        head, end, body = self._came.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not end or len(body) < int(length[1] if length else 0):
            return
        self._came = b""
        said = answer(head.split(b" ", 2)[1].decode(), energy_limit=1_000_000)
        self._transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(said), said))


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(_Connection, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


@contextmanager
def served() -> Iterator[str]:
    """The URL of both services, served by another process."""
    command = [sys.executable, "-m", "tests.benchmarks.pretend"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


if __name__ == "__main__":
    asyncio.run(_serve())
