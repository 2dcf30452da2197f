import logging
import os
from contextlib import suppress

from kit.classifier.engines import captured_errors, only_warnings


def test_what_is_written_below_python_is_kept(capfd):
    with captured_errors() as written:
        os.write(2, b"from C++")
        assert written() == "from C++"
    os.write(2, b"afterwards")
    assert capfd.readouterr().err == "afterwards"


def test_blocks_within_each_other_give_back_in_order(capfd):
    with captured_errors() as outer:
        with captured_errors() as inner:
            os.write(2, b"inner")
            assert inner() == "inner"
        os.write(2, b"outer")
        assert outer() == "outer"
    os.write(2, b"out")
    assert capfd.readouterr().err == "out"


def test_the_standard_error_comes_back_after_an_exception(capfd):
    with suppress(ZeroDivisionError), captured_errors():
        1 / 0  # noqa: B018 (the simplest exception)
    os.write(2, b"back")
    assert capfd.readouterr().err == "back"


def test_a_logger_reports_warnings_alone_within_the_block(caplog):
    logger = logging.getLogger("somebody")
    logger.setLevel(logging.INFO)
    with only_warnings("somebody"):
        logger.info("written to a file")
        logger.warning("no such file")
    logger.info("afterwards")
    assert [record.message for record in caplog.records] == ["no such file", "afterwards"]
