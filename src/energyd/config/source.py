"""One YAML file as a tree whose every value knows its place, or the faults that kept it from being read.

YAML is read with fewer surprises than usual: a plain scalar is null, true or false, a decimal integer, or text. So
08:00 is a time and not 480, `yes` is a word, 010 is no octal, and a date stays as it was written. Anchors, aliases,
tags and merge keys are refused, and with them files that grow when they are read. `${NAME}` in a text stands for a
variable of the environment; its value may be a secret, so no fault ever quotes it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from energyd.errors import ConfigFault, Place

BYTES_MAX = 1024 * 1024
DEPTH_MAX = 32

Value = bool | int | str | list["Node"] | dict[str, "Node"] | None


@dataclass(slots=True)
class Node:
    """A value and where it stands. `key_place` is its key's place when it has one, else its own."""

    place: Place
    key_place: Place
    value: Value = None
    variables: tuple[str, ...] = ()
    """The variables of the environment in its text."""
    broken: bool = False
    """A fault was already reported for it; what follows from it is not worth another."""

    def variables_inside(self) -> tuple[str, ...]:
        """The variables of the environment in it and in what stands below it."""
        below = self.value if isinstance(self.value, list) else ()
        return (*self.variables, *(name for node in below for name in node.variables_inside()))

    def child(self, step: str | int) -> "Node | None":
        if isinstance(self.value, dict):
            return self.value.get(str(step))
        if isinstance(self.value, list) and isinstance(step, int) and step < len(self.value):
            return self.value[step]
        return None

    def path(self, steps: tuple[str | int, ...]) -> "list[Node]":
        """The nodes on the way along the steps, itself first; a step that names nothing in the file is skipped."""
        nodes = [self]
        for step in steps:
            below = nodes[-1].child(step)
            if below is not None:
                nodes.append(below)
        return nodes

    def plain(self) -> object:
        """The value without places."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    @property
    def text(self) -> str:
        """Its text, and nothing when it is something else."""
        return self.value if isinstance(self.value, str) and not self.broken else ""

    def spoken(self) -> str:
        """Its text for a fault: what came from the environment is only named."""
        return in_words(self.variables) if self.variables else repr(self.text)


def in_words(variables: tuple[str, ...]) -> str:
    return "the value of " + " and ".join(f"${{{name}}}" for name in variables)


def file_name(path: Path) -> str:
    """The path as a person would type it: relative to the working directory when it is below that."""
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)


def why(error: OSError | ValueError) -> str:
    """Why a file cannot be used, in the words of the system."""
    return (getattr(error, "strerror", None) or "its name cannot be used").lower()


def read(path: Path, environ: Mapping[str, str]) -> tuple[Node | None, list[ConfigFault]]:
    """The tree of one file and its faults; no tree when there is nothing to look at any further."""
    file = file_name(path)
    try:
        text = _decoded(file, _bytes(path))
        return _Builder(file, environ).build(text)
    except ConfigFault as fault:
        return None, [fault]


def _bytes(path: Path) -> bytes:
    file = Place(file_name(path))
    try:
        with path.open("rb") as stream:
            content = stream.read(BYTES_MAX + 1)
    except FileNotFoundError:
        raise ConfigFault(file, "there is no such file") from None
    except (OSError, ValueError) as error:
        raise ConfigFault(file, f"the file cannot be read: {why(error)}") from None
    if len(content) > BYTES_MAX:
        raise ConfigFault(file, "the file is larger than 1 MiB", "split it: one file is one policy")
    return content


_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _decoded(file: str, content: bytes) -> str:
    """The text of a UTF-8 file; a byte order mark at its start is dropped."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8-sig", "replace")
        raise ConfigFault(_place_after(file, before), "the file is not UTF-8 text", "save it as UTF-8") from None
    odd = _UNPRINTABLE.search(text)
    if odd is not None:
        problem = f"the character U+{ord(odd[0]):04X} may not stand in a YAML file"
        raise ConfigFault(_place_after(file, text[: odd.start()]), problem, "remove it")
    return text


def _place_after(file: str, text: str) -> Place:
    return Place(file, text.count("\n") + 1, len(text) - (text.rfind("\n") + 1) + 1)


# --- from YAML events to nodes --------------------------------------------------------------------------------------

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_SWITCHES = {
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,79}(_[0-9]{1,79})*)", re.ASCII)
_DIGITS_MAX = 80
"""One more than a uint256 has, which is the longest number that a contract call takes."""


