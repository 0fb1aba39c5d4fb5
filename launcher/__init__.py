"""The whole system on one machine without Docker: real servers, every service, one command."""
