"""A budget that many workers share: what is spent and what is in flight never exceed it together."""

from __future__ import annotations

import threading

SLACK = 1e-12
"""Dollars by which sums may be off; far below the price of a token."""


class BudgetReached(Exception):
    """No call fits into the budget any more; carries the most that the next one may cost, USD."""

    def __init__(self, usd: float) -> None:
        super().__init__(f"the next call may cost ${usd:.6f}")
        self.usd = usd


class Budget:
    """Dollars spent and reserved; thread-safe.

    Parameters
    ----------
    limit_usd : USD that may be spent; None for any amount.
    spent_usd : USD that are spent already.
    """

    def __init__(self, limit_usd: float | None, spent_usd: float = 0.0) -> None:
        self.limit_usd, self.spent_usd = limit_usd, spent_usd
        self._reserved: list[float] = []
        self._changed = threading.Condition()

    def reserve(self, usd: float) -> None:
        """Set the most that a call can cost aside; waits while calls in flight may still make room.

        Raises
        ------
        BudgetReached : if it does not fit and nothing is in flight.
        """
        with self._changed:
            while not self._fits(usd):
                if not self._reserved:
                    raise BudgetReached(usd)
                self._changed.wait()
            self._reserved.append(usd)

    def settle(self, reserved_usd: float, spent_usd: float) -> None:
        """Take back what was set aside for a call, and count what it cost."""
        with self._changed:
            self._reserved.remove(reserved_usd)
            self.spent_usd += spent_usd
            self._changed.notify_all()

    def _fits(self, usd: float) -> bool:
        if self.limit_usd is None:
            return True
        return self.spent_usd + sum(self._reserved) + usd <= self.limit_usd + SLACK
