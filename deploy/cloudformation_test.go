package deploy

import (
	"archive/zip"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rota-dev/rota/internal/testenv"
)

var templates = []string{"cloudformation/function.yaml", "cloudformation/service-account.yaml"}

func TestTheTemplatesAreValid(t *testing.T) {
	t.Parallel()
	// W3002: the package is a file, which `aws cloudformation package` uploads.
	args := append([]string{"--ignore-checks", "W3002", "--"}, templates...)
	if out, err := exec.CommandContext(t.Context(), testenv.VenvProgram(t, "cfn-lint"), args...).CombinedOutput(); err != nil {
		t.Errorf("%v:\n%s", err, out)
	}
}

func TestTemplatesContainNoValues(t *testing.T) {
	for _, template := range templates {
		text, err := os.ReadFile(template)
		if err != nil {
			t.Fatal(err)
		}
		for _, way := range []string{"AWS::IAM::AccessKey", "SecretString", "GenerateSecretString", "SecretAccessKey", "NoEcho"} {
			if strings.Contains(string(text), way) {
				t.Errorf("%s: %s brings a value into a parameter, a template or an output", template, way)
			}
		}
	}
}

// cloud is AWS's command line on moto.
type cloud struct {
	t   *testing.T
	aws string
	url string
	dir string
}

func newCloud(t *testing.T) *cloud {
	t.Helper()
	return &cloud{t: t, aws: testenv.VenvProgram(t, "aws"), url: testenv.Moto(t).URL, dir: t.TempDir()}
}

