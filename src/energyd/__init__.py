"""energyd keeps TRON addresses supplied with rented energy, by policy, and says why."""

__version__ = "0.1.0"
