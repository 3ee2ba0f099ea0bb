"""What happens to a batch that was not finished, as a table."""

import itertools

import pytest

from classifier.errors import ErrorCode
from workers.faults import Fault
from workers.recovery.failure_policy import (
    CountAttempt,
    Ending,
    HandBack,
    Leave,
    backoff_seconds,
    decide,
)

AT_ONCE, AFTER_BACKOFF = HandBack(), HandBack(backoff_seconds(3))
#: In one process a user has read what is wrong, and the next run may try again at once.
NEXT_RUN = HandBack(0.0)

#: Cause: in a fleet while a file was read, in a fleet otherwise, and the same two in one process.
TABLE = {
    Fault.TRANSIENT: (AFTER_BACKOFF, AFTER_BACKOFF, NEXT_RUN, NEXT_RUN),
    Fault.OPERATOR: (AFTER_BACKOFF, AFTER_BACKOFF, NEXT_RUN, NEXT_RUN),
    Fault.FILE: (AFTER_BACKOFF, AFTER_BACKOFF, NEXT_RUN, NEXT_RUN),
    Fault.BUG: (CountAttempt(ErrorCode.INTERNAL_ERROR),) * 4,
    Ending.STOPPED: (AT_ONCE,) * 4,
    Ending.BEING_KILLED: (Leave(),) * 4,
    Ending.CRASHED: (CountAttempt(ErrorCode.CRASHED_READER),) * 4,
    Ending.TIMED_OUT: (CountAttempt(ErrorCode.TIMED_OUT), AFTER_BACKOFF) * 2,
}


@pytest.mark.parametrize("cause", [*Fault, *Ending], ids=str)
def test_every_cause_of_failure_has_a_decision(cause):
    cases = itertools.product((False, True), (True, False))
    decisions = tuple(
        decide(cause, in_process=in_process, was_reading=was_reading, transient_failures=3)
        for in_process, was_reading in cases
    )
    assert decisions == TABLE[cause]


def test_the_back_off_doubles_up_to_five_minutes():
    assert [backoff_seconds(n) for n in range(8)] == [5, 10, 20, 40, 80, 160, 300, 300]
