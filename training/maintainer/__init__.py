"""What only the maintainers of the starter model run; not in the wheel."""
