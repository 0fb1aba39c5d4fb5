"""Between a request and its route, and how an answer looks: keys, limits, bodies, problems, waiting."""
