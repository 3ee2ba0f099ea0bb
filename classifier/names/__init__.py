"""What a file name says, and its folders and pack-mates with it."""
