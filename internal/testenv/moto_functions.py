"""moto_server whose Lambda functions run at ROTA_TEST_FUNCTIONS.

moto runs functions in containers. This has it post every event to that URL
instead: status 200 brings the answer, any other the error.
"""

import json
import os
import sys
import urllib.error
import urllib.request

from moto.awslambda.models import LambdaFunction
from moto.server import main


def invoke(self, event=None):
    """Stands in for LambdaFunction._invoke_lambda: answer, failed, logs."""
    request = urllib.request.Request(
        os.environ["ROTA_TEST_FUNCTIONS"], data=json.dumps(event).encode()
    )
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.read().decode(), False, ""
    except urllib.error.HTTPError as error:
        return error.read().decode(), True, ""


LambdaFunction._invoke_lambda = invoke
sys.exit(main())
