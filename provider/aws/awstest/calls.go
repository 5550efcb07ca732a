package awstest

import "time"

// Call is the record of one request. It never holds a secret's value.
type Call struct {
	N        int       // 1 for the first call
	Time     time.Time // by Options.Now
	Service  string    // "iam", "sts", "sns", "secretsmanager", "ssm", "s3"; "" if the request told none
	Action   string    // "CreateAccessKey", "PutSecretValue", "HeadBucket", …
	KeyID    string    // the access key id of the caller, whether it was valid or not
	Resource string    // name of the user, role, topic, secret, parameter or bucket; "" if the call is about none
	Detail   string    // IAM: the access key id it is about; Secrets Manager: staging labels, comma-separated; S3: object key
	Version  string    // Secrets Manager: the version id or token it is about
	Error    string    // error code answered; "" for success and while the call is under way
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

// ResetCalls forgets the record of calls and counts from 1 again.
func (s *Server) ResetCalls() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = nil
}

// record notes the arrival of a call; settle notes its end. In between only
// Calls reads it.
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

// describe is the record of the call, with names where the request has ARNs.
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
