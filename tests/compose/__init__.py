"""End-to-end test of the compose file: ``make compose-test``. Not part of the suite."""
