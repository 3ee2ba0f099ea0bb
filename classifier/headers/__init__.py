"""Read the header of a sound file: `reader.read_header`."""
