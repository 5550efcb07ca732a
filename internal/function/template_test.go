package function_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/google/go-cmp/cmp"
	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"github.com/rota-dev/rota/internal/function/runtimetest"
)

// installed is what a template creates, as far as the function is concerned.
type installed struct {
	env        map[string]string // the function's
	policies   []string          // of its role
	user, path string
	secret     string
	tags       map[string]string // of the secret
	topic      string            // its name
	first      string            // the event that creates the first key
	events     []scheduled
}

// scheduled is what a schedule sends to the function.
type scheduled struct{ every, input string }

// grants is a policy document as people write it: a list can also be a single
// value.
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

// arnOf is the name that AWS gives a resource, by its Terraform type; "" for
// types that don't occur here. Nobody knows the end of a secret's ARN in
// advance.
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

// document is what Terraform makes of a policy document's statements.
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
	account := newStack(t, "cms", "service-account.yaml", map[string]string{"UserName": "prod-cms", "Email": "cms@example.org"}, function.exports())
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
	in.first = in.event(t, "create") // as docs/aws.md tells people to send it
	return in
}

func (s *stack) environment() map[string]string {
	return resources[struct {
		Environment struct{ Variables map[string]string }
	}](s, "AWS::Lambda::Function")[0].Environment.Variables
}

// rolePolicies are the policies that the stack gives the function's role.
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
		ScheduleExpression string
		Target             struct{ Input string }
	}](s, "AWS::Scheduler::Schedule") {
		all = append(all, scheduled{e.ScheduleExpression, e.Target.Input})
	}
	return all
}

// event is the one with an action.
func (in installed) event(t *testing.T, action string) string {
	t.Helper()
	for _, e := range in.events {
		if strings.Contains(e.input, fmt.Sprintf("%q", action)) {
			return e.input
		}
	}
	t.Fatalf("no schedule asks for %s: %+v", action, in.events)
	return ""
}

// onTerraform is the example with a function and a service account.
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
		in.events = append(in.events, scheduled{account.text(at + ".schedule_expression"), account.text(at + ".target.input")})
	}
	return in
}

func (p *plan) environment() map[string]string {
	if this := p.find("aws_lambda_function.this"); !this.Type().HasAttribute("environment") {
		return nil // the block is left out if there are no variables
	}
	return p.texts("aws_lambda_function.this.environment.variables")
}

// rolePolicies are the policies that the module gives the function's role.
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

// install creates, at a fake AWS, what a template creates, and the function.
func install(t *testing.T, in installed) (*cloud, *runtimetest.Function) {
	t.Helper()
	c := newCloudWith(t, in.policies...)
	in.make(c)
	return c, c.deploy(variables(in.env)...)
}

// make creates the user, the entry and the topic.
func (in installed) make(c *cloud) {
	c.t.Helper()
	if _, err := c.iam().CreateUser(c.t.Context(), &iam.CreateUserInput{UserName: &in.user, Path: &in.path}); err != nil {
		c.t.Fatal(err)
	}
	var tags []types.Tag
	for k, v := range in.tags {
		tags = append(tags, types.Tag{Key: &k, Value: &v})
	}
	if _, err := c.secrets().CreateSecret(c.t.Context(), &secretsmanager.CreateSecretInput{Name: &in.secret, Tags: tags}); err != nil {
		c.t.Fatal(err)
	}
	c.CreateTopic(in.topic)
}

func variables(env map[string]string) (all []string) {
	for name, value := range env {
		all = append(all, name+"="+value)
	}
	return all
}

var serviceAccounts = map[string]func(*testing.T) installed{"CloudFormation": onCloudFormation, "Terraform": onTerraform}

// TestTheTemplatesSchedulesKeepAKeyFresh plays what the templates' schedules
// send, for two hundred days, with the permissions, the environment and the
// tags from the templates. Someone uses the first key until day 104, so that
// what is due on day 100 has to wait.
func TestTheTemplatesSchedulesKeepAKeyFresh(t *testing.T) {
	for name, template := range serviceAccounts {
		t.Run(name, func(t *testing.T) {
			in := template(t)
			p := playWith(t, in.env, in.policies...)
			in.make(p.cloud)
			actions := []string{"create", "deactivate", "delete"}
			if len(in.events) != len(actions) {
				t.Fatalf("the schedules are %+v", in.events)
			}
			happened := map[string][]int{}
			for day := range 201 {
				keys := p.Keys(in.user)
				for i, k := range keys {
					at := time.Time{}
					if i == 0 && day < 105 {
						at = p.clock()
					}
					p.SetLastUsed(k.ID, at, "s3", awsRegion)
				}
				if day >= 105 && day < 111 {
					p.SetLastUsed(keys[0].ID, p.clock().AddDate(0, 0, 104-day), "s3", awsRegion)
				}
				for _, action := range actions {
					before := fmt.Sprint(p.states(in.user))
					err := p.invoke("", in.event(t, action))
					if held := action == "deactivate" && day >= 100 && day < 111; (err != nil) != held {
						t.Fatalf("day %d: %s: %v", day, action, err)
					}
					if fmt.Sprint(p.states(in.user)) != before {
						happened[action] = append(happened[action], day)
					}
				}
				p.serves(in.secret, "AWSCURRENT")
				p.mu.Lock()
				p.now = p.now.AddDate(0, 0, 1)
				p.mu.Unlock()
			}
			want := map[string][]int{"create": {0, 90, 180}, "deactivate": {111, 190}, "delete": {121, 200}}
			if diff := cmp.Diff(want, happened); diff != "" {
				t.Errorf("the days differ (-want, +got):\n%s", diff)
			}
			if n := len(p.Published(arnOf("aws_sns_topic", "", in.topic))); n < 7 {
				t.Errorf("the owner heard of %d changes, want three keys, two deactivations and two deletions", n)
			}
		})
	}
}

// states are the states of a user's keys.
func (c *cloud) states(user string) (all []string) {
	for _, k := range c.Keys(user) {
		all = append(all, k.Status)
	}
	return all
}

// TestTheTemplatesFirstKey makes the real program create it, and Secrets
// Manager drive a rotation by the entry's tags alone.
func TestTheTemplatesFirstKey(t *testing.T) {
	for name, template := range serviceAccounts {
		t.Run(name, func(t *testing.T) {
			in := template(t)
			c, f := install(t, in)
			for range 2 { // the schedule may have been faster
				succeed(t, f, in.first)
			}
			c.serves(in.secret, "AWSCURRENT")
			if got := c.states(in.user); !slices.Equal(got, []string{"Active"}) {
				t.Fatalf("the keys are %v, want one", got)
			}
			if token := rotated(t, c, f, in.secret); c.Labels(in.secret)["AWSCURRENT"] != token {
				t.Errorf("labels %v, want AWSCURRENT on %s", c.Labels(in.secret), token)
			}
		})
	}
}
