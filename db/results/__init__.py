"""The table of sounds: the result for each file, and the labels that users gave."""
