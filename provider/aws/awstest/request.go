package awstest

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/rota-dev/rota/internal/sigv4"
)

// exchange is one request in progress.
type exchange struct {
	service, action string
	auth            sigv4.Signature
	form            url.Values // IAM, STS, SNS
	args            secretArgs // Secrets Manager
	bucket, object  string     // S3
	query           url.Values // S3
	body            []byte
	http            *http.Request
	err             *apiError // what is wrong with the request itself

	caller *caller // after authentication
	stale  bool
	then   []func() // called without the mutex after the call has acted
}

// apiError is an AWS error response.
type apiError struct {
	Code, Message string
	Status        int
}

func fail(status int, code, message string) *apiError {
	return &apiError{Code: code, Message: message, Status: status}
}

func unknownAction(x *exchange) *apiError {
	return fail(400, "InvalidAction", "Could not find operation "+x.action+" for this service.")
}

// parseRequest determines the service and action of a request. It never fails:
// problems go into err, so that the call can be recorded and refused.
func parseRequest(r *http.Request, body []byte) *exchange {
	x := &exchange{http: r, body: body}
	x.auth, x.err = parseSignature(r)
	x.service = x.auth.Service
	switch target := r.Header.Get("X-Amz-Target"); {
	case strings.HasPrefix(target, "secretsmanager."):
		x.service, x.action = "secretsmanager", strings.TrimPrefix(target, "secretsmanager.")
		_ = json.Unmarshal(body, &x.args) // the service reports errors
	case strings.HasPrefix(target, ssmTarget):
		x.service, x.action = "ssm", strings.TrimPrefix(target, ssmTarget)
		_ = json.Unmarshal(body, &x.args) // the service reports errors
	case x.service == "s3":
		x.parseS3()
	case x.service == "secretsmanager": // without an operation
	default:
		form, err := url.ParseQuery(string(body))
		if err != nil && x.err == nil {
			x.err = fail(400, "MalformedQueryString", "The request body is not a well-formed query string.")
		}
		x.form, x.action = form, form.Get("Action")
		if x.action == actionWebIdentity && r.Header.Get("Authorization") == "" {
			x.service, x.err = "sts", nil
		}
	}
	if x.auth.Service != "" && x.auth.Service != x.service && x.err == nil {
		x.err = fail(403, codeSignature, "Credential should be scoped to correct service: '"+x.service+"'.")
	}
	return x
}

func afterLast(s, sep string) string { return s[strings.LastIndex(s, sep)+1:] }
