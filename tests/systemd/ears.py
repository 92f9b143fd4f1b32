"""A socket that hears what is told to systemd or to its journal."""

import os
import socket
from pathlib import Path


class Ears:
    def __init__(self, address: str | Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(address))
        self._socket.settimeout(0)

    def heard(self) -> list[bytes]:
        """Every message since the last call; one that came as a file is read from it."""
        messages: list[bytes] = []
        while True:
            try:
                message, files, _, _ = socket.recv_fds(self._socket, 1 << 20, 1)
            except BlockingIOError:
                return messages
            for file in files:
                with os.fdopen(file, "rb") as stream:
                    stream.seek(0)
                    message += stream.read()
            messages.append(message)

    def told(self) -> list[dict[str, str]]:
        """The messages as words and their values."""
        return [dict(line.split("=", 1) for line in message.decode().splitlines()) for message in self.heard()]

    def close(self) -> None:
        self._socket.close()
