"""The ledger of batches: forwards (`ledger`) and backwards (`recovery`)."""
