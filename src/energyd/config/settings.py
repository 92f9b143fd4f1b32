"""The shape of energyd.yaml: frozen and checking itself.

Paths are absolute once a file was loaded; secrets show as stars wherever they are printed.
"""

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import BeforeValidator, ConfigDict, Field, SecretStr, ValidationInfo, WithJsonSchema, field_validator

from energyd.config import credentials
from energyd.config.source import why
from energyd.fields import Duration, Shape, Switch, Whole, at_least, listed, shown
from energyd.model import Mode, OrderLimits

SOCKET_PATH_MAX = 107
"""Bytes of a Unix socket's path on Linux (unix(7): 108 with the closing zero)."""


# --- field types of this file only ----------------------------------------------------------------------------------


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _split_url(value: object) -> SplitResult:
    try:
        parts = urlsplit(value if isinstance(value, str) else "")
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good or re.search(r"\s", str(value)):
        what = "this" if "@" in str(value) else shown(value)
        raise ValueError(f"{what} is not the address of a server; write it like 'https://netts.io'")
    return parts


def _url(value: object) -> str:
    parts = _split_url(value)
    if parts.username or parts.password:
        raise ValueError("a password cannot stand in the address of a server, which is logged; give the key by itself")
    if parts.query or parts.fragment:
        raise ValueError("the address of a server ends before '?' and '#'; remove the rest")
    return str(value).rstrip("/")


def is_plain(url: str) -> bool:
    """Whether others can read what is sent there: http to anywhere but this machine."""
    parts = urlsplit(url)
    return parts.scheme == "http" and not is_loopback(parts.hostname or "")


def _private_url(value: object) -> str:
    url = _url(value)
    if is_plain(url):
        raise ValueError("over http the key travels readable to another machine; write https://")
    return url


_LOOPBACK = r"(localhost|127(\.[0-9]{1,3}){3}|\[[0:]*:0*1\])"
Url = Annotated[str, BeforeValidator(_url), WithJsonSchema({"type": "string", "pattern": r"^https?://[^\s?#@]+$"})]
PrivateUrl = Annotated[
    str,
    BeforeValidator(_private_url),
    WithJsonSchema(
        {"type": "string", "pattern": rf"^(https://[^\s?#@/]+|http://{_LOOPBACK}(:[0-9]{{1,5}})?)(/[^\s?#@]*)?$"}
    ),
]
"""A server that is sent a key: http only on this machine."""


def _secret(value: object) -> SecretStr:
    if isinstance(value, SecretStr):
        return value
    if not isinstance(value, str):
        raise ValueError("a key is text; put it in quotes")
    if not re.fullmatch(r"[\x21-\x7e]+", value):
        raise ValueError("the key is empty or has a space, a line break or a letter that no key has; copy it again")
    return SecretStr(value)


_TEXT = WithJsonSchema({"type": "string", "minLength": 1, "pattern": r"^[\x21-\x7e]+$", "description": "a secret"})
Secret = Annotated[SecretStr, BeforeValidator(_secret), _TEXT]


def _alert_url(value: object) -> SecretStr:
    secret = _secret(value)
    if not re.match(r"[a-z][a-z0-9+.-]*://.", secret.get_secret_value(), re.IGNORECASE):
        raise ValueError("this is not a notification URL; write it like 'json://127.0.0.1:9000/alerts'")
    return secret


AlertUrl = Annotated[
    SecretStr,
    BeforeValidator(_alert_url),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^[A-Za-z][A-Za-z0-9+.-]*://[\x21-\x7e]+$",
            "description": "a notification URL; it may hold a token and is kept secret",
        }
    ),
]


def _path(value: object, info: ValidationInfo) -> Path:
    if not isinstance(value, str | Path) or not str(value):
        raise ValueError(f"{shown(value)} is not a path; write it like '/var/lib/energyd'")
    folder = info.context if isinstance(info.context, Path) else Path()
    return folder / value


FilePath = Annotated[
    Path, BeforeValidator(_path), WithJsonSchema({"type": "string", "minLength": 1, "description": "a path"})
]


def _ledger_file(value: object) -> object:
    if isinstance(value, str) and re.match(r"[a-z0-9+]+://", value, re.IGNORECASE):
        scheme = value.partition(":")[0]
        raise ValueError(f"a ledger at {scheme}:// is not supported yet; write the path of a SQLite file")
    return value


LedgerFile = Annotated[
    Path,
    BeforeValidator(_path),
    BeforeValidator(_ledger_file),
    WithJsonSchema(
        {
            "type": "string",
            "minLength": 1,
            "not": {"pattern": "^[A-Za-z0-9+]+://"},
            "description": "the ledger, a SQLite file",
        }
    ),
]


