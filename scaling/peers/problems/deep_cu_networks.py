"""The same copper, its embedding networks evaluated for each neighbour."""

from scaling.peers.copper import NETWORKS, copper

PROBLEM = copper("deep_cu_networks", "not compressed", NETWORKS, goals=(1.5, 3.0))
