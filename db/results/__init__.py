"""The table of sounds: what was found out of each, and the labels people gave."""
