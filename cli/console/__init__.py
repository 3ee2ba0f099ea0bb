"""What all commands share: output, progress, interrupts, exit codes."""
