"""Conditions on runs, such as "model == 'vit' and epochs > 10", parsed without running code."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Collection
from typing import Any

from tuner.collecting.columns import Row, unknown_column

_MAX_LENGTH = 2000
_ORDER: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_EQUAL: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_IN: tuple[type[ast.cmpop], ...] = (ast.In, ast.NotIn)
# No powers: a short expression could take all memory.
_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
}


class RowFilter:
    """Condition on the columns of a run.

    Supports Python's comparisons, `and`, `or`, `not`, `in`, lists, numbers, quoted text, `None`
    and arithmetic. For missing values, order comparisons are false and arithmetic is missing.

    Args:
        text: The condition.
        columns: The column names it may use.

    Raises:
        ValueError: The condition contains anything else.
    """

    def __init__(self, text: str, columns: Collection[str]) -> None:
        self._text = text
        try:
            if len(text) > _MAX_LENGTH:
                raise ValueError(f"it is longer than {_MAX_LENGTH} characters")
            self._condition = ast.parse(text.strip(), mode="eval").body
            self._check(self._condition, columns)
        except (SyntaxError, RecursionError, MemoryError, ValueError) as error:
            why = error.msg if isinstance(error, SyntaxError) else str(error)
            raise ValueError(f"--where {text!r}: {why}") from None

    def matches(self, row: Row) -> bool:
        """Return whether a run satisfies the condition.

        Raises:
            ValueError: The condition combines values of incompatible types.
        """
        try:
            return bool(self._value(self._condition, row))
        except (TypeError, ArithmeticError, RecursionError) as error:
            raise ValueError(f"--where {self._text!r}, run {row.get('name')!r}: {error}") from None

    def _check(self, node: ast.AST, columns: Collection[str]) -> None:
        match node:
            case ast.Name(id=name):
                if name not in columns:
                    raise ValueError(f"{unknown_column(name, columns)} Put text in quotes.")
            case ast.Constant(value=str() | int() | float() | None):
                pass
            case ast.BoolOp(values=parts) | ast.List(elts=parts) | ast.Tuple(elts=parts):
                for part in parts:
                    self._check(part, columns)
            case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=part):
                self._check(part, columns)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
                self._check(left, columns)
                self._check(right, columns)
            case ast.Compare(left=left, ops=ops, comparators=parts) if all(
                type(op) in {*_ORDER, *_EQUAL, *_IN} for op in ops
            ):
                for part in (left, *parts):
                    self._check(part, columns)
            case _:
                raise ValueError(
                    f"{ast.unparse(node)!r} is not allowed. A condition may use columns, numbers, "
                    "quoted text, lists, ==, !=, <, <=, >, >=, in, and, or, not, +, -, *, / and %."
                )

    def _value(self, node: ast.AST, row: Row) -> Any:
        match node:
            case ast.Name(id=name):
                return row.get(name)
            case ast.Constant(value=value):
                return value
            case ast.List(elts=parts) | ast.Tuple(elts=parts):
                return [self._value(part, row) for part in parts]
            case ast.BoolOp(op=op, values=parts):
                all_or_any = all if isinstance(op, ast.And) else any
                return all_or_any(self._value(part, row) for part in parts)
            case ast.UnaryOp(op=ast.Not(), operand=part):
                return not self._value(part, row)
            case ast.UnaryOp(operand=part):
                return _calculate(operator.sub, 0, self._value(part, row))
            case ast.BinOp(left=left, op=op, right=right):
                return _calculate(
                    _ARITHMETIC[type(op)], self._value(left, row), self._value(right, row)
                )
            case ast.Compare(left=left, ops=ops, comparators=parts):
                values = [self._value(part, row) for part in (left, *parts)]
                return all(
                    _compare(op, a, b) for op, a, b in zip(ops, values, values[1:], strict=False)
                )
        raise TypeError(f"unsupported node in a condition: {node!r}")


def _compare(op: ast.cmpop, left: Any, right: Any) -> bool:
    if type(op) in _EQUAL:
        return _EQUAL[type(op)](left, right)
    if type(op) in _IN:
        is_missing = right is None or (left is None and isinstance(right, str))
        is_in = not is_missing and left in right
        return is_in is isinstance(op, ast.In)
    if left is None or right is None:
        return False
    return _ORDER[type(op)](left, right)


def _calculate(operation: Callable[[Any, Any], Any], left: Any, right: Any) -> Any:
    if left is None or right is None:
        return None
    for value in (left, right):
        if not isinstance(value, (int, float)):
            raise TypeError(f"{value!r} is not a number")
    return operation(left, right)
