"""Which operations a compiled network is made of, read without running anything of it."""

import struct

from kit.classifier.runtime.interpreter import schema

# Memory that these touch is decided by shapes and the number of pictures, never by pixels, so that a trial
# tells it: no control flow, tables, or code of others.
_ALLOWED = """
ABS ADD AVERAGE_POOL_2D BATCH_MATMUL CONCATENATION CONV_2D DEPTHWISE_CONV_2D DIV ELU EXP FULLY_CONNECTED
GELU HARD_SWISH LEAKY_RELU LOG LOGISTIC LOG_SOFTMAX MAXIMUM MAX_POOL_2D MEAN MINIMUM MUL NEG PACK PAD
PADV2 POW PRELU REDUCE_MAX RELU RELU6 RELU_0_TO_1 RELU_N1_TO_1 RESHAPE RSQRT SHAPE SOFTMAX SQRT SQUARE
SQUARED_DIFFERENCE STRIDED_SLICE SUB SUM TANH TRANSPOSE
"""


def foreign_operations(compiled: bytes) -> tuple[str, ...]:
    """Return the operations of a compiled network that go beyond arithmetic on fixed shapes.

    Parameters
    ----------
    compiled
        In the ``.tflite`` format.

    Raises
    ------
    ValueError
        Another format, or more than one graph.
    """
    litert = schema()
    names = {value: name for name, value in vars(litert.BuiltinOperator).items() if isinstance(value, int)}
    try:
        model = litert.Model.GetRootAs(compiled, 0)
        graphs, count = model.SubgraphsLength(), model.OperatorCodesLength()
        if graphs != 1 or count > len(names):
            raise ValueError(f"{graphs} graphs, {count} operations")  # noqa: TRY301 (one line tells of all)
        codes = [model.OperatorCodes(index) for index in range(count)]
        kinds = {names.get(max(code.BuiltinCode(), code.DeprecatedBuiltinCode()), "?") for code in codes}
    except (IndexError, ValueError, TypeError, AttributeError, struct.error, OverflowError) as error:
        raise ValueError(f"Expected a compiled network, received other bytes ({error})") from error
    return tuple(sorted(kinds.difference(_ALLOWED.split())))
