"""What the notebooks do with routers on outcome tables, a module for each of their experiments."""
