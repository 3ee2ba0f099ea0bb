"""The pictures of the documentation, made from the product itself: ``make pictures``."""
