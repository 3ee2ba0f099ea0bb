"""From the bytes of a sound file to its header: `reader.read_header`."""
