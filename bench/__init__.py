"""`make bench`: what the gateway costs, beside nginx and other gateways, in one run. bench/README.md says how to read it."""
