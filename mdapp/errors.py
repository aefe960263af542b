"""What can go wrong, by whose fault it is: the class decides the exit code of every command."""


class MdappError(Exception):
    """A defect of mdapp itself, or of the machine it runs on."""

    exit_code = 3


class InputError(MdappError):
    """The user's input cannot be used; the message names the thing, its value and the fix."""

    exit_code = 2


class RunError(InputError):
    """A run that its input drove into the ground: lost atoms, a blown-up time step."""