def _resolved(text: str) -> bool | int | str | None:
    """What a plain scalar means."""
    if text in _NULLS:
        return None
    if text in _SWITCHES:
        return _SWITCHES[text]
    if len(text) <= _DIGITS_MAX and _INTEGER.fullmatch(text):
        return int(text)
    return text


@dataclass(slots=True)
class _Builder:
    """Builds the tree of one file from YAML's events. A fault that YAML cannot get over is raised, others are kept."""

    file: str
    environ: Mapping[str, str]
    faults: list[ConfigFault] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)
    events: Iterator[yaml.Event] = field(default_factory=lambda: iter(()))

    def build(self, text: str) -> tuple[Node, list[ConfigFault]]:
        self.events = yaml.parse(text, Loader=yaml.SafeLoader)
        try:
            root = self._document()
        except yaml.MarkedYAMLError as error:
            raise self._syntax_fault(error, text) from None
        except (ValueError, OverflowError):  # PyYAML turns "\\U99999999" into a character without looking
            raise ConfigFault(Place(self.file, 1, 1), "an escape in double quotes stands for no character") from None
        return root, self.faults

    def _document(self) -> Node:
        next(self.events)
        if isinstance(next(self.events), yaml.StreamEndEvent):
            raise ConfigFault(Place(self.file, 1, 1), "the file is empty")
        first = next(self.events)
        root = self._node(first, self._at(first), 0)
        next(self.events)
        after = next(self.events)
        if not isinstance(after, yaml.StreamEndEvent):
            raise ConfigFault(self._at(after), "a second document starts here", "a file holds one: remove the '---'")
        if root.value is None and not root.broken:
            raise ConfigFault(Place(self.file, 1, 1), "the file is empty")
        if not isinstance(root.value, dict):
            raise ConfigFault(root.place, "the file is not a mapping", "start with keys, like 'policy: payouts'")
        return root

    def _at(self, event: yaml.Event) -> Place:
        mark = event.start_mark
        return Place(self.file, mark.line + 1, mark.column + 1) if mark else Place(self.file)

    def _fault(self, place: Place, problem: str, hint: str = "") -> None:
        self.faults.append(ConfigFault(place, problem, hint))

    def _node(self, event: yaml.Event, key_place: Place, depth: int) -> Node:
        if depth > DEPTH_MAX:
            raise ConfigFault(self._at(event), f"the file is nested more than {DEPTH_MAX} deep")
        node = Node(self._at(event), key_place, broken=self._odd(event))
        if isinstance(event, yaml.MappingStartEvent):
            node.value = self._mapping(depth)
        elif isinstance(event, yaml.SequenceStartEvent):
            node.value = self._list(depth)
        elif isinstance(event, yaml.ScalarEvent):
            self._scalar(event, node)
        return node

    def _odd(self, event: yaml.Event) -> bool:
        """Reports what YAML has and these files do not: each anchor once, each tag."""
        anchor, tag = getattr(event, "anchor", None), getattr(event, "tag", None)
        if anchor is not None and anchor not in self.anchors:
            self.anchors.add(anchor)
            problem = "an anchor (&) or alias (*) is not understood here"
            self._fault(self._at(event), problem, "write the value out, or quote a text that starts so")
        if tag is not None:
            self._fault(self._at(event), "a YAML tag is not understood here", "remove the word that starts with '!'")
        return anchor is not None or tag is not None

    def _list(self, depth: int) -> list[Node]:
        nodes = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            nodes.append(self._node(event, self._at(event), depth + 1))
            if nodes[-1].value is None and not nodes[-1].broken:
                self._fault(self._at(event), "this item of the list is empty", "fill it in or remove the line")
                nodes[-1].broken = True
        return nodes

    def _mapping(self, depth: int) -> dict[str, Node]:
        nodes: dict[str, Node] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key = self._key(event, depth)
            node = self._node(next(self.events), self._at(event), depth + 1)
            if key is None:
                continue
            if key in nodes:
                first = nodes[key].key_place.line
                self._fault(self._at(event), f"{key!r} stands here again", f"the first is on line {first}; remove one")
                continue
            if node.value is None and not node.broken:
                self._fault(self._at(event), f"{key!r} has no value", "fill it in or remove the line")
                node.broken = True
            nodes[key] = node
        return nodes

    def _key(self, event: yaml.Event, depth: int) -> str | None:
        """The text of a key, or nothing when it is no name; then its fault is reported."""
        if not isinstance(event, yaml.ScalarEvent):
            self._node(event, self._at(event), depth + 1)
            if not isinstance(event, yaml.AliasEvent):
                self._fault(self._at(event), "a key is a name, not a list or a mapping")
            return None
        odd = self._odd(event)
        if event.value == "<<":
            self._fault(self._at(event), "the merge key '<<' is not understood here", "write the keys out")
            return None
        if event.implicit[0] and not isinstance(_resolved(event.value), str):
            self._fault(self._at(event), f"a key is a name, not {event.value[:_DIGITS_MAX]!r}")
            return None
        return None if odd else event.value

    def _scalar(self, event: yaml.ScalarEvent, node: Node) -> None:
        text, node.variables, problem = _filled_in(event.value, self.environ)
        odd = _UNPRINTABLE.search(text)
        if odd is not None and problem is None:
            where = in_words(node.variables) if node.variables else "the text"
            problem = (f"{where} has the character U+{ord(odd[0]):04X}, which no setting may have", "remove it")
        if problem:
            self._fault(node.place, *problem)
            node.broken = True
        node.value = _resolved(text) if event.implicit[0] and text == event.value else text

    def _syntax_fault(self, error: yaml.MarkedYAMLError, text: str) -> ConfigFault:
        unfinished = any(word in (error.problem or "") for word in _UNFINISHED)
        mark = (error.context_mark if unfinished else None) or error.problem_mark
        line, column = (mark.line, mark.column) if mark else (0, 0)
        lines = text.splitlines()
        at = lines[line][column : column + 1] if line < len(lines) else ""
        problem, hint = _syntax_words(error.problem or "", at)
        return ConfigFault(Place(self.file, line + 1, column + 1), problem, hint)


