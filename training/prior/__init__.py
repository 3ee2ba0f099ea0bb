"""Prior knowledge about sound names: generated training names and weights learned from them."""
