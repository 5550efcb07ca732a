package opentofu

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// database is the variables of the example with a database.
var database = []string{"-var", `subnet_ids=["subnet-1","subnet-2"]`, "-var", `security_group_ids=["sg-1"]`}

func TestTheModulesAreFormattedAndValid(t *testing.T) {
	w := open(t, "function", "")
	if stdout, stderr, code := (&workspace{t: t, dir: w.top}).tofu("fmt", "-check", "-recursive", "-diff"); code != 0 {
		t.Errorf("tofu fmt: %s%s", stdout, stderr)
	}
	w.must("validate")
	for _, folder := range []string{"service-account", "examples/service-account", "examples/database"} {
		open(t, folder, "").must("validate")
	}
}

// TestTheStandInFindsMistakes checks that it refuses what the provider would.
func TestTheStandInFindsMistakes(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"a misspelt argument": {`resource "aws_sns_topic" "a" { nam = "a" }`, "Unsupported argument"},
		"a wrong type":        {`resource "aws_sqs_queue" "a" { message_retention_seconds = "long" }`, "a number is required"},
		"a missing argument":  {`resource "aws_iam_user" "a" {}`, "Missing required argument"},
		"a missing block": {`resource "aws_scheduler_schedule" "a" {
  schedule_expression = "rate(1 day)"
  flexible_time_window { mode = "OFF" }
}`, "Insufficient target blocks"},
		"what only the provider says": {`resource "aws_sns_topic" "a" { arn = "arn:aws:sns:::a" }`, "arn can't be given"},
		"an attribute that is none":   {"resource \"aws_sns_topic\" \"a\" {}\noutput \"a\" { value = aws_sns_topic.a.ARN }", "Unsupported attribute"},
	} {
		t.Run(name, func(t *testing.T) {
			stdout, stderr, code := open(t, "test", c.text).tofu("validate")
			if code == 0 || !strings.Contains(strings.Join(strings.Fields(stdout+stderr), " "), c.want) {
				t.Errorf("exit %d, want %q:\n%s%s", code, c.want, stdout, stderr)
			}
		})
	}
}

func TestAServiceAccount(t *testing.T) {
	w := open(t, "examples/service-account", "")
	all := w.apply()
	const user = "prod-cms-binary-leancms-s3-user"
	for action, days := range map[string]int{"create": 90, "deactivate": 10, "delete": 10} {
		var schedule struct {
			Rate   string `json:"schedule_expression"`
			Target []struct{ Arn, Input string }
		}
		all.read(t, fmt.Sprintf("module.cms.aws_scheduler_schedule.this[%q]", action), &schedule)
		if schedule.Rate != "rate(1 day)" {
			t.Errorf("%s: asked at %s, want every day", action, schedule.Rate)
		}
		want := fmt.Sprintf(`{"action":%q,"after_days":%d,"secret":%q,"username":%q}`, action, days, user, user)
		if got := schedule.Target[0].Input; got != want {
			t.Errorf("%s: the event is %s, want %s", action, got, want)
		}
		if want := "arn:aws:lambda:eu-central-1:111122223333:function:rota"; schedule.Target[0].Arn != want {
			t.Errorf("%s: it calls %s, want %s", action, schedule.Target[0].Arn, want)
		}
	}
	var first struct{ Input string }
	all.read(t, "module.cms.aws_lambda_invocation.first_key[0]", &first)
	if want := fmt.Sprintf(`{"action":"create","after_days":90,"secret":%q,"username":%q}`, user, user); first.Input != want {
		t.Errorf("the first key comes of %s, want %s", first.Input, want)
	}
	var entry struct{ Tags map[string]string }
	all.read(t, "module.cms.aws_secretsmanager_secret.this", &entry)
	if want := map[string]string{"rota:iam-user": user, "rota:topic": "arn:aws:sns:eu-central-1:111122223333:" + user + "-key"}; !maps.Equal(entry.Tags, want) {
		t.Errorf("the entry's tags are %v, want %v", entry.Tags, want)
	}
	w.unchanged()
}

// unchanged fails the test if a second plan would change anything.
func (w *workspace) unchanged(args ...string) {
	w.t.Helper()
	if stdout, stderr, code := w.tofu(append([]string{"plan", "-detailed-exitcode", "-input=false"}, args...)...); code != 0 {
		w.t.Errorf("a second plan: exit %d\n%s%s", code, stdout, stderr)
	}
}