def _single_ip(value: object) -> str:
    try:
        return str(ipaddress.ip_address(value if isinstance(value, str) else ""))
    except ValueError:
        pass
    if isinstance(value, str) and "/" in value:
        raise ValueError(f"{shown(value)} is a range; Netts whitelists single addresses, write the one you leave from")
    raise ValueError(f"{shown(value)} is not an IP address; write it like 203.0.113.7")


SingleIp = Annotated[
    str,
    BeforeValidator(_single_ip),
    WithJsonSchema(
        {"type": "string", "pattern": "^[0-9A-Fa-f:.]+$", "description": "one IPv4 or IPv6 address, no range"}
    ),
]


@dataclass(frozen=True, slots=True)
class UnixSocket:
    path: Path

    def __str__(self) -> str:
        return f"unix:{self.path}"


@dataclass(frozen=True, slots=True)
class TcpSocket:
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


_HOST_PORT = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[^:\s\[\]]+)):(?P<port>[0-9]{1,5})", re.ASCII)


def _listen(value: object, info: ValidationInfo) -> UnixSocket | TcpSocket:
    if isinstance(value, UnixSocket | TcpSocket):
        return value
    text = value if isinstance(value, str) else ""
    if text.startswith("unix:") and text != "unix:":
        path = _path(text.removeprefix("unix:"), info)
        if len(bytes(path)) > SOCKET_PATH_MAX:
            raise ValueError(f"the path of the socket is longer than {SOCKET_PATH_MAX} bytes; choose a shorter one")
        return UnixSocket(path)
    match = _HOST_PORT.fullmatch(text)
    if match is None or not 0 < int(match["port"]) < 2**16:
        raise ValueError(f"{shown(value)} is no place to listen; write 'unix:/run/energyd.sock' or '127.0.0.1:8480'")
    host = match["six"] or match["host"]
    if not is_loopback(host):
        raise ValueError(f"{shown(value)} can be reached from other machines; listen on 127.0.0.1 or a Unix socket")
    return TcpSocket(host, int(match["port"]))


Listen = Annotated[
    UnixSocket | TcpSocket,
    BeforeValidator(_listen),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": rf"^(unix:.+|{_LOOPBACK}:[0-9]{{1,5}})$",
            "examples": ["unix:/run/energyd/energyd.sock", "127.0.0.1:8480"],
        }
    ),
]

RequestRate = Annotated[int, Whole("a number of requests", 1, 1000, 5)]
Timeout = Annotated[Duration, at_least(1)]

# --- the file -------------------------------------------------------------------------------------------------------


class NodeSettings(Shape):
    """The TRON node that is asked."""

    url: Annotated[Url, Field(repr=False)] = "https://api.trongrid.io"
    """Any TRON full node's HTTP API."""
    fallbacks: Annotated[tuple[Url, ...], listed, Field(repr=False)] = ()
    """Asked in this order while the first one fails."""
    api_keys: Annotated[tuple[Secret, ...], listed] = ()
    """Keys for the node, used in turn."""
    max_rps: RequestRate = 12
    """Requests a second, over everything that is asked of the node."""
    timeout: Timeout = timedelta(seconds=10)
    """How long to wait for one answer."""

    def keys(self) -> tuple[str, ...]:
        return tuple(key.get_secret_value() for key in self.api_keys)


class OrderEnergy(Shape):
    """The smallest and the largest amount of energy that one order may have."""

    min: Annotated[int, Whole("an amount of energy", 1, 1_000_000_000, 61_000)] = 61_000
    """Netts sells no less in one order; smaller needs are rounded up."""
    max: Annotated[int, Whole("an amount of energy", 1, 1_000_000_000, 61_000)] = 3_000_000
    """Larger needs take several orders."""

    @field_validator("max")
    @classmethod
    def _is_not_below_min(cls, most: int, others: ValidationInfo) -> int:
        if most < others.data.get("min", 0):
            raise ValueError("max is below min; no order could be placed")
        return most


class CyclesPerOrder(Shape):
    """The largest number of Host Mode cycles that one order may have."""

    max: Annotated[int, Whole("a number of cycles", 1, 10_000, 100)] = 100
    """Larger needs take several orders."""


