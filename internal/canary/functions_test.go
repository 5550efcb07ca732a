//go:build linux

package canary

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/function/functiontest"
)

const functionsConfig = `
connections:
  one: {rotation_function: {url: "%[1]s", listen: "%[2]s", access_key_id: ROTAFUNCTION00000000, secret_access_key: "${file:%[5]s/in/key}"}}
  two: {rotation_function: {url: "%[3]s", listen: "%[4]s", access_key_id: ROTAFUNCTION00000000, secret_access_key: "${file:%[5]s/in/key}"}}
defaults:
  policy: {deactivate_previous_after: 0s, delete_previous_after: 0s, unused_for: 1ms, late_after: 1ms}
secrets:
  - {name: single, issuer: {connection: one, function_credential: {name: single}}, reload: [{name: page, command: {run: [%[5]s/in/spy.sh, page]}}]}
  - name: pair
    issuer: {connection: two, function_credential: {name: pair, users: [app, app_clone], secrets: {admin: {username: admin, password: "${file:%[5]s/in/admin}"}}}}
    targets: [{name: env, file: {path: %[5]s/targets/pair.env, format: dotenv}}]
`

// playFunctions plays the lives of what rotation functions rotate. They fail at times,
// and say all that they know then.
func playFunctions(t *testing.T, l *ledger) {
	w := newWorld(t, l, "single", "pair")
	known := func(what, value string) string {
		w.secret(what, value)
		return value
	}
	key := known("the function's secret key", "function/canary+2Qe8Vt6Zn4")
	admin := known("the administrator's password", "admin-canary-8Rf3Uj9Xb")
	w.file("in/key", key, 0o600)
	w.file("in/admin", admin, 0o600)
	listens := []string{testenv.Address(t), testenv.Address(t)}
	one := functiontest.New(t, "http://"+listens[0], "ROTAFUNCTION00000000", key)
	two := functiontest.New(t, "http://"+listens[1], "ROTAFUNCTION00000000", key, "app", "app_clone")
	two.Admin = "admin"
	two.SetPassword("admin", admin)
	w.file("rota.yaml", fmt.Sprintf(functionsConfig, one.URL+functiontest.Path, listens[0], two.URL+functiontest.Path, listens[1], w.dir), 0o600)
	for name, f := range map[string]*functiontest.Function{"single": one, "pair": two} {
		first := known("the password to adopt for "+name, "first\"canary\\"+name+"-5Gh1")
		f.SetPassword("app", first)
		text, err := json.Marshal(map[string]string{"username": "app", "password": first})
		w.must(err)
		w.step("013", "rotate", name)
		w.stepWith(string(text), "01", "adopt", name, "--from", "-")
	}
	w.step("013", "check")
	w.keepOpen()
	for _, failing := range []int{0, 1, 2, 3} {
		for name, f := range map[string]*functiontest.Function{"single": one, "pair": two} {
			f.Heal()
			careless := func(rw http.ResponseWriter, r *http.Request) {
				var e functiontest.Event
				_ = json.NewDecoder(r.Body).Decode(&e)
				said := "I know everything:"
				for _, stage := range []string{"AWSCURRENT", "AWSPENDING"} {
					if v, err := f.Secrets.GetSecretValue(r.Context(), &secretsmanager.GetSecretValueInput{SecretId: &e.SecretID, VersionStage: aws.String(stage)}); err == nil {
						said += " " + aws.ToString(v.SecretString)
					}
				}
				if v, err := f.Secrets.GetSecretValue(r.Context(), &secretsmanager.GetSecretValueInput{SecretId: aws.String("admin")}); err == nil {
					said += " " + aws.ToString(v.SecretString)
				}
				rw.Header().Set("X-Amz-Function-Error", "Unhandled")
				_ = json.NewEncoder(rw).Encode(map[string]string{"errorType": "Careless", "errorMessage": said})
			}
			count := 0
			f.Instead(func(r *http.Request) bool {
				count++
				return r.Method == http.MethodPost && count > failing
			}, func(rw http.ResponseWriter, r *http.Request, _ http.Handler) { careless(rw, r) })
			w.stepOnce("013", "rotate", name)
			f.Heal()
			w.step("013", "rotate", name)
		}
	}
	for _, name := range []string{"single", "pair"} {
		w.stepOnce("013", "rollback", name)
		w.stepOnce("013", "rotate", name)
		w.stepOnce("013", "delete", name)
	}
	w.everyCommand()
	w.step("01", "backup", w.path("data/backup.db"))
	w.gather("")
}
