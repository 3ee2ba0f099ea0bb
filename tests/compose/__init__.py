"""The compose file, for real: ``make compose-test``. Not part of the suite."""
