"""Netts over HTTP: what to ask (client), what an answer to an order means (answers), what a read shows (reads)."""
