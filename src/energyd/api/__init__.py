"""The control API: what people and programs on this machine can ask of a running daemon."""
