package awstest

import "testing"

func TestPoliciesThatAreNotPlayedAreRefused(t *testing.T) {
	s := newServer(Options{})
	s.CreateUser("ann")
	const ann = "arn:aws:iam::111122223333:user/ann"
	for _, c := range []struct{ name, principal, document string }{
		{"no JSON", ann, "{"},
		{"a denial", ann, `{"Statement": [{"Effect": "Deny", "Action": ["iam:GetUser"], "Resource": ["*"]}]}`},
		{"all but some actions", ann, `{"Statement": [{"Effect": "Allow", "NotAction": ["iam:GetUser"], "Resource": ["*"]}]}`},
		{"another condition", ann, `{"Statement": [{"Effect": "Allow", "Action": ["iam:GetUser"], "Resource": ["*"], "Condition": {"Bool": {"aws:SecureTransport": ["true"]}}}]}`},
		{"nobody", "arn:aws:iam::111122223333:user/bob", `{"Statement": [{"Effect": "Allow", "Action": ["iam:GetUser"], "Resource": ["*"]}]}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := s.AttachPolicy(c.principal, c.document); err == nil {
				t.Error("it was attached")
			}
		})
	}
}

func TestAttachedPolicyAllowsItsResourcesOnly(t *testing.T) {
	s := newServer(Options{})
	s.CreateUser("ann")
	const ann = "arn:aws:iam::111122223333:user/ann"
	document := `{"Statement": [
		{"Effect": "Allow", "Action": ["iam:GetUser"], "Resource": ["arn:aws:iam::111122223333:user/a??"]},
		{"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": ["arn:aws:s3:::b"], "Condition": {"StringEquals": {"s3:prefix": ["x/"]}}}]}`
	if err := s.AttachPolicy(ann, document); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, action, resource, prefix string
		want                           bool
	}{
		{"its resource", "iam:GetUser", ann, "", true},
		{"another resource", "iam:GetUser", "arn:aws:iam::111122223333:user/bob", "", false},
		{"another action", "iam:DeleteUser", ann, "", false},
		{"its prefix", "s3:ListBucket", "arn:aws:s3:::b", "x/", true},
		{"another prefix", "s3:ListBucket", "arn:aws:s3:::b", "y/", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := s.permits(ann, c.action, c.resource, c.prefix); got != c.want {
				t.Errorf("permitted: %t", got)
			}
		})
	}
	s.DetachPolicies(ann)
	if s.permits(ann, "iam:GetUser", ann, "") {
		t.Error("a policy that was taken off still allows")
	}
}
