"""Use cases: one function each. A service owns the transaction; network calls happen between transactions."""
