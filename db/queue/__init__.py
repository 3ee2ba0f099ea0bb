"""The ledger of batches: processing them (`ledger`), and returning them (`recovery`)."""
