// Starts Swagger UI: a file of its own, because our policy forbids scripts inside pages.
window.SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#page",
  deepLinking: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
});
