package function_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/google/go-cmp/cmp"
	"github.com/zclconf/go-cty/cty"
)

// granted are a role's policies, and the rota.yaml of the same secrets.
type granted struct {
	policies   []string
	config     string
	args       []string // of rota policy aws
	user, path string
}

// leastFor is what a service account's template grants, and its rota.yaml.
func leastFor(in installed, kmsKey string) granted {
	store := fmt.Sprintf("{name: %s}", in.secret)
	if kmsKey != "" {
		store = fmt.Sprintf("{name: %s, kms_key_id: %q}", in.secret, kmsKey)
	}
	secret := fmt.Sprintf("  - {name: s, issuer: {connection: aws, iam_access_key: {user: %s}}, store: {connection: aws, secrets_manager: %s}%s}\n", in.user, store, told)
	return granted{policies: in.policies, config: configuration(in.topic, secret), user: in.user, path: in.path}
}

// TestTheTemplatesGrantTheLeast compares what the templates let the function's
// role do with what rota policy aws prints for the same secrets: nothing is
// missing, and there's nothing extra but the function's log.
func TestTheTemplatesGrantTheLeast(t *testing.T) {
	function := func(t *testing.T, more map[string]cty.Value) *plan {
		variables := map[string]cty.Value{"package": cty.StringVal("rota.zip")}
		maps.Copy(variables, more)
		return terraform(t, "function", variables, nil)
	}
	for name, grant := range map[string]func(t *testing.T) granted{
		"CloudFormation's service account": func(t *testing.T) granted { return leastFor(onCloudFormation(t), "") },
		"Terraform's service account":      func(t *testing.T) granted { return leastFor(onTerraform(t), "") },
		"Terraform's service account with a key of its own": func(t *testing.T) granted {
			const key = "arn:aws:kms:eu-central-1:123456789012:key/6b29fc40-ca47-4067-b31d-00dd010662da"
			f := function(t, nil)
			return leastFor(modules(f, terraform(t, "service-account", map[string]cty.Value{
				"name": cty.StringVal("cms-with-key"), "kms_key_arn": cty.StringVal(key), "function": cty.ObjectVal(f.known["output"]),
			}, nil)), key)
		},
		"Terraform's function with a configuration": func(t *testing.T) granted {
			own := function(t, map[string]cty.Value{"config": cty.StringVal("secrets: []")})
			g := leastFor(installed{user: user, path: "/", secret: "s", topic: "owner"}, "")
			// The secrets' own part is what people are told to grant: the
			// printed policy.
			rest, err := printPolicy(g.config, nil, "--account", awsAccount, "--no-create")
			if err != nil {
				t.Fatal(err)
			}
			g.policies = append(own.rolePolicies(), rest)
			g.args = []string{"--function-config", own.environment()["ROTA_CONFIG"]}
			return g
		},
		"Terraform's example of a database": func(t *testing.T) granted {
			list := cty.ListVal([]cty.Value{cty.StringVal("one")})
			example := terraform(t, "examples/database", map[string]cty.Value{"subnet_ids": list, "security_group_ids": list}, nil)
			return granted{policies: example.module("rota").rolePolicies(), config: configuration("owner", passwordOf(example.text("aws_secretsmanager_secret.orders.name"))), user: user, path: "/"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := grant(t)
			c := newCloudWith(t)
			if g.user != user {
				if _, err := c.iam().CreateUser(t.Context(), &iam.CreateUserInput{UserName: &g.user, Path: &g.path}); err != nil {
					t.Fatal(err)
				}
			}
			args := append([]string{"--no-create", "--dead-letter-queue", arnOf("aws_sqs_queue", "", "rota-dead-letters")}, g.args...)
			printed, err := printPolicy(g.config, c.Env(c.RootCredentials()), args...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(allowed(t, printed), allowed(t, g.policies...)); diff != "" {
				t.Errorf("the template differs (-rota policy aws, +the template):\n%s", diff)
			}
		})
	}
}

// allowed are the actions in policies, each with its resources, except those on
// the function's own log.
func allowed(t *testing.T, policies ...string) []string {
	t.Helper()
	var all []string
	for _, text := range policies {
		var g grants
		if err := json.Unmarshal([]byte(text), &g); err != nil {
			t.Fatal(err)
		}
		for _, s := range g.Statement {
			for _, action := range s.Action {
				for _, resource := range s.Resource {
					log := strings.HasPrefix(action, "logs:") && strings.HasPrefix(resource, arnOf("aws_cloudwatch_log_group", "", "/aws/lambda/rota"))
					if !log {
						all = append(all, s.Effect+" "+action+" on "+resource)
					}
				}
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
