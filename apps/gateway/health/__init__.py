"""How providers fare: which routes are asked last as they fail, which first as they are quick, and what other processes know."""
