"""Copper under a compressed Deep Potential: 78 neighbours within 6 A, sel 120."""

from scaling.peers.copper import copper

PROBLEM = copper("deep_cu", "compressed", (), goals=(2.5, 4.0), goals_mixed=(3.3, 6.0))
