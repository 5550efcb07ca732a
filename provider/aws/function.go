package aws

import (
	"fmt"
	"strings"
)

// Function is what a Lambda function that runs Rota needs beside what its
// secrets need. Its log is whoever makes the function's.
type Function struct {
	// Config is where its rota.yaml is: s3://bucket/key, ssm:///name, or the ARN
	// of either. Empty for one that is packed with the function.
	Config string
	// DeadLetters is the ARN of the queue that gets what failed; empty for none.
	DeadLetters string
}

// Permissions are those that concern the function itself, at the place where
// it runs. An address that is none of the known ones is an error.
func (f Function) Permissions(at Place) ([]Permission, error) {
	var needs []Permission
	if f.Config != "" {
		need := Permission{ID: "ReadConfiguration", Why: "reads rota.yaml when the function starts"}
		name, parameter := strings.CutPrefix(f.Config, "ssm:")
		object, isObject := strings.CutPrefix(f.Config, "s3://")
		switch service := serviceOf(f.Config); {
		case service == "s3" || service == "ssm":
			need.Resource = f.Config
			parameter = service == "ssm"
		case isObject && strings.Contains(object, "/"):
			need.Resource = at.bucket(object)
		case parameter && name != "":
			need.Resource = at.arn("ssm", "parameter/"+strings.TrimLeft(name, "/"))
		default:
			return nil, fmt.Errorf("%s: no place of a configuration (try: s3://bucket/rota.yaml, or ssm:///rota/config)", f.Config)
		}
		need.Action = "s3:GetObject"
		if parameter {
			need.Action = "ssm:GetParameter"
		}
		needs = append(needs, need)
	}
	if f.DeadLetters != "" {
		if serviceOf(f.DeadLetters) != "sqs" {
			return nil, fmt.Errorf("%s: no ARN of a queue (try: arn:aws:sqs:eu-central-1:111122223333:rota-failed)", f.DeadLetters)
		}
		needs = append(needs, Permission{ID: "SendDeadLetters", Action: "sqs:SendMessage", Resource: f.DeadLetters,
			Why: "keeps a call that failed to the end"})
	}
	return needs, nil
}

// serviceOf is the service that an ARN names, "" where it is none.
func serviceOf(arn string) string {
	if parts := strings.SplitN(arn, ":", 6); len(parts) == 6 && parts[0] == "arn" {
		return parts[2]
	}
	return ""
}

// FunctionPermissions are what a function needs on the secret of a role beside
// the role's own: it has no disk, and notes on the secret what it is about to
// do. They are none for roles that are no secret.
func FunctionPermissions(r Role, at Place) []Permission {
	s, ok := r.(*secretStore)
	if !ok {
		return nil
	}
	arn := s.cfg.Name
	if !s.exists() {
		arn = s.arn(at)
	}
	return Permission{ID: "NoteIntents", Resource: arn}.each(
		reason{"secretsmanager:TagResource", "notes on the secret what the function is about to do"},
		reason{"secretsmanager:UntagResource", "takes the note off when it is done"})
}
