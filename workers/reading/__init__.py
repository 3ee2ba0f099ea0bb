"""Reading a batch's headers and folders from storage."""
