"""What was accepted, until its jobs have ended: committed, published, recorded, settled; found when lost."""
