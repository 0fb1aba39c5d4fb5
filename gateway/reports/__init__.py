"""Reports as the gateway knows them: what was asked for, and what became of it."""
