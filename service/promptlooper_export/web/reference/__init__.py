"""What the service says of itself: /openapi.json, /docs, /formats and /schemas."""
