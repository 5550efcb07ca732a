package function_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// stack is a CloudFormation template, resolved with parameters.
type stack struct {
	t          *testing.T
	name       string
	parameters map[string]string
	imports    map[string]string // what other stacks export
	template   cfnTemplate
}

type cfnTemplate struct {
	Parameters map[string]cfnParameter `yaml:"Parameters"`
	Conditions map[string]yaml.Node    `yaml:"Conditions"`
	Resources  map[string]cfnResource  `yaml:"Resources"`
	Outputs    map[string]cfnOutput    `yaml:"Outputs"`
}

type cfnParameter struct {
	Type    string `yaml:"Type"`
	Default string `yaml:"Default"`
}

type cfnResource struct {
	Type       string    `yaml:"Type"`
	Condition  string    `yaml:"Condition"`
	Properties yaml.Node `yaml:"Properties"`
}

type cfnOutput struct {
	Value  yaml.Node `yaml:"Value"`
	Export struct {
		Name yaml.Node `yaml:"Name"`
	} `yaml:"Export"`
}

// absent is what !Ref AWS::NoValue stands for: the property is omitted.
type absent struct{}

func newStack(t *testing.T, name, template string, parameters, imports map[string]string) *stack {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "deploy", "cloudformation", template))
	if err != nil {
		t.Fatal(err)
	}
	s := &stack{t: t, name: name, parameters: map[string]string{}, imports: imports}
	if err := yaml.Unmarshal(text, &s.template); err != nil {
		t.Fatal(err)
	}
	for p, declared := range s.template.Parameters {
		s.parameters[p] = declared.Default
	}
	for p := range parameters {
		if _, ok := s.template.Parameters[p]; !ok {
			t.Fatalf("%s has no parameter %s", template, p)
		}
	}
	maps.Copy(s.parameters, parameters)
	return s
}

// exports are the stack's exports, by name.
func (s *stack) exports() map[string]string {
	all := map[string]string{}
	for _, o := range s.template.Outputs {
		if o.Export.Name.Kind != 0 {
			all[s.text(&o.Export.Name)] = s.text(&o.Value)
		}
	}
	return all
}

// resources decodes the stack's resources of one type, sorted by name.
func resources[T any](s *stack, kind string) (all []T) {
	s.t.Helper()
	for _, name := range slices.Sorted(maps.Keys(s.template.Resources)) {
		r := s.template.Resources[name]
		if r.Type == kind && (r.Condition == "" || s.holds(r.Condition)) {
			all = append(all, decoded[T](s, r))
		}
	}
	return all
}

// decoded is a resource's properties.
func decoded[T any](s *stack, r cfnResource) (one T) {
	s.t.Helper()
	text, err := json.Marshal(s.value(&r.Properties))
	if err == nil {
		err = json.Unmarshal(text, &one)
	}
	if err != nil {
		s.t.Fatalf("%s: %v", r.Type, err)
	}
	return one
}

func (s *stack) holds(condition string) bool {
	node, ok := s.template.Conditions[condition]
	if !ok {
		s.t.Fatalf("no condition %s", condition)
	}
	return s.value(&node) == true
}

func (s *stack) text(n *yaml.Node) string {
	s.t.Helper()
	text, ok := s.value(n).(string)
	if !ok {
		s.t.Fatalf("line %d is no text", n.Line)
	}
	return text
}

