package function_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"rota/internal/function/runtimetest"
)

// installed is what a template makes, as far as the function meets it.
type installed struct {
	env        map[string]string // the function's
	policies   []string          // of its role
	user, path string
	secret     string
	tags       map[string]string // of the secret
	topic      string            // its name
	first      string            // the event that makes the first key
	events     []scheduled
}

// scheduled is what a schedule sends the function.
type scheduled struct {
	every string
	from  time.Time
	input string
}

// begun is when the first key was made.
var begun = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

func day(n int) time.Time { return begun.Add(time.Duration(n) * 24 * time.Hour) }

// grants is a policy document as people write it: where there may be several,
// there may be one.
type grants struct {
	Statement []struct {
		Sid, Effect      string
		Action, Resource oneOrMore
		Condition        any `json:",omitempty"`
	}
}

// String is the document with lists throughout.
func (g grants) String() string {
	text, err := json.Marshal(g)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

type oneOrMore []string

func (m *oneOrMore) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*m = oneOrMore{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(m))
}

// arnOf is what AWS names a resource, by Terraform's name of its type; "" for
// types that are not met here. Nobody knows the end of a secret's ARN before.
func arnOf(kind, path, name string) string {
	place := awsRegion + ":" + awsAccount + ":"
	prefix, ok := map[string]string{
		"aws_iam_user": "iam::" + awsAccount + ":user" + path, "aws_iam_role": "iam::" + awsAccount + ":role" + path,
		"aws_secretsmanager_secret": "secretsmanager:" + place + "secret:", "aws_sns_topic": "sns:" + place, "aws_sqs_queue": "sqs:" + place,
		"aws_lambda_function": "lambda:" + place + "function:", "aws_cloudwatch_log_group": "logs:" + place + "log-group:",
		"aws_ssm_parameter": "ssm:" + place + "parameter",
	}[kind]
	switch {
	case !ok:
		return ""
	case kind == "aws_secretsmanager_secret":
		name += "-??????"
	}
	return "arn:aws:" + prefix + name
}

// document is what Terraform makes of the statements of a policy document.
func document(statements cty.Value) string {
	var all []map[string]any
	for it := statements.ElementIterator(); it.Next(); {
		_, v := it.Element()
		s := map[string]any{"Effect": "Allow"}
		for name, key := range map[string]string{"sid": "Sid", "effect": "Effect", "actions": "Action", "resources": "Resource", "condition": "Condition"} {
			if v.Type().HasAttribute(name) {
				s[key] = ctyjson.SimpleJSONValue{Value: v.GetAttr(name)}
			}
		}
		all = append(all, s)
	}
	text, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": all})
	if err != nil {
		return ""
	}
	return string(text)
}

// onCloudFormation are the stacks of a function and of a service account.
func onCloudFormation(t *testing.T) installed {
	t.Helper()
	function := newStack(t, "rota", "function.yaml", nil, nil)
	account := newStack(t, "cms", "service-account.yaml", map[string]string{
		"UserName": "prod-cms", "Email": "cms@example.org",
		"CreateFrom": day(90).Format(time.RFC3339), "DeactivateFrom": day(100).Format(time.RFC3339), "DeleteFrom": day(110).Format(time.RFC3339),
	}, function.exports())
	in := installed{env: function.environment(), policies: append(function.rolePolicies(), account.rolePolicies()...)}
	user := resources[struct{ UserName, Path string }](account, "AWS::IAM::User")[0]
	secret := resources[struct {
		Name string
		Tags []struct{ Key, Value string }
	}](account, "AWS::SecretsManager::Secret")[0]
	in.user, in.path, in.secret, in.tags = user.UserName, user.Path, secret.Name, map[string]string{}
	for _, tag := range secret.Tags {
		in.tags[tag.Key] = tag.Value
	}
	in.topic = resources[struct{ TopicName string }](account, "AWS::SNS::Topic")[0].TopicName
	in.events = account.schedules()
	in.first = in.events[0].input // as docs/aws.md has people send it
	return in
}

func (s *stack) environment() map[string]string {
	return resources[struct {
		Environment struct{ Variables map[string]string }
	}](s, "AWS::Lambda::Function")[0].Environment.Variables
}

// rolePolicies are what the stack has the function's role be allowed.
func (s *stack) rolePolicies() (all []string) {
	type inline struct{ PolicyDocument grants }
	if role, ok := s.template.Resources["FunctionRole"]; ok {
		for _, p := range decoded[struct{ Policies []inline }](s, role).Policies {
			all = append(all, p.PolicyDocument.String())
		}
	}
	for _, p := range resources[struct {
		Roles []string
		inline
	}](s, "AWS::IAM::Policy") {
		if slices.Equal(p.Roles, []string{s.imports["rota-FunctionRole"]}) {
			all = append(all, p.PolicyDocument.String())
		}
	}
	return all
}

func (s *stack) schedules() (all []scheduled) {
	for _, e := range resources[struct {
		ScheduleExpression, StartDate string
		Target                        struct{ Input string }
	}](s, "AWS::Scheduler::Schedule") {
		all = append(all, newScheduled(s.t, e.ScheduleExpression, e.StartDate, e.Target.Input))
	}
	return inOrder(all)
}

