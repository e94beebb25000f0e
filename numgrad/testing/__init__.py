"""Checking gradients and ops, ours and yours: the tools numgrad tests itself with."""
