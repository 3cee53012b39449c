"""What an operator reads when the API refuses."""

from slipway_install import api


def test_a_problem_says_what_and_what_next():
    body = {"detail": "The host is taken.", "hint": "choose another", "type": "refused"}
    problem = api._problem("POST", "/v1/x", 409, body)
    assert (problem.status, problem.hint) == (409, "choose another")
    assert problem.what == "POST /v1/x answered 409: The host is taken."


def test_pointers_are_shown():
    body = {"title": "Invalid", "errors": [{"pointer": "/name", "detail": "too long"}]}
    assert '"/name"' in api._problem("POST", "/v1/x", 422, body).what


def test_an_answer_that_is_no_json():
    assert "Bad Gateway" in api._problem("GET", "/", 502, api._parsed(b"Bad Gateway")).what
