"""Stand-ins for sources, on loopback: to rehearse with before credentials arrive, and for the contract suite.

They share no code with the connectors, so that one misunderstanding cannot sit on both sides.
"""
