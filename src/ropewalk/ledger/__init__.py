"""What happened: append-only, chained by hash, each entry signed, written in the transaction of its change."""
