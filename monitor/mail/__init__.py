"""The inbox of a local system: its Maildir, and mails taken apart."""
