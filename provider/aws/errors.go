package aws

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// errUnreadable stands for a malformed response from AWS. It doesn't say what's
// wrong with it, because the response might contain a secret's value.
var errUnreadable = errors.New("the answer could not be read")

// fail converts an SDK error to one of Rota's: named, classified, with remedies.
func (c *Connection) fail(op string, err error) error {
	if err == nil {
		return nil
	}
	e := classify(err)
	e.System, e.Op = c.system(), op
	return e
}

// refuse returns an error of Rota's own that only a person can fix.
func (c *Connection) refuse(op, hint string, err error) error {
	return &rota.Error{System: c.system(), Connection: c.name, Op: op, Class: rota.ClassStop, Remedies: rota.Outside(hint), Err: err}
}

// answer is AWS's refusal in its own words. Unlike the SDK's errors, it keeps
// nothing of the request or the response body.
type answer struct {
	code, message, requestID string
	is                       error // the sentinel that callers know it by, if any
}

func (a *answer) Error() string {
	text := a.code
	if a.message != "" {
		text += ": " + a.message
	}
	if a.requestID != "" {
		text += " (request " + a.requestID + ")"
	}
	return text
}

func (a *answer) Unwrap() error { return a.is }

// codeOf returns AWS's error code, or "" if there is none.
func codeOf(err error) string {
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return e.ErrorCode()
	}
	return ""
}

func classify(err error) *rota.Error {
	status, requestID := httpOf(err)
	api, isAPI := errors.AsType[smithy.APIError](err)
	if !isAPI {
		return &rota.Error{Class: rota.ClassWait, Remedies: rota.Outside(hintOf(err)), Err: withoutBody(err, status, requestID)}
	}
	a := &answer{code: provider.Said(api.ErrorCode()), message: provider.Said(api.ErrorMessage()), requestID: requestID}
	e := &rota.Error{Class: rota.ClassStop, Err: a}
	action := actionOf(err)
	switch code := a.code; {
	case code == "LimitExceeded", code == "LimitExceededException":
		a.is = rota.ErrLimit
	case isThrottle(code), status == 408, status == 429, status >= 500,
		code == "ConcurrentModification", code == "EntityTemporarilyUnmodifiable",
		code == "RequestTimeout", code == "RequestTimeoutException", code == "ServiceUnavailable", code == "TooManyUpdates",
		strings.HasPrefix(code, "Internal"):
		e.Class = rota.ClassWait
	case isSkew(code, a.message):
		e.Remedies = rota.Outside("set this machine's clock: AWS takes a signature for five minutes only")
	case isDenied(code):
		e.Remedies = rota.Outside("allow " + action + " to Rota's identity (policy, permissions boundary, service control policy, the key's policy)")
	case isExpired(code):
		e.Remedies = rota.Outside("renew the credentials that Rota itself uses at AWS: they have expired")
	case isUnknownKey(code):
		e.Remedies = rota.Outside("check the credentials that Rota itself uses at AWS: " + action + " was called with a key that is wrong, inactive or deleted")
	case code == "NoSuchEntity", code == "ResourceNotFoundException", code == "NotFound", code == "NotFoundException", code == "NoSuchBucket", code == "ParameterNotFound":
		a.is, e.Remedies = rota.ErrNotFound, rota.Outside(missingHint(code, action))
	case code == "DecryptionFailure", code == "EncryptionFailure":
		e.Remedies = rota.Outside("check that the KMS key exists and is enabled, and that Rota may use it (kms:Decrypt, kms:GenerateDataKey)")
	case isDeleted(code, a.message):
		e.Remedies = rota.Outside("aws secretsmanager restore-secret, or another secret: this one is scheduled for deletion")
	}
	return e
}

// missingHint returns what a person can do if AWS doesn't have what they named.
// Something that only Rota looks for can be missing without anything being wrong.
func missingHint(code, action string) string {
	switch {
	case code == "NoSuchEntity" && strings.HasPrefix(action, "iam:"):
		return "create the IAM user, or correct its name or the connection's account"
	case code == "NoSuchBucket", action == "s3:ListBucket":
		return "create the bucket, or correct its name"
	}
	return ""
}

// httpOf returns the response's status and AWS's request id; zero if there was no
// response.
func httpOf(err error) (status int, requestID string) {
	if e, ok := errors.AsType[*awshttp.ResponseError](err); ok {
		requestID = provider.Said(e.ServiceRequestID())
	}
	if e, ok := errors.AsType[*smithyhttp.ResponseError](err); ok && e.Response != nil && e.Response.Response != nil {
		status = e.HTTPStatusCode()
	}
	return status, requestID
}

