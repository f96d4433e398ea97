"""What the OpenAPI document says beyond what FastAPI finds in the handlers."""
