package function_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/jackc/pgx/v5"
	"github.com/zclconf/go-cty/cty"

	"github.com/rota-dev/rota/internal/function/runtimetest"
	"github.com/rota-dev/rota/internal/testenv"
)

// TestTheTemplatesSweepDoesWhatIsDue plays what the function's own schedule
// sends, with the configuration where the template puts it.
func TestTheTemplatesSweepDoesWhatIsDue(t *testing.T) {
	swept := func(t *testing.T, c *cloud, env map[string]string, events []scheduled) {
		t.Helper()
		if len(events) != 1 || events[0].every != "rate(1 hour)" {
			t.Fatalf("the schedules are %+v", events)
		}
		var out sweptAnswer
		answer := succeed(t, c.deploy(variables(env)...), events[0].input)
		if err := json.Unmarshal(answer.Payload, &out); err != nil || out.Secrets != 1 || out.Done["s0"] == "" {
			t.Errorf("swept %+v, %v", out, err)
		}
		if keys := c.Keys("u0"); len(keys) != 1 || c.Labels("s0")["ROTA_SERVED"] == "" {
			t.Errorf("keys %v, labels %v", keys, c.Labels("s0"))
		}
	}
	t.Run("CloudFormation", func(t *testing.T) {
		c := newCloud(t, accessKeyOf("u0", "s0", ""))
		c.CreateUser("u0")
		c.CreateBucket("configs", identity)
		c.putObject("configs", "rota.yaml", configOf(1))
		function := newStack(t, "rota", "function.yaml", map[string]string{"Config": "s3://configs/rota.yaml", "Schedule": "rate(1 hour)"}, nil)
		swept(t, c, function.environment(), function.schedules())
	})
	t.Run("Terraform", func(t *testing.T) {
		c := newCloud(t, accessKeyOf("u0", "s0", ""))
		c.CreateUser("u0")
		c.Allow(identity, "ssm:GetParameter")
		function := terraform(t, "function", map[string]cty.Value{"package": cty.StringVal("rota.zip"), "config": cty.StringVal(configOf(1))}, nil)
		const parameter, schedule = "aws_ssm_parameter.config.", "aws_scheduler_schedule.sweep."
		c.putParameter(function.text(parameter+"name"), function.text(parameter+"type"), function.text(parameter+"value"))
		swept(t, c, function.environment(), []scheduled{{every: function.text(schedule + "schedule_expression"), input: function.text(schedule + "target.input")}})
	})
}

func (c *cloud) putObject(bucket, key, text string) {
	c.t.Helper()
	client := s3.NewFromConfig(c.as(c.RootCredentials()), func(o *s3.Options) { o.UsePathStyle = true })
	if _, err := client.PutObject(c.t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader(text)}); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cloud) putParameter(name, kind, text string) {
	c.t.Helper()
	in := &ssm.PutParameterInput{Name: &name, Value: &text, Overwrite: aws.Bool(true), Type: types.ParameterType(kind), Tier: types.ParameterTierIntelligentTiering}
	if _, err := ssm.NewFromConfig(c.as(c.RootCredentials())).PutParameter(c.t.Context(), in); err != nil {
		c.t.Fatal(err)
	}
}

// TestTheModulesRotationBySecretsManager plays Secrets Manager's own rotation
// of a service account created by Terraform.
func TestTheModulesRotationBySecretsManager(t *testing.T) {
	function := terraform(t, "function", map[string]cty.Value{"package": cty.StringVal("rota.zip"), "schedule": cty.NullVal(cty.String)}, nil)
	account := terraform(t, "service-account", map[string]cty.Value{
		"name": cty.StringVal("cms-by-aws"), "function": cty.ObjectVal(function.known["output"]), "rotate_by": cty.StringVal("secrets_manager"),
	}, nil)
	in := modules(function, account)
	if len(in.events) > 0 {
		t.Errorf("there are schedules too: %+v", in.events)
	}
	c, f := install(t, in)
	succeed(t, f, in.first)
	token := rotated(t, c, f, in.secret)
	if labels := c.Labels(in.secret); labels["AWSCURRENT"] != token {
		t.Errorf("labels %v, want AWSCURRENT on %s", labels, token)
	}
	c.serves(in.secret, "AWSCURRENT")
	c.serves(in.secret, "AWSPREVIOUS")
}

// rotated makes Secrets Manager rotate a secret, with a process for each step.
func rotated(t *testing.T, c *cloud, f *runtimetest.Function, name string) (token string) {
	t.Helper()
	token, err := c.AnnounceVersion(name)
	if err != nil {
		t.Fatal(err)
	}
	state, _ := c.Secret(name)
	for _, step := range protocol {
		succeed(t, f, stepEvent(state.ARN, token, step))
		f.Kill()
	}
	return token
}

// TestTheExamplesDatabase rotates the example's database password, with a real
// PostgreSQL in place of RDS.
func TestTheExamplesDatabase(t *testing.T) {
	server := testenv.Postgres(t, testenv.PostgresOptions{})
	list := cty.ListVal([]cty.Value{cty.StringVal("one")})
	example := terraform(t, "examples/database", map[string]cty.Value{"subnet_ids": list, "security_group_ids": list}, map[string]map[string]cty.Value{
		"aws_db_instance":                    {"address": cty.StringVal(server.Host), "port": cty.NumberIntVal(int64(server.Port))},
		"aws_secretsmanager_random_password": texts("random_password", "first-password"),
	})
	const instance = "aws_db_instance.orders."
	server.Exec(t, fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD '%s'", example.text(instance+"username"), example.text(instance+"password_wo")),
		"CREATE DATABASE "+example.text(instance+"db_name"))

	c := newCloudWith(t, example.module("rota").rolePolicies()...)
	name := example.text("aws_secretsmanager_secret.orders.name")
	if _, _, err := c.CreateSecret(name, example.text("aws_secretsmanager_secret_version.first.secret_string_wo")); err != nil {
		t.Fatal(err)
	}
	env := example.module("rota").environment()
	if bundle := env["PGSSLROOTCERT"]; bundle != "/var/task/global-bundle.pem" {
		t.Errorf("the authorities of RDS are in %q", bundle)
	}
	delete(env, "PGSSLROOTCERT") // the server in place of RDS is on this machine
	f := c.deploy(variables(env)...)
	for range 2 {
		token := rotated(t, c, f, name)
		if got := c.Labels(name)["AWSCURRENT"]; got != token {
			t.Errorf("AWSCURRENT is on %s, want %s", got, token)
		}
		var v struct {
			Host, Dbname, Username, Password string
			Port                             int
		}
		text, _ := c.SecretText(name, "AWSCURRENT")
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			t.Fatal(err)
		}
		dsn := url.URL{Scheme: "postgres", User: url.UserPassword(v.Username, v.Password), Host: fmt.Sprintf("%s:%d", v.Host, v.Port), Path: v.Dbname}
		conn, err := pgx.Connect(t.Context(), dsn.String())
		if err != nil {
			t.Fatalf("log in with the current password: %v", err)
		}
		_ = conn.Close(t.Context())
	}
}
