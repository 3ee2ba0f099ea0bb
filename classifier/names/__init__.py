"""Information from file names, folder names and the names of pack-mates."""
