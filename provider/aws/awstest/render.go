package awstest

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/rota-dev/rota/internal/server/secretsmanager"
)

// Error codes of authentication, as the query services name them. failureLocked
// translates them for the other services.
const (
	codeMissing    = "MissingAuthenticationToken"
	codeIncomplete = "IncompleteSignature"
	codeUnknown    = "InvalidClientTokenId"
	codeSignature  = "SignatureDoesNotMatch"
	codeExpired    = "ExpiredToken"
	codeDenied     = "AccessDenied"
)

// dialects maps errors common to all services to each service's own code, if it
// differs from the query services'.
var dialects = map[string]map[string]string{
	"secretsmanager": {
		codeMissing:    "MissingAuthenticationTokenException",
		codeIncomplete: "IncompleteSignatureException",
		codeUnknown:    "UnrecognizedClientException",
		codeSignature:  "InvalidSignatureException",
		codeExpired:    "ExpiredTokenException",
		codeDenied:     "AccessDeniedException",
	},
	"ssm": {
		codeMissing:    "MissingAuthenticationTokenException",
		codeIncomplete: "IncompleteSignatureException",
		codeUnknown:    "UnrecognizedClientException",
		codeSignature:  "InvalidSignatureException",
		codeExpired:    "ExpiredTokenException",
		codeDenied:     "AccessDeniedException",
	},
	"s3": {
		codeMissing: "AccessDenied",
		codeUnknown: "InvalidAccessKeyId",
	},
	"sns": {
		codeDenied: "AuthorizationError",
	},
}

// namespaces of the query services' XML.
var namespaces = map[string]string{
	"iam": "https://iam.amazonaws.com/doc/2010-05-08/",
	"sts": "https://sts.amazonaws.com/doc/2011-06-15/",
	"sns": "http://sns.amazonaws.com/doc/2010-03-31/",
}

func (s *Server) failure(x *exchange, e *apiError) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.render(x, e)
}

// failureLocked renders one of the server's own errors with the service's
// codes.
func (s *Server) failureLocked(x *exchange, e *apiError) reply {
	if code := dialects[x.service][e.Code]; code != "" {
		e = fail(e.Status, code, e.Message)
	}
	if (x.service == "secretsmanager" || x.service == "ssm") && e.Status < http.StatusInternalServerError {
		e = fail(http.StatusBadRequest, e.Code, e.Message) // the status of all its client errors
	}
	return s.render(x, e)
}

// render writes an error in the service's protocol.
func (s *Server) render(x *exchange, e *apiError) reply {
	id := s.newUUID()
	switch x.service {
	case "secretsmanager", "ssm":
		answer := secretsmanager.ErrorResponse(&secretsmanager.Error{Status: e.Status, Code: e.Code, Message: e.Message})
		return reply{status: answer.Status, code: answer.Code, body: answer.Body, header: jsonHeader(id)}
	case "s3":
		answer := reply{status: e.Status, code: e.Code, header: map[string]string{"X-Amz-Request-Id": id}}
		if x.http.Method == http.MethodHead {
			return answer // as with AWS, a reply to HEAD has no body, so the code is lost
		}
		answer.header["Content-Type"] = "application/xml"
		answer.body = fmt.Appendf(nil, "%s<Error><Code>%s</Code><Message>%s</Message><RequestId>%s</RequestId></Error>",
			xml.Header, escape(e.Code), escape(e.Message), id)
		return answer
	}
	kind := "Sender"
	if e.Status >= 500 {
		kind = "Receiver"
	}
	body := fmt.Appendf(nil, `<ErrorResponse xmlns="%s"><Error><Type>%s</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>%s</RequestId></ErrorResponse>`,
		namespaces[x.service], kind, escape(e.Code), escape(e.Message), id)
	return reply{status: e.Status, code: e.Code, body: body, header: xmlHeader(id)}
}

// success writes a result of the query services: a struct for encoding/xml, or
// nil for actions without a result.
func (s *Server) success(x *exchange, result any) reply {
	id := s.newUUID()
	var out bytes.Buffer
	fmt.Fprintf(&out, `<%sResponse xmlns="%s">`, x.action, namespaces[x.service])
	if result != nil {
		start := xml.StartElement{Name: xml.Name{Local: x.action + "Result"}}
		if err := xml.NewEncoder(&out).EncodeElement(result, start); err != nil {
			return s.render(x, fail(500, "InternalFailure", err.Error()))
		}
	}
	fmt.Fprintf(&out, `<ResponseMetadata><RequestId>%s</RequestId></ResponseMetadata></%sResponse>`, id, x.action)
	return reply{status: http.StatusOK, body: out.Bytes(), header: xmlHeader(id)}
}

func jsonHeader(id string) map[string]string {
	return map[string]string{"Content-Type": "application/x-amz-json-1.1", "X-Amzn-Requestid": id}
}

func xmlHeader(id string) map[string]string {
	return map[string]string{"Content-Type": "text/xml", "X-Amzn-Requestid": id}
}

func escape(s string) string {
	var out strings.Builder
	_ = xml.EscapeText(&out, []byte(s)) // a strings.Builder never fails
	return out.String()
}

// iso formats a date for the query services: whole seconds, UTC.
func iso(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }
