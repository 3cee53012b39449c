"""An actor's errors are counted, waited for, and said rarely."""

from slipway.runtime.trouble import Trouble


def test_waits_grow_to_a_cap_however_many_errors_there_were():
    trouble = Trouble(longest=10.0)
    waits = []
    for _ in range(5000):
        trouble.met("create")
        waits.append(trouble.wait("create"))
    assert waits[:4] == [0.4, 0.8, 1.6, 3.2]
    assert waits == sorted(waits)
    assert set(waits[6:]) == {10.0}


def test_each_step_has_its_own_count():
    trouble = Trouble()
    assert [trouble.met("create"), trouble.met("look"), trouble.met("create")] == [1, 1, 2]
    trouble.over("create")
    assert [trouble.met("create"), trouble.met("look")] == [1, 2]
    trouble.forget()
    assert trouble.met("look") == 1


def test_what_lasts_is_said_rarely():
    trouble, said = Trouble(), []
    for number in range(1, 1001):
        trouble.met("remove")
        if trouble.worth_saying("remove"):
            said.append(number)
    assert said == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]
