package awstest

import (
	"net/http"
	"strings"
	"time"
)

// Fault says what goes wrong with one call. The zero value lets it be.
//
// The order is: Delay, then FailBefore or the action itself (twice with
// Repeat), then After, then the reply: none with DropReply, FailAfter's error,
// or the true one. FailBefore with DropReply is a request that got lost.
type Fault struct {
	// FailBefore is an AWS error code ("ServiceFailure", "Throttling",
	// "AccessDenied", "InternalServiceError") that is answered without acting.
	FailBefore string
	// FailAfter is an AWS error code that is answered after acting.
	FailAfter string
	// Status is the HTTP status of FailBefore and FailAfter. Defaults to the
	// one AWS gives with the code.
	Status int
	// DropReply cuts the connection instead of replying.
	DropReply bool
	// Repeat acts twice, like a request that the network doubled, and answers
	// with the second's reply.
	Repeat bool
	// Delay is real time that passes before the call acts. The call acts even if
	// the client has gone by then.
	Delay time.Duration
	// Stale makes a list, describe or get call answer from the state before the
	// last write to that resource. Other calls ignore it.
	Stale bool
	// After is called when the call has acted (or was refused) and before the
	// reply is sent; tests use it to stop the client at that very moment.
	After func()
}

// SetFaults sets the function that is asked once for each call, before it
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

// wait lets d of real time pass. False means that the server was closed.
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

// statusOf is the HTTP status that AWS gives with an error code. (Secrets
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
