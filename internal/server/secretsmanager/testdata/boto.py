"""What an application does with Secrets Manager through boto3."""

import datetime
import json

import boto3

client = boto3.client("secretsmanager")
errors = client.exceptions

made = client.create_secret(
    Name="app/login",
    Description="Größe",
    SecretString=json.dumps({"user": "app", "password": "first"}),
    Tags=[{"Key": "team", "Value": "shop"}],
)
client.create_secret(Name="app/keep", SecretBinary=b"\x00\x01\xff")
assert client.get_secret_value(SecretId="app/keep")["SecretBinary"] == b"\x00\x01\xff"

value = client.get_secret_value(SecretId=made["ARN"])
assert json.loads(value["SecretString"])["password"] == "first"
assert value["VersionStages"] == ["AWSCURRENT"]
assert isinstance(value["CreatedDate"], datetime.datetime)
assert value["ResponseMetadata"]["RequestId"]

# A rotation, as AWS's own functions do it.
pending = client.put_secret_value(
    SecretId="app/login",
    ClientRequestToken="0" * 32,
    SecretString="second",
    VersionStages=["AWSPENDING"],
)
assert pending["VersionStages"] == ["AWSPENDING"]
client.update_secret_version_stage(
    SecretId="app/login",
    VersionStage="AWSCURRENT",
    MoveToVersionId="0" * 32,
    RemoveFromVersionId=made["VersionId"],
)
assert client.get_secret_value(SecretId="app/login")["SecretString"] == "second"
assert (
    client.get_secret_value(SecretId="app/login", VersionStage="AWSPREVIOUS")["VersionId"]
    == made["VersionId"]
)
client.update_secret_version_stage(
    SecretId="app/login", VersionStage="AWSPENDING", RemoveFromVersionId="0" * 32
)

versions = client.list_secret_version_ids(SecretId="app/login")["Versions"]
assert [v["VersionStages"] for v in versions] == [["AWSPREVIOUS"], ["AWSCURRENT"]], versions

try:
    client.put_secret_value(SecretId="app/login", ClientRequestToken="0" * 32, SecretString="third")
    raise AssertionError("the same version with another value")
except errors.ResourceExistsException:
    pass
try:
    client.get_secret_value(SecretId="app/none")
    raise AssertionError("a secret that is not there")
except errors.ResourceNotFoundException as e:
    assert "can't find the specified secret" in e.response["Error"]["Message"]

client.update_secret(SecretId="app/login", Description="new")
client.untag_resource(SecretId="app/login", TagKeys=["team"])
described = client.describe_secret(SecretId="app/login")
assert described["Description"] == "new" and described["Tags"] == []
assert described["LastAccessedDate"].hour == 0 or described["LastAccessedDate"].utcoffset()

names = [
    s["Name"]
    for page in client.get_paginator("list_secrets").paginate(
        SortBy="name", PaginationConfig={"PageSize": 1}
    )
    for s in page["SecretList"]
]
assert names == ["app/keep", "app/login"], names

batch = client.batch_get_secret_value(SecretIdList=["app/login", "app/none"])
assert [v["SecretString"] for v in batch["SecretValues"]] == ["second"]
assert batch["Errors"][0]["ErrorCode"] == "ResourceNotFoundException"

password = client.get_random_password(PasswordLength=20, ExcludePunctuation=True)["RandomPassword"]
assert len(password) == 20 and password.isalnum()

deletion = client.delete_secret(SecretId="app/login", RecoveryWindowInDays=7)
assert deletion["DeletionDate"] > described["CreatedDate"]
try:
    client.get_secret_value(SecretId="app/login")
    raise AssertionError("a secret that is to be deleted")
except errors.InvalidRequestException:
    pass
client.restore_secret(SecretId="app/login")
client.delete_secret(SecretId="app/login", ForceDeleteWithoutRecovery=True)
print("done")
