"""The inventory: order.created, inventory.received in; stock set aside or short, the warehouse told, out."""
