"""Files come in and go out: bytes in the object store, rows and events in the ledger's commit."""
