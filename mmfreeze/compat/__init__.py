"""What the installed stack lacks or gets wrong: missing compiled ops, doubled distributions."""