// TestRotasNoteIsNoDrift checks that the function's tag on a secret, which it
// adds and removes by itself, doesn't count as drift.
func TestRotasNoteIsNoDrift(t *testing.T) {
	w := open(t, "examples/service-account", "")
	w.apply()
	path := filepath.Join(w.dir, "terraform.tfstate")
	state, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		tag  string
		code int
	}{{"rota:intent", 0}, {"somebody", 2}} {
		noted := strings.ReplaceAll(string(state), `"rota:iam-user"`, fmt.Sprintf("%q: \"noted\",\n\"rota:iam-user\"", c.tag))
		if noted == string(state) {
			t.Fatal("the state has no tags")
		}
		write(t, path, noted)
		if stdout, stderr, code := w.tofu("plan", "-detailed-exitcode", "-input=false"); code != c.code {
			t.Errorf("tag %s: exit %d, want %d\n%s%s", c.tag, code, c.code, stdout, stderr)
		}
	}
}

// TestNoValueInTheStateOrThePlan looks for a database's first password, which
// an ephemeral resource generates and write-only arguments pass on.
func TestNoValueInTheStateOrThePlan(t *testing.T) {
	const value = "made-up-by-the-stand-in"
	if !strings.Contains(string(schemas), value) {
		t.Fatal("the stand-in makes up another value")
	}
	w := open(t, "examples/database", "")
	w.must(slices.Concat([]string{"plan", "-input=false", "-out=made.plan"}, database)...)
	planned := w.must("show", "-json", "made.plan")
	w.must("apply", "-input=false", "made.plan")
	state, err := os.ReadFile(filepath.Join(w.dir, "terraform.tfstate"))
	if err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{"the plan": planned, "the state": string(state)} {
		if strings.Contains(text, value) {
			t.Errorf("the password is in %s", what)
		}
		if !strings.Contains(text, "prod/orders-db") {
			t.Errorf("%s is not that of the example", what)
		}
	}
	var rotation struct {
		Function string `json:"rotation_lambda_arn"`
	}
	w.state().read(t, "aws_secretsmanager_secret_rotation.orders", &rotation)
	if rotation.Function != "arn:aws:lambda:eu-central-1:111122223333:function:rota" {
		t.Errorf("the rotation function is %s", rotation.Function)
	}
	w.unchanged(database...)
}

// root is a root module with a function and a service account, with additional
// arguments for each.
func root(function, account string) string {
	return fmt.Sprintf(`
module "rota" {
  source  = "../function"
  package = "${path.module}/../../../dist/rota-lambda-arm64.zip"
  %s
}
module "cms" {
  source   = "../service-account"
  name     = "cms"
  function = module.rota
  %s
}`, function, account)
}

const key = `kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:key/1234"`

func TestTheModulesArguments(t *testing.T) {
	for name, c := range map[string]struct {
		function, account string
		there, absent     []string
	}{
		"as they are": {
			there:  []string{"module.rota.aws_scheduler_schedule.sweep[0]", "module.rota.aws_cloudwatch_metric_alarm.silence[0]", "module.rota.aws_lambda_permission.secrets_manager"},
			absent: []string{"module.rota.aws_ssm_parameter.config[0]", "module.cms.aws_secretsmanager_secret_rotation.this[0]", "module.cms.aws_iam_role_policy.schedules[0]"},
		},
		"a service account's own key": {
			account: key, there: []string{"module.cms.aws_iam_role_policy.schedules[0]", `module.cms.aws_scheduler_schedule.this["create"]`},
		},
		"a rota.yaml, keys, a network": {
			function: key + "\n" + `config = "secrets: []"` + "\n" + `vpc = { subnet_ids = ["subnet-1"], security_group_ids = ["sg-1"] }` + "\n" +
				`policies = { more = "{}" }` + "\n" + `alarm_actions = ["arn:aws:sns:eu-central-1:111122223333:alarms"]` + "\n" + `tags = { team = "cms" }`,
			account: key + "\n" + `rotate_by = "none"` + "\n" + `policy_arns = ["arn:aws:iam::aws:policy/ReadOnlyAccess"]` + "\n" + `emails = ["cms@example.org"]`,
			there: []string{"module.rota.aws_ssm_parameter.config[0]", "module.rota.aws_iam_role_policy_attachment.network[0]", `module.rota.aws_iam_role_policy.given["more"]`,
				`module.cms.aws_sns_topic_subscription.this["cms@example.org"]`},
			absent: []string{"module.cms.aws_lambda_invocation.first_key[0]", `module.cms.aws_scheduler_schedule.this["create"]`},
		},
		"deployed by GitLab": {
			function: `gitlab = { url = "https://gitlab.example.com", token_secret_arn = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:gitlab" }`,
			account:  `gitlab_project_id = "shop/api"`,
			there:    []string{`module.cms.aws_scheduler_schedule.this["gitlab"]`, "module.cms.aws_lambda_invocation.first_key[0]"},
			absent:   []string{`module.cms.aws_scheduler_schedule.this["create"]`},
		},
		"led by Secrets Manager": {
			function: "schedule = null", account: `rotate_by = "secrets_manager"`,
			there:  []string{"module.cms.aws_secretsmanager_secret_rotation.this[0]", "module.cms.aws_lambda_invocation.first_key[0]"},
			absent: []string{"module.rota.aws_scheduler_schedule.sweep[0]", "module.rota.aws_cloudwatch_metric_alarm.silence[0]", `module.cms.aws_scheduler_schedule.this["create"]`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := open(t, "test", root(c.function, c.account))
			all := w.apply()
			for _, address := range c.there {
				if all[address] == nil {
					t.Errorf("no %s", address)
				}
			}
			for _, address := range c.absent {
				if all[address] != nil {
					t.Errorf("%s is there", address)
				}
			}
			w.unchanged()
		})
	}
}

