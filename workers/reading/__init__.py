"""Headers and folders of a batch, read from storage."""