// withoutBody describes an error for which there's no answer from AWS: no
// connection, a deadline, no credentials, or a malformed answer, which it doesn't
// quote.
func withoutBody(err error, status int, requestID string) error {
	for _, known := range []error{context.DeadlineExceeded, context.Canceled, errUnreadable} {
		if errors.Is(err, known) {
			return fmt.Errorf("%s: %w", short(err), known)
		}
	}
	if whyNone, ok := chainEnd(err, status); ok {
		return fmt.Errorf("no credentials were found: not in the environment, the shared AWS files, a container's role, nor an instance's (%s)", whyNone)
	}
	if _, ok := errors.AsType[*smithy.DeserializationError](err); ok || status != 0 {
		return fmt.Errorf("%w (status %d, request %s)", errUnreadable, status, requestID)
	}
	return errors.New(short(err))
}

// metadataService is the SDK's name for the instance's metadata service.
const metadataService = "ec2imds"

// chainEnd reports whether an error came from the metadata service, the last link
// of the SDK's credential chain: nothing before it had credentials. why is what the
// service answered.
func chainEnd(err error, status int) (why string, ok bool) {
	for {
		op, isOp := errors.AsType[*smithy.OperationError](err)
		switch {
		case !isOp:
			return "", false
		case op.ServiceID != metadataService:
			err = op.Err
		case status != 0:
			return fmt.Sprintf("its metadata service answered status %d", status), true
		default:
			return short(op), true
		}
	}
}

// short returns the error's text if the error is local, otherwise only its kind.
func short(err error) string {
	if e, ok := errors.AsType[*smithyhttp.RequestSendError](err); ok {
		return "no answer: " + provider.Said(e.Err.Error())
	}
	if e, ok := errors.AsType[*v4.SigningError](err); ok {
		return "no credentials: " + provider.Said(e.Err.Error())
	}
	if _, ok := errors.AsType[*smithy.DeserializationError](err); ok {
		return errUnreadable.Error()
	}
	if e, ok := errors.AsType[*smithy.OperationError](err); ok {
		return provider.Said(e.Err.Error())
	}
	return provider.Said(err.Error())
}

// hintOf returns what a person can do if AWS didn't respond.
func hintOf(err error) string {
	text := err.Error()
	if strings.Contains(text, "get identity") || strings.Contains(text, "retrieve credentials") || strings.Contains(text, "refresh cached credentials") {
		return "give Rota credentials for AWS: a profile, a role, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or an instance role"
	}
	if _, ok := errors.AsType[*smithyhttp.RequestSendError](err); ok && !errors.Is(err, context.Canceled) {
		return "check that this machine reaches AWS: the network, the name service, a proxy, the connection's endpoint"
	}
	return ""
}

func isThrottle(code string) bool {
	_, ok := retry.DefaultThrottleErrorCodes[code]
	return ok || code == "Throttled"
}

func isDenied(code string) bool {
	switch code {
	case "AccessDenied", "AccessDeniedException", "AuthorizationError", "AuthorizationErrorException", "UnauthorizedOperation", "KMSAccessDenied", "KMSAccessDeniedException", "Forbidden":
		return true
	}
	return false
}

// isUnknownKey reports whether the code is for a key that's wrong, inactive,
// deleted, or not yet propagated everywhere.
func isUnknownKey(code string) bool {
	switch code {
	case "InvalidClientTokenId", "InvalidClientTokenIdException", "UnrecognizedClient", "UnrecognizedClientException", "InvalidAccessKeyId",
		"SignatureDoesNotMatch", "InvalidSignature", "InvalidSignatureException", "AuthFailure", "NotAuthorized":
		return true
	}
	return false
}

// isExpired reports whether the code is for an expired session.
func isExpired(code string) bool { return code == "ExpiredToken" || code == "ExpiredTokenException" }

// isSkew reports whether a signature was refused only because of its time.
func isSkew(code, message string) bool {
	switch code {
	case "RequestExpired", "RequestInTheFuture", "RequestTimeTooSkewed":
		return true
	}
	return isUnknownKey(code) && (strings.Contains(message, "Signature expired") || strings.Contains(message, "Signature not yet current"))
}

func isDeleted(code, message string) bool {
	return code == "InvalidRequestException" &&
		(strings.Contains(message, "marked for deletion") || strings.Contains(message, "marked deleted") || strings.Contains(message, "scheduled for deletion"))
}

// services are the prefixes of the actions in policies.
var services = map[string]string{"IAM": "iam", "STS": "sts", "Secrets Manager": "secretsmanager", "SNS": "sns", "S3": "s3", "SSM": "ssm"}

// actionOf returns the action that AWS refused, as a policy names it. That's the
// innermost call: a role that can't be assumed fails every other call.
func actionOf(err error) string {
	action := "the call"
	for {
		op, ok := errors.AsType[*smithy.OperationError](err)
		if !ok {
			return action
		}
		switch service := services[op.ServiceID]; {
		case service == "":
			action = op.ServiceID + ":" + op.OperationName
		case op.OperationName == "HeadBucket":
			action = "s3:ListBucket"
		case op.OperationName == "ListObjectVersions":
			action = "s3:ListBucketVersions"
		default:
			action = service + ":" + op.OperationName
		}
		err = op.Err
	}
}
