"""What the sandbox gateway remembers: a file per trade."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from portal.adapters.payment.sandbox import CLOSED, SUCCESS, WAITING
from portal.sandbox.serving import private_folder


@dataclass(frozen=True)
class Trade:
    """One payment as the gateway sees it. `is_notified` once the merchant has taken the result in."""

    app_id: str
    out_trade_no: str
    trade_no: str
    total_amount: str
    currency: str
    subject: str
    return_url: str
    notify_url: str
    trade_status: str = WAITING
    is_notified: bool = False

    @property
    def is_over(self) -> bool:
        return self.trade_status in (SUCCESS, CLOSED)


class Trades:
    """The trades in a folder. A result is set once: the first of several clicks counts."""

    def __init__(self, folder: Path) -> None:
        self._folder = private_folder(folder)
        self._lock = threading.Lock()

    def find(self, app_id: str, out_trade_no: str) -> Trade | None:
        """The trade of that merchant's number, if it was ever opened."""
        path = self._path(app_id, out_trade_no)
        return Trade(**json.loads(path.read_text("utf-8"))) if path.exists() else None

    def open(self, request: Mapping[str, str]) -> Trade:
        """The trade that a pay request is about; made when first asked for, unchanged afterwards."""
        with self._lock:
            known = self.find(request["app_id"], request["out_trade_no"])
            if known is not None:
                return known
            trade = Trade(
                app_id=request["app_id"],
                out_trade_no=request["out_trade_no"],
                trade_no=f"SBX{uuid.uuid4().hex[:24].upper()}",
                total_amount=request["total_amount"],
                currency=request["currency"],
                subject=request["subject"],
                return_url=request["return_url"],
                notify_url=request["notify_url"],
            )
            self._write(trade)
            return trade

    def settle(self, trade: Trade, status: str) -> Trade:
        """Set the result of a trade that has none yet, and return the trade as it then is."""
        with self._lock:
            current = self.find(trade.app_id, trade.out_trade_no) or trade
            if not current.is_over:
                current = replace(current, trade_status=status)
                self._write(current)
            return current

    def mark_notified(self, trade: Trade) -> None:
        """The merchant has answered."""
        with self._lock:
            self._write(replace(trade, is_notified=True))

    def untold(self) -> Iterator[Trade]:
        """Trades whose result the merchant has not taken in."""
        for path in sorted(self._folder.glob("*.json")):
            trade = Trade(**json.loads(path.read_text("utf-8")))
            if trade.is_over and not trade.is_notified:
                yield trade

    def _path(self, app_id: str, out_trade_no: str) -> Path:
        digest = hashlib.sha256(f"{app_id}\0{out_trade_no}".encode()).hexdigest()
        return self._folder / f"{digest}.json"

    def _write(self, trade: Trade) -> None:
        """Replace the file at once, so that a reader never sees half of it."""
        path = self._path(trade.app_id, trade.out_trade_no)
        draft = path.with_suffix(".new")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(asdict(trade), file)
        draft.replace(path)
