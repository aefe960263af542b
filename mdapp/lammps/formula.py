"""Numbers from the formulas of LAMMPS's equal-style variables, without `eval`.

Precedence as LAMMPS has it, strongest first: parentheses and functions; unary - and ! (so that
-2^2 is 4); ^; * / %; + -; < <= > >=; == !=; &&; || and |^.  Operators of one level group from the
left (2^3^2 is 64), true is 1 and false is 0, and everything is a double.  LAMMPS 22Jul2025
computed the numbers that the tests compare with.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable

TOKEN = re.compile(r"""
    (?P<number> (?: \d+\.?\d* | \.\d+ ) (?: [eE][+-]?\d+ )? )
  | (?P<name>   [A-Za-z_]\w* )
  | (?P<symbol> \|\||\|\^|&&|==|!=|<=|>=|[-+*/%^()<>!,] )
""", re.VERBOSE | re.ASCII)

LEVELS = (("||", "|^"), ("&&",), ("==", "!="), ("<", "<=", ">", ">="), ("+", "-"),
          ("*", "/", "%"), ("^",))
LEVEL_OF = {operator: level for level, operators in enumerate(LEVELS) for operator in operators}

BINARY: dict[str, Callable[[float, float], float]] = {
    "||": lambda a, b: float(a != 0 or b != 0),
    "|^": lambda a, b: float((a != 0) != (b != 0)),
    "&&": lambda a, b: float(a != 0 and b != 0),
    "==": lambda a, b: float(a == b),
    "!=": lambda a, b: float(a != b),
    "<": lambda a, b: float(a < b),
    "<=": lambda a, b: float(a <= b),
    ">": lambda a, b: float(a > b),
    ">=": lambda a, b: float(a >= b),
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "%": math.fmod,
    "^": math.pow,
}


def _round_half_away(x: float) -> float:
    whole = float(math.trunc(x))
    return whole + math.copysign(1.0, x) if abs(x - whole) >= 0.5 else whole


FUNCTIONS: dict[str, Callable[..., float]] = {
    "sqrt": math.sqrt, "exp": math.exp, "ln": math.log, "log": math.log10, "abs": abs,
    "sin": math.sin, "cos": math.cos, "tan": math.tan,
    "asin": math.asin, "acos": math.acos, "atan": math.atan, "atan2": math.atan2,
    "ceil": lambda x: float(math.ceil(x)), "floor": lambda x: float(math.floor(x)),
    "round": _round_half_away,
}
CONSTANTS = {"PI": math.pi}


class FormulaError(ValueError):
    """A formula that has no value, with the reason."""


def evaluate(text: str, variable: Callable[[str], float]) -> float:
    """Compute the value of a formula.

    Parameters
    ----------
    text : the formula
    variable : gives the number that `v_name` stands for, by name

    Raises
    ------
    FormulaError : not a formula of the supported kind, or not a finite number
    """
    try:
        value = _Parser(text, variable).value()
    except ZeroDivisionError:
        raise FormulaError(f"'{text}': division by zero") from None
    except OverflowError:
        raise FormulaError(f"'{text}': the result is too large for a number") from None
    except RecursionError:
        raise FormulaError("nested too deeply, or a variable that depends on itself") from None
    if not math.isfinite(value):
        raise FormulaError(f"'{text}': the result is not a finite number")
    return value


class _Parser:
    """Precedence climbing over the tokens of one formula."""

    def __init__(self, text: str, variable: Callable[[str], float]) -> None:
        self.text, self.variable = text, variable
        self.tokens = list(self._tokens())
        self.at = 0

    def _tokens(self) -> list[tuple[str, str]]:
        tokens, at = [], 0
        while at < len(self.text):
            if self.text[at].isspace():
                at += 1
                continue
            match = TOKEN.match(self.text, at)
            if not match:
                raise FormulaError(f"'{self.text}': cannot read it at '{self.text[at:at + 20]}'")
            tokens.append((str(match.lastgroup), match[0]))
            at = match.end()
        return tokens

    def value(self) -> float:
        result = self._expression(0)
        if self.at < len(self.tokens):
            raise self._unexpected()
        return result

    def _expression(self, level: int) -> float:
        left = self._operand()
        while (operator := self._peek()) in LEVEL_OF and LEVEL_OF[operator] >= level:
            self.at += 1
            right = self._expression(LEVEL_OF[operator] + 1)
            left = self._apply(BINARY[operator], left, right)
        return left

    def _operand(self) -> float:
        signs = []
        while self._peek() in ("-", "!"):
            signs.append(self._take())
        value = self._primary()
        for sign in reversed(signs):
            value = -value if sign == "-" else float(value == 0)
        return value

    def _primary(self) -> float:
        if self.at == len(self.tokens):
            raise FormulaError(f"'{self.text}': it ends where a number is expected")
        kind, token = self.tokens[self.at]
        if kind == "number":
            self.at += 1
            return float(token)
        if kind == "name":
            self.at += 1
            return self._named(token)
        if token == "(":
            self.at += 1
            value = self._expression(0)
            self._expect(")")
            return value
        raise self._unexpected()

    def _named(self, name: str) -> float:
        if self._peek() == "(" and name in FUNCTIONS:
            self.at += 1
            arguments = [self._expression(0)]
            while self._peek() == ",":
                self.at += 1
                arguments.append(self._expression(0))
            self._expect(")")
            if len(arguments) != (2 if name == "atan2" else 1):
                raise FormulaError(f"'{self.text}': wrong number of arguments of {name}")
            return self._apply(FUNCTIONS[name], *arguments)
        if name.startswith("v_"):
            return self.variable(name[2:])
        if name in CONSTANTS:
            return CONSTANTS[name]
        raise FormulaError(f"'{self.text}': '{name}' is not supported; there are v_NAME, "
                           f"{', '.join(CONSTANTS)} and the functions {', '.join(FUNCTIONS)}")

    def _apply(self, function: Callable[..., float], *values: float) -> float:
        try:
            return function(*values)
        except ValueError:
            shown = ", ".join(f"{v:g}" for v in values)
            raise FormulaError(f"'{self.text}': not defined for {shown}") from None

    def _peek(self) -> str:
        return self.tokens[self.at][1] if self.at < len(self.tokens) else ""

    def _take(self) -> str:
        self.at += 1
        return self.tokens[self.at - 1][1]

    def _expect(self, symbol: str) -> None:
        if self._peek() != symbol:
            raise FormulaError(f"'{self.text}': a '{symbol}' is missing")
        self.at += 1

    def _unexpected(self) -> FormulaError:
        return FormulaError(f"'{self.text}': unexpected '{self.tokens[self.at][1]}'")
