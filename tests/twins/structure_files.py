"""Small files of structures with much of what their formats allow."""

DATA = """\
two atoms of silicon, one of carbon
# a comment

3 atoms
2 atom types
0 bonds
-1.0 4.0 xlo xhi
0.0 5.0 ylo yhi
0.0 6.0e0 zlo zhi

Masses

1 28.06  # Si
2 12.01  # C

Atoms  # atomic

2 1 0.5 0.25 0.125 0 0 0
1 2 1.5 1.25 1.125 0 1 -1   # moved
7 1 4.5 -0.25 5.5 0 0 0

Velocities

2 0.1 0.2 0.3
1 -1 -2 -3
7 1e-3 2.5E+1 .5
"""

XYZ = """\
2
Lattice="5.43 0 0 0 5.43 0 0 0 5.43" Properties=species:S:1:pos:R:3:magmom:R:1 pbc="T T F" energy=-1
C 0.0 0.25 6.5 nan
Si 6.43 1.3575 1.3575 2
3
Lattice="4 0 0 1 4 0 0 0 4" Properties=id:I:1:species:S:1:pos:R:3:velo:R:3:fixed:L:3 note="a = b"
7 Si 0 0 0 1 2 3 T T F
5 O 1 1 1 4 5 6 F F F
6 Si 2 2 2 7 8 9 T F T
"""
