"""HTTP and a page around inference and explanation."""
