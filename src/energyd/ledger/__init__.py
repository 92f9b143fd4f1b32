"""What energyd remembers and promises. The only place where money rules are kept by the store itself."""

from energyd.ledger.ledger import Ledger
from energyd.ledger.queries import OrderEvent
from energyd.ledger.reads import Reader

__all__ = ["Ledger", "OrderEvent", "Reader"]
