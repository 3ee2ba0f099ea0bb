"""Read labelled sounds, group them by vendor and pack, and split them."""
