"""What may be asked over the queue, and the producers' side of it.

Task functions are thin: explicit names, one call each.
"""
