"""The sections of a file, in the order in which they are applied: what is referred to comes first."""
