package awstest

import (
	"net/http"
	"strings"
	"time"
)

// Fault says what goes wrong with one call. The zero value means nothing does.
//
// The order is: Delay, then FailBefore or the action itself (twice with
// Repeat), then After, then the reply: none with DropReply, FailAfter's error,
// or the real one. FailBefore with DropReply simulates a lost request.
type Fault struct {
	// FailBefore is an AWS error code ("ServiceFailure", "Throttling",
	// "AccessDenied", "InternalServiceError") to return without acting.
	FailBefore string
	// FailAfter is an AWS error code to return after acting.
	FailAfter string
	// Status is the HTTP status for FailBefore and FailAfter. Defaults to the
	// one AWS uses for the code.
	Status int
	// DropReply cuts the connection instead of replying.
	DropReply bool
	// Repeat acts twice, as if the network had duplicated the request, and
	// returns the second reply.
	Repeat bool
	// Delay is how long, in real time, the call waits before it acts. It acts
	// even if the client has gone by then.
	Delay time.Duration
	// Stale makes a list, describe or get call return the state before the last
	// write to that resource. Other calls ignore it.
	Stale bool
	// After is called once the call has acted (or was refused), before the
	// reply is sent. Tests use it to stop the client at exactly that point.
	After func()
}

// SetFaults sets the function that is called once for each call, before it
// acts; nil means no faults. It is called for one call at a time and must not
// wait for another call to this server.
func (s *Server) SetFaults(f func(Call) Fault) {
	s.faultMu.Lock()
	defer s.faultMu.Unlock()
	s.faults = f
}

func (s *Server) fault(call Call) Fault {
	s.faultMu.Lock()
	defer s.faultMu.Unlock()
	if s.faults == nil {
		return Fault{}
	}
	return s.faults(call)
}

// wait waits for d of real time. It returns false if the server was closed.
func (s *Server) wait(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.done:
		return false
	}
}

func (f Fault) err(service, code string) *apiError {
	status := f.Status
	if status == 0 {
		status = statusOf(code)
		if (service == "secretsmanager" || service == "ssm") && status < http.StatusInternalServerError {
			status = http.StatusBadRequest
		}
	}
	return &apiError{Code: code, Status: status, Message: "injected fault: " + code}
}

// statusOf returns the HTTP status that AWS uses for an error code. (Secrets
// Manager's client errors are all 400.)
func statusOf(code string) int {
	switch {
	case strings.HasPrefix(code, "Internal"), code == "ServiceFailure":
		return http.StatusInternalServerError
	case code == "ServiceUnavailable", code == "SlowDown":
		return http.StatusServiceUnavailable
	case strings.HasPrefix(code, "AccessDenied"), code == "AuthorizationError", code == "SignatureDoesNotMatch",
		code == "InvalidClientTokenId", code == "ExpiredToken", code == "InvalidAccessKeyId":
		return http.StatusForbidden
	case code == "NoSuchEntity", code == "NotFound", code == "NoSuchBucket", code == "NoSuchKey":
		return http.StatusNotFound
	case code == "LimitExceeded", code == "EntityAlreadyExists", code == "DeleteConflict", code == "ConcurrentModification":
		return http.StatusConflict
	}
	return http.StatusBadRequest
}
