"""A whole configuration, or everything that is wrong with it.

All files are read before anything is judged, so that one run names every fault of every file.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from glob import glob, has_magic
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr

from energyd.config.advice import Advice, advice_on_policy, advice_on_settings
from energyd.config.beside import read_beside
from energyd.config.credentials import Variables
from energyd.config.faults import shaped
from energyd.config.settings import (
    KEY_CREDENTIAL,
    TOKEN_AT_LEAST,
    TOKEN_CREDENTIAL,
    NettsSettings,
    Settings,
    TcpSocket,
    credential_file,
    is_loopback,
    read_key,
)
from energyd.config.source import Node, file_name, read, why
from energyd.errors import ConfigFault, ConfigFaults, Place
from energyd.fields import Shape
from energyd.model import Mode, OrderLimits
from energyd.policy import Policy

SETTINGS_FILES = (Path("energyd.yaml"), Path("/etc/energyd/energyd.yaml"))
SETTINGS_VARIABLE = "ENERGYD_CONFIG"


@dataclass(frozen=True, slots=True)
class PolicySet:
    """Policies, enabled or not, in the order of their files; the file of each by its name; what may surprise."""

    policies: tuple[Policy, ...]
    files: Mapping[str, str]
    advice: tuple[Advice, ...] = ()


@dataclass(frozen=True, slots=True)
class Configuration:
    """What a daemon runs on. `digest` is the same for the same content, however it is laid out in files."""

    settings: Settings
    policies: tuple[Policy, ...]
    digest: str
    file: Path
    """The settings file, to be read again on reload."""
    advice: tuple[Advice, ...] = ()

    @classmethod
    def of(
        cls, settings: Settings, policies: tuple[Policy, ...], file: Path, advice: Iterable[Advice] = ()
    ) -> "Configuration":
        return cls(settings, policies, _digest([settings, *_by_name(policies)]), file, tuple(sorted(advice)))


@dataclass(frozen=True, slots=True)
class Sources:
    """The files that a configuration is read from, whether they are there or not."""

    settings: tuple[Path, ...]
    """The settings file, and the files of secrets that it names."""
    policies: tuple[Path, ...] = ()
    receivers: tuple[Path, ...] = ()


def find_settings(path: Path | None, environ: Mapping[str, str]) -> Path:
    """The settings file: the one that was named, else $ENERGYD_CONFIG, else the first that is there.

    Raises ConfigFaults with the places that were looked at when there is none.
    """
    if path is not None:
        return path
    if environ.get(SETTINGS_VARIABLE):
        return Path(environ[SETTINGS_VARIABLE])
    found = next((file for file in SETTINGS_FILES if os.path.lexists(file)), None)
    if found is None:
        problem = f"there is no such file here, ${SETTINGS_VARIABLE} is not set, and there is no {SETTINGS_FILES[-1]}"
        raise ConfigFaults([ConfigFault(Place("energyd.yaml"), problem, "name one with --config PATH")])
    return found


def load(path: Path, environ: Mapping[str, str], *, need_key: bool = True) -> Configuration:
    """Settings and all policies. Raises ConfigFaults with every fault of every file, sorted by place.

    Without `need_key` a key for Netts that is not there is only remarked on, for checks that ask nobody.
    """
    environ = Variables(environ)
    root, faults = read(path, environ)
    if root is None:
        raise ConfigFaults(faults)
    folder = path.absolute().parent
    settings, more = shaped(Settings, root, folder)
    faults += more
    if settings is not None:
        settings, more = _ready(settings, root, environ, need_key=need_key)
        faults += more
    try:
        limits = settings.netts.limits if settings is not None else OrderLimits()
        policies = _policy_set(_named_files(folder, root), environ, limits)
    except ConfigFaults as policy_faults:
        faults += policy_faults.faults
    if settings is None or faults:
        raise _sorted(faults)
    advice = (*advice_on_settings(settings, root, policies.policies), *policies.advice)
    return Configuration.of(settings, policies.policies, path, advice)


def load_settings(path: Path, environ: Mapping[str, str], *, need_key: bool = False) -> Settings:
    """The settings alone, for what asks a running daemon: its policies may be in the middle of an edit.

    Raises ConfigFaults as `load` does.
    """
    environ = Variables(environ)
    root, faults = read(path, environ)
    settings, more = (None, []) if root is None else shaped(Settings, root, path.absolute().parent)
    if settings is not None and root is not None:
        settings, wanting = _ready(settings, root, environ, need_key=need_key)
        more += wanting
    if settings is None or faults or more:
        raise _sorted([*faults, *more])
    return settings


def load_policies(paths: Sequence[Path], environ: Mapping[str, str]) -> PolicySet:
    """The policies of files, folders and globs, without settings. Raises ConfigFaults as `load` does."""
    faults: list[ConfigFault] = []
    files: list[Path] = []
    for path in paths:
        found = _policy_files(path)
        if isinstance(found, str):
            faults.append(ConfigFault(Place(file_name(path)), found))
        else:
            files += found
    try:
        policies = _policy_set(files, Variables(environ), OrderLimits())
    except ConfigFaults as more:
        raise _sorted([*faults, *more.faults]) from None
    if faults:
        raise _sorted(faults)
    return policies


def _sorted(faults: Iterable[ConfigFault]) -> ConfigFaults:
    return ConfigFaults(sorted(faults, key=lambda fault: (fault.place, fault.problem)))


def policies_digest(policies: Iterable[Policy]) -> str:
    """The same for policies that mean the same, however they are laid out in files."""
    return _digest(_by_name(policies))


def _by_name(policies: Iterable[Policy]) -> list[Policy]:
    return sorted(policies, key=lambda policy: policy.name)


def _digest(parts: Iterable[Shape]) -> str:
    """The sha256 of what was parsed; secrets count as stars in it."""
    return hashlib.sha256("\n".join(part.model_dump_json() for part in parts).encode()).hexdigest()


# --- files ----------------------------------------------------------------------------------------------------------


def sources(path: Path, environ: Mapping[str, str], *, with_receivers: bool = True) -> Sources:
    """The files that a configuration is read from, as far as they can be found: some of them may be broken."""
    environ, folder = Variables(environ), path.absolute().parent
    root, _ = read(path, environ)
    if root is None:
        return Sources((path,))
    secrets = [node for keys in (("netts", "api_key_file"), ("listen_token_file",)) if (node := _found(root, keys))]
    try:
        files = tuple({file.resolve(): file for file in _named_files(folder, root)}.values())
    except ConfigFaults:
        files = ()
    return Sources(
        settings=(path, *(folder / node.text for node in secrets)),
        policies=files,
        receivers=tuple(named for file in files for named in receivers_of(file, environ)) if with_receivers else (),
    )


def receivers_of(file: Path, environ: Mapping[str, str]) -> tuple[Path, ...]:
    """The files of receivers that a policy file names."""
    root, _ = read(file, Variables(environ))
    calls = None if root is None else root.child("planned_calls")
    nodes = calls.value if calls is not None and isinstance(calls.value, list) else []
    return tuple(
        file.absolute().parent / node.text for call in nodes if (node := call.child("receivers")) and node.text
    )


def _found(root: Node, keys: tuple[str, ...]) -> Node | None:
    """The node at the end of the way, when all of it is there and it is a text."""
    nodes = root.path(keys)
    return nodes[-1] if len(nodes) == len(keys) + 1 and nodes[-1].text else None


# --- settings -------------------------------------------------------------------------------------------------------


def _ready(
    settings: Settings, root: Node, environ: Mapping[str, str], *, need_key: bool
) -> tuple[Settings, list[ConfigFault]]:
    """The settings with the secrets that stand elsewhere, and what the mode still asks for."""
    netts, node = settings.netts, root.path(("netts",))[-1]
    found, faults = _secret(netts, "api_key", KEY_CREDENTIAL, node, environ)
    netts = netts.model_copy(update={"api_key": found})
    token, more = _secret(settings, "listen_token", TOKEN_CREDENTIAL, root, environ)
    faults += more
    if netts.api_key is None and need_key and not faults:
        hint = "write api_key or api_key_file below netts, or pass the systemd credential netts_api_key"
        faults.append(ConfigFault(node.key_place, "there is no key for Netts", hint))
    if isinstance(settings.listen, TcpSocket) and token is None and need_key and not more:
        hint = "write listen_token or listen_token_file, or pass the systemd credential listen_token"
        faults.append(ConfigFault(root.path(("listen",))[-1].place, "listening on TCP needs a token", hint))
    if isinstance(settings.listen, TcpSocket) and token is not None and len(token) < TOKEN_AT_LEAST:
        place = root.path(("listen_token_file" if settings.listen_token_file else "listen_token",))[-1].place
        hint = f"write {TOKEN_AT_LEAST} or more random ones, such as `openssl rand -hex 24` prints"
        faults.append(ConfigFault(place, f"a token of {len(token)} characters can be guessed", hint))
    if settings.mode is Mode.LIVE and netts.real_ip is None and not is_loopback(urlsplit(netts.url).hostname or ""):
        hint = "write the whitelisted address from which you leave as real_ip below netts"
        faults.append(ConfigFault(node.key_place, "live orders need 'real_ip'", hint))
    return settings.model_copy(update={"netts": netts, "listen_token": token}), faults


def _secret(
    shape: NettsSettings | Settings, name: str, credential: str, node: Node, environ: Mapping[str, str]
) -> tuple[SecretStr | None, list[ConfigFault]]:
    """A secret that stands in the settings, in a file that they name, or in a systemd credential."""
    written: SecretStr | None = getattr(shape, name)
    file = getattr(shape, f"{name}_file") or (None if written else credential_file(credential, environ))
    if file is None:
        return written, []
    try:
        return read_key(file), []
    except ValueError as error:
        problem, _, hint = str(error).partition("; ")
        return None, [ConfigFault(node.path((f"{name}_file",))[-1].place, problem, hint)]


def _named_files(folder: Path, root: Node) -> list[Path]:
    """The policy files that the settings name. Read from the tree: other settings may be wrong."""
    node = root.child("policies") or Node(root.place, root.place, "policies")
    found = _policy_files(folder / node.text) if node.text else []
    if isinstance(found, str):
        raise ConfigFaults([ConfigFault(node.place, found)])
    return found


# --- policies -------------------------------------------------------------------------------------------------------


def _policy_files(path: Path) -> list[Path] | str:
    """The files that a path, a folder or a glob names, sorted, without hidden ones; or why there are none."""
    try:
        if path.is_dir():
            files = [file for file in path.iterdir() if file.suffix in (".yaml", ".yml")]
            problem = f"the folder {file_name(path)} has no *.yaml or *.yml file"
        elif has_magic(str(path)) and not path.exists():
            names = glob(str(path), recursive=True)  # noqa: PTH207 - the pattern may be absolute, Path.glob refuses it
            files = [Path(name) for name in names if not Path(name).is_dir()]
            problem = f"no file fits {file_name(path)}"
        else:
            return [path] if path.exists() else f"there is no file or folder {file_name(path)}"
    except OSError as error:
        return f"the policies cannot be read: {why(error)}"
    return sorted(file for file in files if not file.name.startswith(".")) or problem


def _policy_set(files: Iterable[Path], environ: Mapping[str, str], limits: OrderLimits) -> PolicySet:
    faults: list[ConfigFault] = []
    roots: list[Node] = []
    judged: list[tuple[Policy, Node]] = []
    for file in {file.resolve(): file for file in files}.values():
        root, found = read(file, environ)
        faults += found
        if root is None:
            continue
        roots.append(root)
        policy, found = shaped(Policy, root, partial(read_beside, file.absolute().parent))
        faults += found
        if policy is not None:
            judged.append((policy, root))
    faults += _repetitions(roots)
    if faults:
        raise _sorted(faults)
    advice = [word for policy, root in judged for word in advice_on_policy(policy, root, limits)]
    return PolicySet(
        tuple(policy for policy, _ in judged),
        {policy.name: root.place.file for policy, root in judged},
        tuple(sorted(advice)),
    )


def _repetitions(roots: Sequence[Node]) -> Iterator[ConfigFault]:
    """Names and addresses that may stand once only. Read from the trees: other parts of a file may be wrong."""
    yield from _again("the policy", [node for root in roots if (node := root.child("policy"))])
    enabled = [root for root in roots if not _is_disabled(root)]
    yield from _again("the address", [node for root in enabled for node in _addresses(root)])
    for root in roots:
        if _is_disabled(root):
            yield from _again("the address", _addresses(root))
        calls = root.child("planned_calls")
        named = calls.value if calls is not None and isinstance(calls.value, list) else []
        yield from _again("the planned call", [node for call in named if (node := call.child("name"))])


def _is_disabled(root: Node) -> bool:
    node = root.child("enabled")
    return node is not None and node.value in (False, "false")


def _addresses(root: Node) -> list[Node]:
    node = root.child("addresses")
    items = node.value if node is not None and isinstance(node.value, list) else []
    return [item.child("address") or item for item in items]


def _again(what: str, nodes: Iterable[Node]) -> Iterator[ConfigFault]:
    first: dict[str, Node] = {}
    for node in nodes:
        earlier = first.setdefault(node.text, node)
        if node.text and earlier is not node:
            yield ConfigFault(
                node.place,
                f"{what} {node.spoken()} stands at {earlier.place} already",
                "remove or rename one of the two",
            )
