// placeholder, placeholder, placeholder, placeholder
