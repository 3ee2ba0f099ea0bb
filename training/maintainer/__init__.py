"""Commands for the maintainers of the starter model; not part of the wheel."""
