"""Who may look: keys, sessions, tokens of forms."""
