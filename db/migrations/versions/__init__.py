"""Migration scripts, one per revision; never changed after a release."""
