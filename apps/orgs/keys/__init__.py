"""Management keys: what programs operate Tollgate with, over the REST API."""
