"""A rotation function for PostgreSQL, of the form that AWS's templates have: one user,
which changes its own password. Run as a program, it takes Lambda's Invoke call."""
import http.server
import json
import os
import subprocess

import boto3


def lambda_handler(event, context):
    arn, token, step = event["SecretId"], event["ClientRequestToken"], event["Step"]
    secrets = boto3.client("secretsmanager")
    metadata = secrets.describe_secret(SecretId=arn)
    if not metadata.get("RotationEnabled"):
        raise ValueError("Secret %s is not enabled for rotation" % arn)
    versions = metadata["VersionIdsToStages"]
    if token not in versions:
        raise ValueError("Secret version %s has no stage for rotation of secret %s." % (token, arn))
    if "AWSCURRENT" in versions[token]:
        return
    if "AWSPENDING" not in versions[token]:
        raise ValueError("Secret version %s not set as AWSPENDING for rotation of secret %s." % (token, arn))
    {"createSecret": create_secret, "setSecret": set_secret, "testSecret": test_secret}[step](secrets, arn, token)


def get(secrets, arn, stage, token=None):
    which = {"VersionId": token} if token else {}
    value = json.loads(secrets.get_secret_value(SecretId=arn, VersionStage=stage, **which)["SecretString"])
    if value["engine"] != "postgres":
        raise KeyError("Database engine must be set to 'postgres' in order to use this rotation lambda")
    return value


def create_secret(secrets, arn, token):
    value = get(secrets, arn, "AWSCURRENT")
    try:
        get(secrets, arn, "AWSPENDING", token)
    except secrets.exceptions.ResourceNotFoundException:
        value["password"] = secrets.get_random_password(ExcludeCharacters="/@\"'\\")["RandomPassword"]
        secrets.put_secret_value(SecretId=arn, ClientRequestToken=token, SecretString=json.dumps(value), VersionStages=["AWSPENDING"])


def set_secret(secrets, arn, token):
    pending = get(secrets, arn, "AWSPENDING", token)
    if logs_in(pending):
        return
    current = get(secrets, arn, "AWSCURRENT")
    if not logs_in(current):
        raise ValueError("Unable to log into database with previous, current, or pending secret of secret arn %s" % arn)
    # psql reads the statement from its standard input, so no argument holds the password.
    sql(current, "SELECT format('ALTER USER %%I PASSWORD %%L', '%s', $rota$%s$rota$) \\gexec\n" % (pending["username"], pending["password"]))


def test_secret(secrets, arn, token):
    sql(get(secrets, arn, "AWSPENDING", token), "SELECT NOW()")


def logs_in(value):
    try:
        sql(value, "SELECT 1")
        return True
    except RuntimeError:
        return False


def sql(value, statement):
    """Raises RuntimeError with what PostgreSQL says."""
    env = dict(os.environ, PGPASSWORD=value["password"], PGCONNECT_TIMEOUT="5")
    done = subprocess.run(
        ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", value["host"], "-p", str(value["port"]), "-U", value["username"], "-d", value["dbname"]],
        input=statement, env=env, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)


class Runtime(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            answer, failed = json.dumps(lambda_handler(event, None)), False
        except Exception as e:
            answer, failed = json.dumps({"errorType": type(e).__name__, "errorMessage": str(e)}), True
        self.send_response(200)
        if failed:
            self.send_header("X-Amz-Function-Error", "Unhandled")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer.encode())

    def log_message(self, *args):
        pass


if __name__ == "__main__":
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Runtime)
    print(server.server_address[1], flush=True)
    server.serve_forever()
