"""Mail: the durable outbox, and the transports into a local folder and to an SMTP server."""
