"""A small rotation function of IAM access keys with boto3, after AWS's template,
with a runtime loop of its own: what the cold start is compared with."""
import json
import os
import time
import urllib.request

import boto3

API = "http://%s/2018-06-01/runtime/" % os.environ["AWS_LAMBDA_RUNTIME_API"]
secrets = boto3.client("secretsmanager")
iam = boto3.client("iam")


def handle(event):
    arn, token, step = event["SecretId"], event["ClientRequestToken"], event["Step"]
    described = secrets.describe_secret(SecretId=arn)
    if not described.get("RotationEnabled"):
        raise ValueError("rotation is not enabled")
    versions = described["VersionIdsToStages"]
    if token not in versions:
        raise ValueError("no such version")
    if "AWSCURRENT" in versions[token]:
        return
    if "AWSPENDING" not in versions[token]:
        raise ValueError("the version is not pending")
    {"createSecret": create, "setSecret": lambda *_: None, "testSecret": test, "finishSecret": finish}[step](arn, token, versions)


def create(arn, token, _):
    current = json.loads(secrets.get_secret_value(SecretId=arn, VersionStage="AWSCURRENT")["SecretString"])
    try:
        secrets.get_secret_value(SecretId=arn, VersionId=token, VersionStage="AWSPENDING")
        return
    except secrets.exceptions.ResourceNotFoundException:
        pass
    key = iam.create_access_key(UserName=os.environ["IAM_USER_NAME"])["AccessKey"]
    current.update(AccessKey=key["AccessKeyId"], SecretKey=key["SecretAccessKey"])
    secrets.put_secret_value(SecretId=arn, ClientRequestToken=token, SecretString=json.dumps(current), VersionStages=["AWSPENDING"])


def test(arn, token, _):
    pending = json.loads(secrets.get_secret_value(SecretId=arn, VersionId=token, VersionStage="AWSPENDING")["SecretString"])
    for attempt in range(5):
        try:
            boto3.client("sts", aws_access_key_id=pending["AccessKey"], aws_secret_access_key=pending["SecretKey"]).get_caller_identity()
            return
        except Exception:
            if attempt == 4:
                raise
            time.sleep(2 ** attempt)


def finish(arn, token, versions):
    current = next(v for v, stages in versions.items() if "AWSCURRENT" in stages)
    secrets.update_secret_version_stage(SecretId=arn, VersionStage="AWSCURRENT", MoveToVersionId=token, RemoveFromVersionId=current)
    secrets.update_secret_version_stage(SecretId=arn, VersionStage="AWSPENDING", RemoveFromVersionId=token)


def post(path, body):
    urllib.request.urlopen(urllib.request.Request(API + path, json.dumps(body).encode(), method="POST")).read()


while True:
    with urllib.request.urlopen(API + "invocation/next") as invocation:
        request = invocation.headers["Lambda-Runtime-Aws-Request-Id"]
        event = json.load(invocation)
    try:
        handle(event)
    except Exception as e:
        post("invocation/%s/error" % request, {"errorType": type(e).__name__, "errorMessage": str(e)})
    else:
        post("invocation/%s/response" % request, None)
