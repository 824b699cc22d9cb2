"""The outside world on one machine, at protocol level: a cloud with a TLS edge, a payment page, a mailbox."""
