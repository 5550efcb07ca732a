package takeover

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
)

func walkFunctionPerUser(t *testing.T, r *road) {
	start := func(t *testing.T) (a *account, first, second string) {
		a = newAccount(newWorld(t, r))
		a.create("rotate-cms")
		a.schedule("rotate-cms", "rate(90 days)", "rotate-cms", "")
		first = a.user("cms")
		return a, first, a.replaced("cms")
	}
	t.Run("one rota.yaml", func(t *testing.T) {
		a, first, second := start(t)
		a.run("rota discover")
		a.wants(a.read("found.yaml"), "iam_access_key: {user: cms}", "fields: {AccessKey: access_key_id, SecretKey: secret_access_key}")
		a.config("iam_access_key")
		a.wants(a.run("rota check"), " 0 failed")
		adopted := a.run("rota adopt cms")
		a.wants(adopted, "adopt "+first, "adopt "+second)
		if n := strings.Count(adopted, "(adopted)"); n != 2 {
			t.Errorf("%d of 2 keys are shown as adopted", n)
		}
		a.calls("rotate-cms", "rate(90 days)", "DISABLED", "rotate-cms", "")
		a.wants(a.run("rota run"), "next: deactivate")
		a.has("cms", first+" Active", second+" Active")

		a.after(11 * day)
		a.shell("rota run")
		a.has("cms", first+" Inactive", second+" Active")
		a.after(21 * day)
		a.shell("rota run")
		a.has("cms", second+" Active")
		a.after(22 * day)
		a.shell("rota rotate cms --yes")
		third := a.serves("cms", "AWSCURRENT")
		if a.serves("cms", "AWSPREVIOUS") != second || third == second {
			t.Errorf("the current key is %s, want a third one after %s", third, second)
		}
		a.run("enable-rule")
		a.calls("rotate-cms", "rate(90 days)", "ENABLED", "rotate-cms", "")

		a.after(30 * day)
		a.run("rota rollback cms")
		if current := a.serves("cms", "AWSCURRENT"); current != second {
			t.Errorf("the current key is %s, want %s", current, second)
		}
		a.has("cms", second+" Active")
	})
	t.Run("in place", func(t *testing.T) {
		a, first, second := start(t)
		a.write("dist/rota-lambda-arm64.zip", emptyZip())
		a.run("create-function")
		a.deploy(append(a.variables("rota-cms"), "ROTA_UNUSED_FOR=1ms")...)
		a.run("list-targets-by-rule")
		a.calls("rotate-cms", "rate(90 days)", "ENABLED", "rota-cms", "")
		a.fire("rotate-cms")
		third := a.serves("cms", "AWSCURRENT")
		a.has("cms", second+" Active", third+" Active")
		if third == second || first == third {
			t.Error("no new key was made")
		}
		a.run("function:rotate-cms'")
		a.calls("rotate-cms", "rate(90 days)", "ENABLED", "rotate-cms", "")
	})
}