// A function without variables loses its key and the block of variables at AWS,
// so every plan would want them back.
func TestAFunctionWithoutVariablesHasNoKey(t *testing.T) {
	for more, want := range map[string]bool{"": false, `unused_for = "3d"`: true, `environment = { A = "b" }`: true, `config_location = "s3://bucket/rota.yaml"`: true} {
		all := open(t, "test", root(key+"\n"+more, "")).apply()
		var function struct {
			Key         string `json:"kms_key_arn"`
			Environment []any
			Reserved    int `json:"reserved_concurrent_executions"`
		}
		all.read(t, "module.rota.aws_lambda_function.this", &function)
		if got := function.Key != ""; got != want || len(function.Environment) == 1 != want {
			t.Errorf("with %q: key %q, environment %v", more, function.Key, function.Environment)
		}
		if function.Reserved != 1 {
			t.Errorf("%d invocations at once", function.Reserved)
		}
	}
}

func TestAUserWhoseNameTheTopicDoesNotAccept(t *testing.T) {
	config := strings.Replace(root("reserved_concurrency = -1", `label = "cms"`), `name     = "cms"`, `name     = "cms@example.org"`, 1)
	all := open(t, "test", config).apply()
	var topic, user struct{ Name string }
	all.read(t, "module.cms.aws_sns_topic.this", &topic)
	all.read(t, "module.cms.aws_iam_user.this", &user)
	if topic.Name != "cms-key" || user.Name != "cms@example.org" {
		t.Errorf("the topic is %s, the user %s", topic.Name, user.Name)
	}
}

func TestBadArguments(t *testing.T) {
	for name, c := range map[string]struct{ function, account, want string }{
		"another architecture":              {`architecture = "i386"`, "", "arm64 or x86_64"},
		"rotated by nobody known":           {"", `rotate_by = "cron"`, "schedules, secrets_manager or none"},
		"every second of a day":             {"", `rotate_every_days = 0.5`, "1 to 1000"},
		"deleted after the next":            {"", `rotate_every_days = 20`, "before the next rotation"},
		"a dot in the function's name":      {`name = "rota.prod"`, "", "letters, digits, underscores and hyphens"},
		"a name the role has no room for":   {`name = "` + strings.Repeat("x", 51) + `"`, "", "1 to 50"},
		"a label the topic does not accept": {"", `label = "cms@example.org"`, "the topic and the schedules are named after it"},
		"a secret's name with a comma":      {"", `secret_name = "a,b"`, "characters of /_+=.@-"},
		"two at once":                       {`reserved_concurrency = 2`, "", "must be 1, or -1"},
		"a network without its parts":       {`vpc = { subnet_ids = [] }`, "", "security_group_ids"},
	} {
		t.Run(name, func(t *testing.T) {
			stdout, stderr, code := open(t, "test", root(c.function, c.account)).tofu("plan", "-input=false")
			if code != 1 || !strings.Contains(strings.Join(strings.Fields(stdout+stderr), " "), c.want) {
				t.Errorf("exit %d, want %q:\n%s%s", code, c.want, stdout, stderr)
			}
		})
	}
}
