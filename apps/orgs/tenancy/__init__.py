"""What an installation takes organizations to be: a port, and two implementations of it."""
