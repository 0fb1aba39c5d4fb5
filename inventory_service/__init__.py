"""Orders in; stock set aside or the order refused, and the warehouse told."""