_UNFINISHED = ("expected ':'", "expected ','", "unexpected end of stream", "unexpected document separator")
"""What PyYAML notices late; the place where it started says more."""

# Our words for PyYAML's: a part of its text, what is wrong, what to write instead.
_SYNTAX = (
    ("mapping values are not allowed", "this ':' cannot stand here", "quote a text that contains ': '"),
    ("could not find expected ':'", "a key without its ':'", "write 'key: value'"),
    ("but found '<block mapping start>'", "this line is indented differently from the ones above", "align it"),
    ("but found '<block sequence start>'", "this list is indented differently from the lines above", "align it"),
    ("expected <block end>", "this does not fit to the lines above", "align it, or quote a text with special signs"),
    ("expected ',' or ']'", "a list in [ ] is not finished", "write ',' between its items and ']' at its end"),
    ("expected ',' or '}'", "a mapping in { } is not finished", "write ',' between its keys and '}' at its end"),
    ("found unexpected end of stream", "the file ends inside a quoted text", "close the quotes"),
    ("found unexpected document separator", "the document ends inside a quoted text", "close the quotes"),
    ("unknown escape character", "this escape is not known in a text in double quotes", "use single quotes"),
    ("escape sequence", "this escape is not complete in a text in double quotes", "use single quotes"),
    ("expected '<document start>'", "this does not belong to the mapping above", "align it with the keys above"),
)


def _syntax_words(problem: str, at: str) -> tuple[str, str]:
    if "cannot start any token" in problem:
        if at == "\t":
            return "a tab stands where YAML wants spaces", "indent with spaces"
        return f"a value cannot start with {at!r}", "put the text in quotes"
    for part, ours, hint in _SYNTAX:
        if part in problem:
            return ours, hint
    return "this is not YAML", "check quotes, brackets and indentation here"


# --- variables of the environment -----------------------------------------------------------------------------------

_VARIABLE = re.compile(r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)\}|\$\{")


def _filled_in(text: str, environ: Mapping[str, str]) -> tuple[str, tuple[str, ...], tuple[str, str] | None]:
    """The text with each `${NAME}` replaced and `$${` read as `${`, the variables in it, and what is wrong with it."""
    variables = tuple(dict.fromkeys(match[1] for match in _VARIABLE.finditer(text) if match[1]))
    if any(match[0] == "${" for match in _VARIABLE.finditer(text)):
        return text, variables, ("'${' does not start a variable here", "write '${NAME}', or '$${' for the text '${'")
    missing = [name for name in variables if name not in environ]
    if missing:
        names = " and ".join(missing)
        verb = "is" if len(missing) == 1 else "are"
        return text, variables, (f"{names} {verb} not set in the environment", f"set {names}, or write the value here")
    filled = _VARIABLE.sub(lambda match: environ[match[1]] if match[1] else "${", text)
    return filled, variables, None