func walkEvents(t *testing.T, r *road) {
	actions := map[string]int{"create": 90, "deactivate": 100, "delete": 110}
	rule := func(a *account, action, schedule, state, function, days string) {
		t.Helper()
		a.calls("cms-"+action, schedule, state, function, fmt.Sprintf(`{"action": %q, "username": "cms"%s}`, action, days))
	}
	t.Run("the switch and back", func(t *testing.T) {
		a := newAccount(newWorld(t, r))
		a.create("key-rotation")
		a.create("rota")
		for action, days := range actions {
			a.schedule("cms-"+action, fmt.Sprintf("rate(%d days)", days), "key-rotation", fmt.Sprintf(`{"action": %q, "username": "cms"}`, action))
		}
		a.run("disable-rule")
		for action, days := range actions {
			rule(a, action, fmt.Sprintf("rate(%d days)", days), "DISABLED", "key-rotation", "")
		}
		a.run("add-permission")
		a.run("send delete 10\n")
		for action, days := range map[string]int{"create": 90, "deactivate": 10, "delete": 10} {
			rule(a, action, "rate(1 day)", "ENABLED", "rota", fmt.Sprintf(`, "after_days": %d`, days))
		}
		first := a.user("cms")
		second := a.replaced("cms")
		at := func(days int, events ...string) {
			a.after(timeOf(days))
			a.deploy("ROTA_UNUSED_FOR=1ms")
			for _, e := range events {
				a.fire("cms-" + e)
			}
		}
		at(9, "create", "deactivate", "delete")
		a.has("cms", first+" Active", second+" Active")
		at(10, "create", "deactivate") // to moto, whose clock stands still, labels never move
		a.has("cms", first+" Inactive", second+" Active")
		at(20, "create", "deactivate", "delete")
		a.has("cms", second+" Active")
		at(90, "create", "deactivate", "delete")
		if next := a.serves("cms", "AWSCURRENT"); next == second {
			t.Error("no key was made on day 90")
		}
		a.run("function:key-rotation")
		for action, days := range actions {
			rule(a, action, fmt.Sprintf("rate(%d days)", days), "ENABLED", "key-rotation", "")
		}
	})
	for name, where := range map[string]struct{ replaced, inactive bool }{
		"before day 90":               {},
		"between day 90 and day 100":  {replaced: true},
		"between day 100 and day 110": {replaced: true, inactive: true},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAccount(newWorld(t, r))
			a.create("rota")
			first := a.user("cms")
			if where.replaced {
				second := a.replaced("cms")
				if where.inactive {
					a.deactivated("cms", first)
				}
				a.after(timeOf(10))
				a.deploy("ROTA_UNUSED_FOR=1ms")
				a.wants(a.run("lambda invoke"), `"step":"deactivate"`, first)
				a.has("cms", first+" Inactive", second+" Active")
				return
			}
			a.after(timeOf(10))
			a.deploy("ROTA_UNUSED_FOR=1ms")
			a.wants(a.run("lambda invoke"), "there is no previous key to deactivate")
			a.has("cms", first+" Active")
		})
	}
}

func walkCloudKeyRotator(t *testing.T, r *road) {
	a := newAccount(newWorld(t, r))
	a.create("cloud-key-rotator")
	a.schedule("cloud-key-rotator-trigger", "rate(1 day)", "cloud-key-rotator", "")
	a.must(a.users.CreateUser(t.Context(), &iam.CreateUserInput{UserName: aws.String("cms")}))
	first, secret := a.key("cms")
	a.parameter("/cms/access-key-id", "String", first)
	a.parameter("/cms/secret-access-key", "SecureString", secret)
	a.config("ssm_parameter")

	a.run("disable-rule")
	a.calls("cloud-key-rotator-trigger", "rate(1 day)", "DISABLED", "cloud-key-rotator", "")
	a.wants(a.run("rota adopt"), "adopt "+first, " 0 failed")
	a.wants(a.run("rota run\n"), "cms: nothing")
	a.shell("rota rotate cms --yes")
	second := strings.TrimSpace(a.shell("rota get cms --field access_key_id"))
	a.has("cms", first+" Active", second+" Active")
	pair := a.shell(`aws ssm get-parameters --names /cms/access-key-id /cms/secret-access-key --with-decryption --query 'sort_by(Parameters, &Name)[].[Type, Value]' --output text`)
	if got := strings.Fields(pair); len(got) != 4 || got[0] != "String" || got[1] != second || got[2] != "SecureString" || got[3] == secret {
		t.Errorf("the parameters are %q, want %s and its secret", got, second)
	}
	a.after(11 * day)
	a.shell("rota run")
	a.after(22 * day)
	a.shell("rota run")
	a.has("cms", second+" Active")
	a.run("enable-rule")
	a.calls("cloud-key-rotator-trigger", "rate(1 day)", "ENABLED", "cloud-key-rotator", "")
}

// parameter creates an SSM parameter.
func (a *account) parameter(name, kind, value string) {
	a.t.Helper()
	a.call("ssm", http.MethodPost, "/", "AmazonSSM.PutParameter", map[string]any{"Name": name, "Type": kind, "Value": value})
}
