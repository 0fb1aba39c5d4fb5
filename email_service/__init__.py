"""The email service: users, orders, requests for mail in; mail over SMTP, email.sent, email.bounced out."""
