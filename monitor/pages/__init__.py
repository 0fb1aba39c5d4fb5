"""What is shown: one file a page, from the API to the values of its template."""