// run runs a command and decodes its JSON output into answer, unless that is
// nil.
func (c *cloud) run(answer any, args ...string) {
	c.t.Helper()
	cmd := exec.CommandContext(c.t.Context(), c.aws, args...)
	cmd.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+c.url, "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_DEFAULT_REGION=eu-central-1",
		"AWS_DEFAULT_OUTPUT=json", "AWS_PAGER=", "AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull)
	out, err := cmd.Output()
	if err != nil {
		stderr := ""
		if exit, ok := err.(*exec.ExitError); ok {
			stderr = string(exit.Stderr)
		}
		c.t.Fatalf("aws %s: %v: %s", strings.Join(args, " "), err, stderr)
	}
	if answer == nil {
		return
	}
	if err := json.Unmarshal(out, answer); err != nil {
		c.t.Fatalf("aws %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// deploy packages a template, with an empty package, and creates a stack from
// it.
func (c *cloud) deploy(stack, template string, parameters ...string) map[string]string {
	c.t.Helper()
	text, err := os.ReadFile(template)
	if err != nil {
		c.t.Fatal(err)
	}
	const code = "Code: ../../dist/rota-lambda-arm64.zip"
	replaced := strings.Replace(string(text), code, "Code: "+c.bootstrap(), 1)
	// moto doesn't create Secrets Manager entries, and so has no name for one.
	replaced = strings.Replace(replaced, "Resource: !Ref Secret\n", "Resource: arn:aws:secretsmanager:eu-central-1:123456789012:secret:cms-AbCdEf\n", 1)
	source, packaged := filepath.Join(c.dir, "in.yaml"), filepath.Join(c.dir, "out.yaml")
	if err := os.WriteFile(source, []byte(replaced), 0o600); err != nil {
		c.t.Fatal(err)
	}
	c.run(nil, "cloudformation", "package", "--template-file", source, "--s3-bucket", "packages", "--output-template-file", packaged)
	// Not `deploy`: moto drops the exports of a stack created from a change
	// set.
	args := []string{"cloudformation", "create-stack", "--template-body", "file://" + packaged, "--stack-name", stack, "--capabilities", "CAPABILITY_NAMED_IAM"}
	if len(parameters) > 0 {
		args = append(args, "--parameters")
		for _, p := range parameters {
			name, value, _ := strings.Cut(p, "=")
			args = append(args, "ParameterKey="+name+",ParameterValue="+value)
		}
	}
	c.run(nil, args...)
	var made struct {
		Stacks []struct {
			StackStatus string
			Outputs     []struct{ OutputKey, OutputValue string }
		}
	}
	c.run(&made, "cloudformation", "describe-stacks", "--stack-name", stack)
	if made.Stacks[0].StackStatus != "CREATE_COMPLETE" {
		c.t.Fatalf("stack %s: %s", stack, made.Stacks[0].StackStatus)
	}
	outputs := map[string]string{}
	for _, o := range made.Stacks[0].Outputs {
		outputs[o.OutputKey] = o.OutputValue
	}
	return outputs
}

func (c *cloud) bootstrap() string {
	path := filepath.Join(c.dir, "package.zip")
	file, err := os.Create(path)
	if err != nil {
		c.t.Fatal(err)
	}
	archive := zip.NewWriter(file)
	_, err = archive.Create("bootstrap")
	if err := errorOf(err, archive.Close(), file.Close()); err != nil {
		c.t.Fatal(err)
	}
	return path
}

func errorOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// moto creates users, roles, policies, topics, queues, logs and the function;
// it ignores Secrets Manager entries and EventBridge schedules in stacks.
func TestTheTemplatesDeploy(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.run(nil, "s3api", "create-bucket", "--bucket", "packages", "--create-bucket-configuration", "LocationConstraint=eu-central-1")
	function := c.deploy("rota", templates[0])
	account := c.deploy("cms", templates[1], "UserName=cms", "Email=cms@example.org")
	var made struct {
		Configuration struct{ Runtime, Handler, Role string }
	}
	c.run(&made, "lambda", "get-function", "--function-name", "rota")
	if got := made.Configuration; got.Runtime != "provided.al2023" || got.Handler != "bootstrap" || !strings.HasSuffix(got.Role, function["FunctionRole"]) {
		t.Errorf("the function is %+v", got)
	}
	var user struct{ User struct{ Arn, Path string } }
	c.run(&user, "iam", "get-user", "--user-name", "cms")
	if user.User.Arn != account["UserArn"] || user.User.Path != "/service-accounts/" {
		t.Errorf("the user is %+v, the output says %s", user.User, account["UserArn"])
	}
	var keys struct{ AccessKeyMetadata []any }
	c.run(&keys, "iam", "list-access-keys", "--user-name", "cms")
	if len(keys.AccessKeyMetadata) != 0 {
		t.Errorf("the stack created %d keys; Rota must create them", len(keys.AccessKeyMetadata))
	}
	var policies struct{ PolicyNames []string }
	c.run(&policies, "iam", "list-role-policies", "--role-name", function["FunctionRole"])
	slices.Sort(policies.PolicyNames)
	if !slices.Equal(policies.PolicyNames, []string{"function", "service-account-cms"}) {
		t.Errorf("the function's role has %v", policies.PolicyNames)
	}
	var policy struct {
		PolicyDocument struct {
			Statement []struct {
				Action   any
				Resource string
			}
		}
	}
	c.run(&policy, "iam", "get-role-policy", "--role-name", function["FunctionRole"], "--policy-name", "service-account-cms")
	for _, s := range policy.PolicyDocument.Statement {
		if strings.Contains(s.Resource, "*") {
			t.Errorf("%v on %s", s.Action, s.Resource)
		}
	}
	if got := policy.PolicyDocument.Statement[0].Resource; got != account["UserArn"] {
		t.Errorf("keys can be created for %s, not only for %s", got, account["UserArn"])
	}
}

// moto drops boundaries, reserved concurrency and the function's key when it creates
// a stack: what the templates say about these is read in internal/function.
func TestTheTemplatesDeployWithAllTheirParameters(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.run(nil, "s3api", "create-bucket", "--bucket", "packages", "--create-bucket-configuration", "LocationConstraint=eu-central-1")
	const key, boundary = "arn:aws:kms:eu-central-1:123456789012:key/1234", "arn:aws:iam::123456789012:policy/boundary"
	c.run(nil, "iam", "create-policy", "--policy-name", "boundary", "--policy-document",
		`{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}`)
	function := c.deploy("all", templates[0], "Name=all", "Config=ssm:///rota", "Schedule=rate(1 hour)", "UnusedFor=3d", "ReservedConcurrency=-1",
		"SubnetIds=subnet-1", "SecurityGroupIds=sg-1", "KmsKeyArn="+key, "PermissionsBoundary="+boundary)
	c.deploy("bounded", templates[1], "FunctionStack=all", "UserName=bounded", "KmsKeyArn="+key, "PermissionsBoundary="+boundary)
	var made struct {
		Configuration struct {
			Environment struct{ Variables map[string]string }
			VpcConfig   struct{ SubnetIds, SecurityGroupIds []string }
		}
	}
	c.run(&made, "lambda", "get-function", "--function-name", "all")
	got := made.Configuration
	if got.Environment.Variables["ROTA_UNUSED_FOR"] != "3d" || got.Environment.Variables["ROTA_CONFIG"] != "ssm:///rota" {
		t.Errorf("the function is %+v", got)
	}
	if !slices.Equal(got.VpcConfig.SubnetIds, []string{"subnet-1"}) || !slices.Equal(got.VpcConfig.SecurityGroupIds, []string{"sg-1"}) {
		t.Errorf("the function's network is %+v", got.VpcConfig)
	}
	var policies struct{ PolicyNames []string }
	c.run(&policies, "iam", "list-role-policies", "--role-name", function["FunctionRole"])
	slices.Sort(policies.PolicyNames)
	if !slices.Equal(policies.PolicyNames, []string{"function", "key", "network", "service-account-bounded", "service-account-key-bounded"}) {
		t.Errorf("the function's role has %v", policies.PolicyNames)
	}
}
