// Starts ReDoc: a file of its own, because our policy forbids scripts inside pages.
window.Redoc.init("openapi.json", { nativeScrollbars: true }, document.getElementById("page"));
