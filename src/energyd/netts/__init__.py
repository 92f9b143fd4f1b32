"""Netts over HTTP: what to ask (client.py) and what the answers mean (answers.py)."""
