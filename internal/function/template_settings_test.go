package function_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// settled are the properties that a template's optional parameters set, by
// resource: nil where the property is left out.
type settled map[string]map[string]any

// settings resolves a template, and picks what a test wants to see.
func settings(t *testing.T, template string, parameters map[string]string, want settled) settled {
	t.Helper()
	s := newStack(t, "stack", template, parameters, map[string]string{
		"rota-FunctionArn": "arn:aws:lambda:eu-central-1:123456789012:function:rota", "rota-FunctionRole": "role", "rota-SchedulerRole": "scheduler", "rota-SchedulerRoleArn": "arn:aws:iam::123456789012:role/scheduler",
		"rota-DeadLettersArn": "arn:aws:sqs:eu-central-1:123456789012:rota-dead-letters",
	})
	got := settled{}
	for name, properties := range want {
		r := s.resource(name)
		if r.Condition != "" && !s.holds(r.Condition) {
			got[name] = nil
			continue
		}
		all, picked := s.value(&r.Properties).(map[string]any), map[string]any{}
		for property := range properties {
			picked[property] = all[property]
		}
		got[name] = picked
	}
	return got
}

// No emulator creates a stack's boundaries, reserved concurrency and schedules, so
// these are read from the templates, as CloudFormation resolves them.
func TestTheTemplatesOptionalParameters(t *testing.T) {
	const key, boundary = "arn:aws:kms:eu-central-1:123456789012:key/1234", "arn:aws:iam::123456789012:policy/boundary"
	for _, c := range []struct {
		name, template string
		parameters     map[string]string
		want           settled
	}{
		{"the function, as it is", "function.yaml", nil, settled{
			"Function":      {"ReservedConcurrentExecutions": "1", "KmsKeyArn": nil, "VpcConfig": nil, "Environment": nil},
			"FunctionRole":  {"PermissionsBoundary": nil},
			"SchedulerRole": {"PermissionsBoundary": nil},
			"Log":           {"KmsKeyId": nil},
			"DeadLetters":   {"KmsMasterKeyId": nil, "SqsManagedSseEnabled": "true"},
			"KeyPolicy":     nil, "NetworkPolicy": nil, "GitLabPolicy": nil,
		}},
		{"the function, with everything", "function.yaml", map[string]string{
			"Config": "ssm:///rota", "Schedule": "rate(1 hour)", "UnusedFor": "3d", "ReservedConcurrency": "-1", "SubnetIds": "subnet-1,subnet-2", "SecurityGroupIds": "sg-1",
			"KmsKeyArn": key, "PermissionsBoundary": boundary,
		}, settled{
			"Function": {
				"ReservedConcurrentExecutions": nil, "KmsKeyArn": key,
				"VpcConfig":   map[string]any{"SubnetIds": []any{"subnet-1", "subnet-2"}, "SecurityGroupIds": []any{"sg-1"}},
				"Environment": map[string]any{"Variables": map[string]any{"ROTA_CONFIG": "ssm:///rota", "ROTA_UNUSED_FOR": "3d"}},
			},
			"FunctionRole":  {"PermissionsBoundary": boundary},
			"SchedulerRole": {"PermissionsBoundary": boundary},
			"Log":           {"KmsKeyId": key},
			"DeadLetters":   {"KmsMasterKeyId": key, "SqsManagedSseEnabled": nil},
			"KeyPolicy":     {"PolicyName": "key"},
			"NetworkPolicy": {"PolicyName": "network"},
			"Sweep":         {"KmsKeyArn": key},
		}},
		{"a key without variables, which AWS would drop", "function.yaml", map[string]string{"KmsKeyArn": key}, settled{
			"Function": {"KmsKeyArn": nil, "Environment": nil}, "Log": {"KmsKeyId": key},
		}},
		{"a function that writes to GitLab", "function.yaml", map[string]string{"GitLabUrl": "https://gitlab.example.com", "GitLabTokenSecret": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:gitlab"}, settled{
			"Function":     {"Environment": map[string]any{"Variables": map[string]any{"GITLAB_URL": "https://gitlab.example.com", "GITLAB_TOKEN_SECRET": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:gitlab"}}},
			"GitLabPolicy": {"PolicyName": "gitlab"},
		}},
		{"a service account of GitLab", "service-account.yaml", map[string]string{"UserName": "cms", "GitLabProject": "shop/api"}, settled{
			"Day90": nil, "Day100": nil, "Day110": nil,
			"GitLab": {"ScheduleExpression": "rate(15 minutes)"},
		}},
		{"a service account, as it is", "service-account.yaml", map[string]string{"UserName": "cms"}, settled{
			"User":      {"PermissionsBoundary": nil},
			"Secret":    {"KmsKeyId": nil},
			"Topic":     {"KmsMasterKeyId": "alias/aws/sns"},
			"Day90":     {"KmsKeyArn": nil},
			"KeyPolicy": nil, "GitLab": nil,
		}},
		{"a service account, with everything", "service-account.yaml", map[string]string{"UserName": "cms", "KmsKeyArn": key, "PermissionsBoundary": boundary}, settled{
			"User":      {"PermissionsBoundary": boundary},
			"Secret":    {"KmsKeyId": key},
			"Topic":     {"KmsMasterKeyId": key},
			"Day90":     {"KmsKeyArn": key},
			"Day100":    {"KmsKeyArn": key},
			"Day110":    {"KmsKeyArn": key},
			"KeyPolicy": {"PolicyName": "service-account-key-cms", "Roles": []any{"role", "scheduler"}},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, settings(t, c.template, c.parameters, c.want)); diff != "" {
				t.Errorf("properties (-want +got):\n%s", diff)
			}
		})
	}
}
