"""Answering clients of one dialect from providers of another: which way a call goes, and what is put between the two."""
