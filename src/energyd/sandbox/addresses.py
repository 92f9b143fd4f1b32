"""TRON addresses in their two spellings: base58check (`T…`) and hex (`41…`)."""

import hashlib
from functools import lru_cache

ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_SIZE = 21
_PREFIX = 0x41


class BadCharacterError(ValueError):
    """A character outside the base58 alphabet."""

    def __init__(self, character: str, index: int) -> None:
        super().__init__(f"Illegal character {character} at {index}")


def _checksum(payload: bytes) -> bytes:
    return hashlib.sha256(hashlib.sha256(payload).digest()).digest()[:4]


@lru_cache(maxsize=4_096)
def base58(payload: bytes) -> str:
    """The `T…` spelling of 21 bytes."""
    number, text = int.from_bytes(payload + _checksum(payload), "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = ALPHABET[digit] + text
    return text


@lru_cache(maxsize=4_096)
def payload_of(text: str) -> bytes | None:
    """The 21 bytes of a `T…` address; None when it is none. Raises BadCharacterError outside base58."""
    number = 0
    for index, character in enumerate(text):
        digit = ALPHABET.find(character)
        if digit < 0:
            raise BadCharacterError(character, index)
        number = number * 58 + digit
    if number.bit_length() > (_SIZE + 4) * 8:
        return None
    raw = number.to_bytes(_SIZE + 4, "big")
    payload, checksum = raw[:_SIZE], raw[_SIZE:]
    return payload if payload[0] == _PREFIX and checksum == _checksum(payload) else None


def is_address(text: object) -> bool:
    try:
        return isinstance(text, str) and payload_of(text) is not None
    except BadCharacterError:
        return False


def hex_of(address: str) -> str:
    """The `41…` spelling of a valid base58 address."""
    payload = payload_of(address)
    if payload is None:
        raise ValueError(f"{address!r} is not a TRON address")
    return payload.hex()


def of_hex(text: str) -> str | None:
    """The `T…` spelling of hex digits; None when they are not 21 bytes. Raises ValueError when they are not hex."""
    payload = bytes.fromhex(text)
    return base58(payload) if len(payload) == _SIZE and payload[0] == _PREFIX else None


def of_word(word: str) -> str:
    """The address in an ABI word: its last twenty bytes, whatever stands before them."""
    return base58(bytes([_PREFIX]) + bytes.fromhex(word[-40:]))


def word_of(address: str) -> str:
    """The ABI word of an address: twenty bytes without the prefix, padded to 32."""
    return hex_of(address)[2:].rjust(64, "0")


def made_up(name: str) -> str:
    """A valid address that belongs to nobody, the same for the same name."""
    return base58(bytes([_PREFIX]) + hashlib.sha256(name.encode()).digest()[:20])
