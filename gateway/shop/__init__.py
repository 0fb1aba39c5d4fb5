"""What the shop knows: the catalogue, what is in stock, orders."""