// value is a node with its functions resolved: text, a boolean, a list or a
// map.
func (s *stack) value(n *yaml.Node) any {
	s.t.Helper()
	switch n.Tag {
	case "!Ref":
		return s.ref(n.Value)
	case "!Sub":
		return s.sub(n.Value)
	case "!GetAtt":
		name, attribute, _ := strings.Cut(n.Value, ".")
		return s.attribute(name, attribute)
	case "!If":
		if s.holds(n.Content[0].Value) {
			return s.value(n.Content[1])
		}
		return s.value(n.Content[2])
	case "!Not":
		return s.value(n.Content[0]) == false
	case "!And", "!Or":
		for _, c := range n.Content {
			if s.value(c) == (n.Tag == "!Or") {
				return n.Tag == "!Or"
			}
		}
		return n.Tag == "!And"
	case "!Condition":
		return s.holds(n.Value)
	case "!Equals":
		return s.value(n.Content[0]) == s.value(n.Content[1])
	case "!Join":
		var parts []string
		for _, part := range s.value(n.Content[1]).([]any) {
			parts = append(parts, part.(string))
		}
		return strings.Join(parts, n.Content[0].Value)
	}
	if strings.HasPrefix(n.Tag, "!") && !strings.HasPrefix(n.Tag, "!!") {
		s.t.Fatalf("line %d: the function %s is not played", n.Line, n.Tag)
	}
	switch n.Kind {
	case yaml.SequenceNode:
		list := []any{}
		for _, c := range n.Content {
			if v := s.value(c); v != (absent{}) {
				list = append(list, v)
			}
		}
		return list
	case yaml.MappingNode:
		fields := map[string]any{}
		for i := 0; i < len(n.Content); i += 2 {
			if n.Content[i].Value == "Fn::ImportValue" {
				return s.imported(s.text(n.Content[i+1]))
			}
			if v := s.value(n.Content[i+1]); v != (absent{}) {
				fields[n.Content[i].Value] = v
			}
		}
		return fields
	}
	return n.Value
}

func (s *stack) imported(name string) string {
	s.t.Helper()
	value, ok := s.imports[name]
	if !ok {
		s.t.Fatalf("no stack exports %s", name)
	}
	return value
}

func (s *stack) ref(name string) any {
	s.t.Helper()
	switch name {
	case "AWS::NoValue":
		return absent{}
	case "AWS::AccountId":
		return awsAccount
	case "AWS::StackName":
		return s.name
	}
	if value, ok := s.parameters[name]; ok {
		if s.template.Parameters[name].Type == "CommaDelimitedList" {
			list := []any{}
			for _, part := range strings.Split(value, ",") {
				list = append(list, part)
			}
			return list
		}
		return value
	}
	switch s.resource(name).Type {
	case "AWS::SecretsManager::Secret", "AWS::SNS::Topic":
		return s.attribute(name, "Arn")
	}
	return s.named(name)
}

var reference = regexp.MustCompile(`\$\{([^}]+)\}`)

func (s *stack) sub(text string) string {
	return reference.ReplaceAllStringFunc(text, func(r string) string { return fmt.Sprint(s.ref(r[2 : len(r)-1])) })
}

func (s *stack) resource(name string) cfnResource {
	s.t.Helper()
	r, ok := s.template.Resources[name]
	if !ok {
		s.t.Fatalf("%s refers to %s, which is nowhere", s.name, name)
	}
	return r
}

// named is a resource's name: its own, or one that CloudFormation generates.
func (s *stack) named(name string) string {
	r := s.resource(name)
	properties := s.fields(&r.Properties)
	for _, property := range []string{"Name", "UserName", "FunctionName", "TopicName", "QueueName", "LogGroupName"} {
		if node := properties[property]; node != nil {
			return s.text(node)
		}
	}
	return s.name + "-" + name + "-MADEUP"
}

func (s *stack) fields(n *yaml.Node) map[string]*yaml.Node {
	fields := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		fields[n.Content[i].Value] = n.Content[i+1]
	}
	return fields
}

func (s *stack) attribute(name, attribute string) string {
	s.t.Helper()
	r := s.resource(name)
	if attribute == "QueueName" {
		return s.named(name)
	}
	path := "/"
	if node := s.fields(&r.Properties)["Path"]; node != nil {
		path = s.text(node)
	}
	kinds := map[string]string{
		"AWS::IAM::User": "aws_iam_user", "AWS::IAM::Role": "aws_iam_role", "AWS::SecretsManager::Secret": "aws_secretsmanager_secret", "AWS::SNS::Topic": "aws_sns_topic",
		"AWS::SQS::Queue": "aws_sqs_queue", "AWS::Lambda::Function": "aws_lambda_function", "AWS::Logs::LogGroup": "aws_cloudwatch_log_group",
	}
	if attribute != "Arn" || kinds[r.Type] == "" {
		s.t.Fatalf("%s.%s is not played", name, attribute)
	}
	return arnOf(kinds[r.Type], path, s.named(name))
}
