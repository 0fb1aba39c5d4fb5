"""The email service: user.registered, email.requested in; mail over SMTP, email.sent, email.bounced out."""
