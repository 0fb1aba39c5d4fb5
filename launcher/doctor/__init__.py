"""`trunkline doctor`: a running system in; what is wrong with it, why that matters and what to do, out."""
