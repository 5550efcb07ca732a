package awstest

import "time"

// Call is the record of one request. It never holds a secret's value.
type Call struct {
	N        int       // 1 for the first call
	Time     time.Time // by Options.Now
	Service  string    // "iam", "sts", "sns", "secretsmanager", "ssm", "s3"; "" if the request didn't say
	Action   string    // "CreateAccessKey", "PutSecretValue", "HeadBucket", …
	KeyID    string    // the caller's access key id, whether or not it was valid
	Resource string    // name of the user, role, topic, secret, parameter or bucket; "" if none
	Detail   string    // IAM: the access key id; Secrets Manager: staging labels, comma-separated; S3: object key
	Version  string    // Secrets Manager: the version id or token
	Error    string    // error code returned; "" for success and while the call is in flight
	Dropped  bool      // the connection was cut without a reply
}

// Calls returns the record of every call so far, in order of arrival.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := make([]Call, len(s.calls))
	for i, call := range s.calls {
		calls[i] = *call
	}
	return calls
}

// ResetCalls clears the record of calls and restarts the numbering at 1.
func (s *Server) ResetCalls() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = nil
}

// record adds a call's record when it arrives, and settle completes it. In
// between, only Calls reads it.
func (s *Server) record(x *exchange) *Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	call := s.describe(x)
	call.N = len(s.calls) + 1
	call.Time = s.now()
	s.calls = append(s.calls, &call)
	return &call
}

func (s *Server) settle(call *Call, code string, dropped bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	call.Error = code
	call.Dropped = dropped
}

// describe returns the record of the call, with ARNs replaced by names.
func (s *Server) describe(x *exchange) Call {
	call := Call{Service: x.service, Action: x.action, KeyID: x.auth.KeyID}
	switch x.service {
	case "iam":
		call.Resource, call.Detail = x.form.Get("UserName"), x.form.Get("AccessKeyId")
		if call.Resource == "" && call.Detail != "" {
			call.Resource = s.owners[call.Detail]
		}
	case "sts":
		call.Resource = afterLast(x.form.Get("RoleArn"), "/")
	case "sns":
		call.Resource = afterLast(x.form.Get("TopicArn"), ":")
		if call.Resource == "" {
			call.Resource = x.form.Get("Name")
		}
	case "secretsmanager":
		call.Resource = x.args.Name
		if call.Resource == "" {
			call.Resource = s.secrets.now.Name(x.args.SecretID)
		}
		call.Version, call.Detail = x.args.about()
	case "ssm":
		call.Resource = x.args.Name
	case "s3":
		call.Resource, call.Detail = x.bucket, x.object
	}
	return call
}
