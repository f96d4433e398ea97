"""HTTP around the routes: middleware, errors, strict parsing, negotiation, caching, OpenAPI."""