func newScheduled(t *testing.T, every, from, input string) scheduled {
	t.Helper()
	s := scheduled{every: every, input: input}
	if from == "" {
		return s
	}
	var err error
	if s.from, err = time.Parse(time.RFC3339, from); err != nil {
		t.Fatal(err)
	}
	return s
}

func inOrder(all []scheduled) []scheduled {
	slices.SortFunc(all, func(a, b scheduled) int { return a.from.Compare(b.from) })
	return all
}

// onTerraform is the example of a function and a service account.
func onTerraform(t *testing.T) installed {
	t.Helper()
	example := terraform(t, "examples/service-account", nil, nil)
	return modules(example.module("rota"), example.module("cms"))
}

// modules are a function and a service account.
func modules(function, account *plan) installed {
	in := installed{
		env: function.environment(), policies: append(function.rolePolicies(), account.rolePolicies()...),
		user: account.text("aws_iam_user.this.name"), path: account.text("aws_iam_user.this.path"),
		secret: account.text("aws_secretsmanager_secret.this.name"), tags: account.texts("aws_secretsmanager_secret.this.tags"),
		topic: account.text("aws_sns_topic.this.name"), first: account.text("aws_lambda_invocation.first_key.input"),
	}
	for name := range account.find("aws_scheduler_schedule.this").AsValueMap() {
		at := "aws_scheduler_schedule.this." + name
		in.events = append(in.events, newScheduled(account.t, account.text(at+".schedule_expression"), account.text(at+".start_date"), account.text(at+".target.input")))
	}
	in.events = inOrder(in.events)
	return in
}

func (p *plan) environment() map[string]string {
	return p.texts("aws_lambda_function.this.environment.variables")
}

// rolePolicies are what the module has the function's role be allowed.
func (p *plan) rolePolicies() []string {
	p.t.Helper()
	all := []string{p.text("aws_iam_role_policy.function.policy")}
	if given, ok := p.known["aws_iam_role_policy"]["given"]; ok {
		for _, one := range given.AsValueMap() {
			all = append(all, one.GetAttr("policy").AsString())
		}
	}
	return all
}

// install makes at an imitation of AWS what a template makes, and the function.
func install(t *testing.T, in installed) (*cloud, *runtimetest.Function) {
	t.Helper()
	c := newCloudWith(t, in.policies...)
	if _, err := c.iam().CreateUser(t.Context(), &iam.CreateUserInput{UserName: &in.user, Path: &in.path}); err != nil {
		t.Fatal(err)
	}
	var tags []types.Tag
	for k, v := range in.tags {
		tags = append(tags, types.Tag{Key: &k, Value: &v})
	}
	if _, err := c.secrets().CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: &in.secret, Tags: tags}); err != nil {
		t.Fatal(err)
	}
	c.CreateTopic(in.topic)
	return c, c.deploy(variables(in.env)...)
}

func variables(env map[string]string) (all []string) {
	for name, value := range env {
		all = append(all, name+"="+value)
	}
	return all
}

// TestTheTemplatesSchedulesKeepAKeyFresh plays what the templates' schedules
// send, for two periods, with the rights, the environment and the tags that the
// templates give.
func TestTheTemplatesSchedulesKeepAKeyFresh(t *testing.T) {
	for name, template := range map[string]func(*testing.T) installed{"CloudFormation": onCloudFormation, "Terraform": onTerraform} {
		t.Run(name, func(t *testing.T) {
			in := template(t)
			for i, want := range []time.Time{day(90), day(100), day(110)} {
				if len(in.events) != 3 || !in.events[i].from.Equal(want) || in.events[i].every != "rate(90 days)" {
					t.Fatalf("the schedules are %+v", in.events)
				}
			}
			c, f := install(t, in)
			succeed(t, f, in.first)
			for range 2 {
				before, _ := c.pair(in.secret, "AWSCURRENT")
				c.serves(in.secret, "AWSCURRENT")
				for i, want := range [][]string{{"Active", "Active"}, {"Inactive", "Active"}, {"Active"}} {
					for _, k := range c.Keys(in.user) {
						c.SetLastUsed(k.ID, time.Time{}, "", "")
					}
					f.Kill()
					succeed(t, f, in.events[i].input)
					var states []string
					for _, k := range c.Keys(in.user) {
						states = append(states, k.Status)
					}
					if !slices.Equal(states, want) {
						t.Fatalf("after %s the keys are %v, want %v", in.events[i].input, states, want)
					}
					c.serves(in.secret, "AWSCURRENT")
				}
				if after, _ := c.pair(in.secret, "AWSCURRENT"); after == before || c.Keys(in.user)[0].ID != after {
					t.Errorf("the key that is left is not the new one %s", after)
				}
			}
			if token := rotated(t, c, f, in.secret); c.Labels(in.secret)["AWSCURRENT"] != token { // by the tags alone
				t.Errorf("labels %v, want AWSCURRENT on %s", c.Labels(in.secret), token)
			}
			if n := len(c.Published(arnOf("aws_sns_topic", "", in.topic))); n < 8 {
				t.Errorf("the owner heard of %d changes, want four keys, two deactivations and two deletions", n)
			}
		})
	}
}
