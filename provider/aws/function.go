package aws

import (
	"fmt"
	"strings"

	awsarn "github.com/aws/aws-sdk-go-v2/aws/arn"

	"github.com/rota-dev/rota"
)

// Function is what a Lambda function that runs Rota needs besides what its
// secrets need. Access to its log is up to whoever creates the function.
type Function struct {
	// Config is where its rota.yaml is, as in the function's ROTA_CONFIG:
	// s3://bucket/key or ssm:///name. It's empty or a path if the file is packed
	// with the function.
	Config string
	// Masters are the names or ARNs of the secrets that others name as their
	// masterarn. The function logs in with them and doesn't change them.
	Masters []string
	// DeadLetters is the ARN of the dead-letter queue; empty for none.
	DeadLetters string
}

// Permissions returns those that concern the function itself, at the place where
// it runs. It returns an error for a malformed address, secret or queue.
func (f Function) Permissions(at Place) ([]Permission, error) {
	var needs []Permission
	if scheme, place, remote := strings.Cut(f.Config, "://"); remote { // else it is packed with the function
		need := Permission{ID: "ReadConfiguration", Why: "reads rota.yaml when the function starts"}
		name := strings.TrimLeft(place, "/")
		switch {
		case scheme == "s3" && strings.Contains(place, "/"):
			need.Action, need.Resource = "s3:GetObject", at.bucket(place)
		case scheme == "ssm" && name != "":
			need.Action, need.Resource = "ssm:GetParameter", at.arn("ssm", "parameter/"+name)
		default:
			return nil, rota.WithRemedies(fmt.Errorf("%s: no place of a configuration", f.Config), rota.Outside("s3://bucket/rota.yaml, or ssm:///rota/config"))
		}
		needs = append(needs, need)
	}
	for _, id := range f.Masters {
		master := &secretStore{cfg: SecretsManagerConfig{Name: id}}
		if service := serviceOf(id); service != "secretsmanager" && (service != "" || master.exists()) {
			return nil, rota.WithRemedies(fmt.Errorf("%s: no secret", id), rota.Outside("a secret's name, or its ARN arn:aws:secretsmanager:…"))
		}
		for _, resource := range master.resources(at) {
			needs = append(needs, Permission{ID: "ReadMasters", Resource: resource}.each(
				reason{"secretsmanager:DescribeSecret", "sees which version of the master's secret is current"},
				reason{"secretsmanager:GetSecretValue", "logs in as the master that a database's secret names (masterarn)"})...)
		}
		if rdsManages(id) {
			needs = append(needs, at.databasePermissions()...)
		}
	}
	if f.DeadLetters != "" {
		if serviceOf(f.DeadLetters) != "sqs" {
			return nil, rota.WithRemedies(fmt.Errorf("%s: no ARN of a queue", f.DeadLetters), rota.Outside("arn:aws:sqs:eu-central-1:111122223333:rota-failed"))
		}
		needs = append(needs, Permission{ID: "SendDeadLetters", Action: "sqs:SendMessage", Resource: f.DeadLetters,
			Why: "keeps a call that failed to the end"})
	}
	return needs, nil
}

// serviceOf returns the service in an ARN, or "" for any other text.
func serviceOf(arn string) string {
	parsed, err := awsarn.Parse(arn)
	if err != nil {
		return ""
	}
	return parsed.Service
}

// FunctionPermissions returns what a function needs on a secret besides r's own
// permissions: it has no disk, so it records what it's about to do on the secret.
// It returns none if r isn't a secret.
func FunctionPermissions(r PermissionHolder, at Place) []Permission {
	s, ok := r.(*secretStore)
	if !ok {
		return nil
	}
	var needs []Permission
	for _, resource := range s.resources(at) {
		needs = append(needs, Permission{ID: "NoteIntents", Resource: resource}.each(
			reason{"secretsmanager:TagResource", "notes on the secret what the function is about to do"},
			reason{"secretsmanager:UntagResource", "takes the note off when it is done"})...)
	}
	return needs
}
