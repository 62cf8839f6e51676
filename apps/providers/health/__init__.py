"""What gateways tell each other, and the console, of how providers fare."""
