#!/usr/bin/env python3
"""An issuer for Rota in Python: the tokens of an account at Parcel, a made-up service.

Parcel chooses a token's value and returns it only once, when it creates the token
(issuer_chooses), and an account can have two of them, so that they overlap.

settings: url, account and admin_token.
"""

import json
import sys
import urllib.error
import urllib.request

PROTOCOL = 1


class Failure(Exception):
    """What's answered as an error. A class other than "stop" has to fit the verb."""

    def __init__(self, message, kind="stop", hint="", retry_after=""):
        super().__init__(message)
        self.answer = {"class": kind, "message": message}
        if hint:
            self.answer["hint"] = hint
        if retry_after:
            self.answer["retry_after"] = retry_after


def call(settings, method, path, body=None, token=None):
    """Sends one request to Parcel and returns its status and its JSON."""
    request = urllib.request.Request(
        settings["url"] + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": "Bearer " + (token or settings["admin_token"])},
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return response.status, json.loads(response.read() or "null")
    except urllib.error.HTTPError as e:
        if e.code in (429, 500, 502, 503, 504):
            after = e.headers.get("Retry-After", "")
            raise Failure(f"Parcel answered {e.code}", "wait", retry_after=after + "s" if after.isdigit() else "")
        if e.code in (401, 403) and token is None:
            raise Failure("Parcel refused the administrator's token", hint="replace admin_token in the settings")
        return e.code, None
    except OSError:
        # No answer: whether Parcel has acted isn't known. Rota finds out with list.
        raise Failure("Parcel can't be reached", "wait")


def tokens(settings, suffix=""):
    return f"/accounts/{settings['account']}/tokens{suffix}"


def describe(request):
    return {
        "description": {
            "kind": "Parcel token",
            "fields": ["id", "token"],
            "id": "id",
            "issuer_chooses": True,
            "limit": 2,
            "test_successes": 1,
            "verbs": ["list", "last_used", "deactivate", "reactivate"],
        }
    }


def create(request):
    # The version goes into the token's name, and list gives it back: if this answer is
    # lost, Rota recognizes the token by it.
    status, token = call(request["settings"], "POST", tokens(request["settings"]), {"name": request.get("version", "")})
    if status == 409:
        raise Failure("the account has two tokens", "limit")
    if status != 201:
        raise Failure(f"Parcel answered {status} to a new token")
    return {"credential": {"id": token["id"], "token": token["value"]}}


def test(request):
    token = request["credential"]["token"]
    status, _ = call(request["settings"], "GET", "/whoami", token=token)
    if status in (401, 403):
        raise Failure("Parcel doesn't accept the token", "refused")
    if status != 200:
        raise Failure(f"Parcel answered {status} to a login", "wait")
    return {}


def list_tokens(request):
    _, found = call(request["settings"], "GET", tokens(request["settings"]))
    return {
        "credentials": [
            {"id": t["id"], "active": t["active"], "created_at": t["created_at"], "version": t["name"]} for t in found
        ]
    }


def last_used(request):
    _, found = call(request["settings"], "GET", tokens(request["settings"]))
    for t in found:
        if t["id"] == request["credential_id"]:
            use = {"evidence": "recorded"}
            if t["used_at"]:
                use["at"] = t["used_at"]
            return {"use": use}
    return {"use": {"evidence": "unknown"}}


def switch(active):
    def verb(request):
        path = tokens(request["settings"], "/" + request["credential_id"])
        status, _ = call(request["settings"], "PATCH", path, {"active": active})
        if status == 404:
            raise Failure("Parcel has no such token", "not_found")
        if status != 200:
            raise Failure(f"Parcel answered {status} to a change")
        return {}

    return verb


def delete(request):
    path = tokens(request["settings"], "/" + request["credential_id"])
    status, _ = call(request["settings"], "DELETE", path)
    if status == 409:
        raise Failure("the token is still active", "conflict")
    if status not in (204, 404):  # one that's gone is deleted
        raise Failure(f"Parcel answered {status} to a deletion")
    return {}


VERBS = {
    "describe": describe,
    "create": create,
    "test": test,
    "list": list_tokens,
    "last_used": last_used,
    "deactivate": switch(False),
    "reactivate": switch(True),
    "delete": delete,
}


def main():
    request = json.load(sys.stdin)
    answer = {"protocol": PROTOCOL, "verb": request["verb"]}
    try:
        if request["protocol"] != PROTOCOL or request["verb"] not in VERBS:
            raise Failure("this program doesn't know the request", hint="use the program that goes with this Rota")
        answer.update(VERBS[request["verb"]](request))
    except Failure as e:
        answer["error"] = e.answer
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
