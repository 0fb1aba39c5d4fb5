"""What may be ordered: one file a subject, from a form to the call of the API."""
