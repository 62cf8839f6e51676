"""Relaying what a provider answers: whole, in pieces, or as a refusal; and what it has used."""
