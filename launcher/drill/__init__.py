"""`trunkline drill`: options in; a system of its own, killed part by part under load, and a verdict out.

Nothing is imported here: each restart of a worker (-m launcher.drill.worker) would pay for it.
"""
