"""Pages that stay true while they are looked at: one feed a view, shared by all who look."""