class NettsSettings(Shape):
    """The account at Netts from which energy is rented."""

    url: PrivateUrl = "https://netts.io"
    """Netts, or a sandbox of it."""
    api_key: Secret | None = None
    """The key, better as ${NETTS_API_KEY} than written out."""
    api_key_file: FilePath | None = None
    """A file with nothing but the key. Without key and file, the systemd credential netts_api_key is taken."""
    real_ip: SingleIp | None = None
    """The whitelisted address from which you leave. Live orders need it."""
    max_rps: RequestRate = 1
    """Requests a second."""
    timeout: Timeout = timedelta(seconds=30)
    """How long to wait for one answer."""
    order_energy: OrderEnergy = OrderEnergy()
    cycles_per_order: CyclesPerOrder = CyclesPerOrder()
    auth: Literal["body", "headers", "both"] = "both"
    """Where calls about Host Mode carry the key; its documents contradict each other."""

    model_config = ConfigDict(json_schema_extra={"not": {"required": ["api_key", "api_key_file"]}})

    @field_validator("api_key_file")
    @classmethod
    def _is_the_only_key(cls, file: Path | None, others: ValidationInfo) -> Path | None:
        if file is not None and others.data.get("api_key") is not None:
            raise ValueError("both api_key and api_key_file are given; remove one")
        return file

    def key(self) -> str:
        """The key for Netts; a configuration that was loaded with `need_key` has one."""
        assert self.api_key is not None
        return self.api_key.get_secret_value()

    @property
    def limits(self) -> OrderLimits:
        return OrderLimits(self.order_energy.min, self.order_energy.max, self.cycles_per_order.max)


class LogSettings(Shape):
    """What is logged, and in which form."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important events that are logged."""
    format: Literal["json", "console"] | None = None
    """Left out: console on a terminal, json otherwise."""


class Settings(Shape):
    """The settings of a daemon: energyd.yaml."""

    mode: Annotated[Mode, Field(strict=False)]
    """Live spends money; dry-run decides and logs, and spends nothing."""
    node: NodeSettings = NodeSettings()
    netts: NettsSettings = NettsSettings()
    policies: Annotated[FilePath, Field(validate_default=True)] = Path("policies")
    """A policy file, a folder of them (*.yaml, *.yml), or a glob. Relative paths start at this file."""
    on_broken_policies: Literal["refuse", "last_good"] = "refuse"
    """At a start with broken policies: end with status 78, or run those that were taken over last, with an alert."""
    watch: Switch = False
    """Reload when a file of the configuration was changed; without it, when asked to."""
    state: LedgerFile = Path("/var/lib/energyd/energyd.db")
    """The ledger: a SQLite file that remembers what was ordered and spent."""
    listen: Listen = UnixSocket(Path("/run/energyd/energyd.sock"))
    """Where the control API, /metrics and the page to look at are: unix:PATH, or HOST:PORT on this machine."""
    listen_token: Secret | None = None
    """What clients of HOST:PORT must bring, of 16 characters or more, better as ${LISTEN_TOKEN} than written out.
    A socket's file needs none."""
    listen_token_file: FilePath | None = None
    """A file with nothing but the token. Without token and file, the systemd credential listen_token is taken."""
    log: LogSettings = LogSettings()
    alerts: Annotated[tuple[AlertUrl, ...], listed] = ()
    """Notification URLs to which raised and cleared alerts are sent."""

    model_config = ConfigDict(json_schema_extra={"not": {"required": ["listen_token", "listen_token_file"]}})

    @field_validator("listen_token_file")
    @classmethod
    def _is_the_only_token(cls, file: Path | None, others: ValidationInfo) -> Path | None:
        if file is not None and others.data.get("listen_token") is not None:
            raise ValueError("both listen_token and listen_token_file are given; remove one")
        return file

    def token(self) -> str | None:
        """What clients must bring: nothing where the permissions of a socket's file keep others out."""
        if isinstance(self.listen, UnixSocket) or self.listen_token is None:
            return None
        return self.listen_token.get_secret_value()


# --- the key from outside the file ----------------------------------------------------------------------------------

KEY_CREDENTIAL, TOKEN_CREDENTIAL = "netts_api_key", "listen_token"
TOKEN_AT_LEAST = 16
"""Characters of `listen_token`: who has it may let the daemon spend."""
_KEY_BYTES_MAX = 4096


def credential_file(name: str, environ: Mapping[str, str]) -> Path | None:
    """The file of a systemd credential, when there is one."""
    file = credentials.folder(environ) / name
    return file if os.path.lexists(file) else None


def read_key(file: Path) -> SecretStr:
    """The key in a file, without the white space around it. Raises ValueError with what is wrong."""
    try:
        with file.open("rb") as stream:
            content = stream.read(_KEY_BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        raise ValueError(f"the key cannot be read from its file: {why(error)}; check the path and its rights") from None
    if len(content) > _KEY_BYTES_MAX:
        raise ValueError("the file of the key is too large to be a key; write nothing but the key into it")
    return _secret(content.decode("ascii", "replace").strip())
