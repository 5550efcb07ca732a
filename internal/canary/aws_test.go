//go:build linux

package canary

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/rota-dev/rota/provider/aws/awstest"
)

const awsConfig = `
connections:
  aws: {aws: {region: eu-central-1, endpoint: "%[1]s", access_key_id: "%[2]s", secret_access_key: "${file:%[3]s/in/root}"}}
  wrong: {aws: {region: eu-central-1, endpoint: "%[1]s", access_key_id: "%[2]s", secret_access_key: "${file:%[3]s/in/wrong}"}}
  ops: {sns: {connection: aws, topic_arn: "%[4]s"}}
  page: {command: {run: [%[3]s/in/spy.sh, page]}}
defaults:
  policy: {deactivate_previous_after: 0s, delete_previous_after: 0s, unused_for: 1ms, late_after: 1ms}
  notify: [ops, page]
secrets:
  - name: prod/cms
    issuer: {connection: aws, iam_access_key: {user: cms}}
    store: {connection: aws, secrets_manager: {name: prod/cms, fields: {access-id: access_key_id, secret-key: secret_access_key, url: "s3://{access_key_id}:{secret_access_key|url}@media"}}}
    test: {s3_bucket: media}
    targets:
      - {name: aws, file: {path: %[3]s/targets/credentials, format: aws_credentials, profile: cms}}
      - {name: env, file: {path: %[3]s/targets/cms.env, format: dotenv, fields: {ID: access_key_id, KEY: secret_access_key}}}
    reload: [{name: cms, command: {run: [%[3]s/in/spy.sh, cms, %[3]s/targets/credentials]}}]
  - {name: shop, issuer: {connection: aws, iam_access_key: {user: shop}}}
  - {name: stored, issuer: {connection: aws, iam_access_key: {user: stored}}, store: {connection: aws, secrets_manager: {name: stored}}}
  - {name: given, issuer: {connection: aws, iam_access_key: {user: given}}}
  - {name: text, issuer: {connection: aws, iam_access_key: {user: text}}, store: {connection: aws, secrets_manager: {name: text}}}
  - {name: wrong, issuer: {connection: wrong, iam_access_key: {user: wrong}}}
  - {name: refused, issuer: {connection: aws, iam_access_key: {user: refused}}}
  - name: torn
    issuer: {connection: aws, iam_access_key: {user: torn}}
    targets: [{name: aws, file: {path: %[3]s/targets/torn.ini, format: aws_credentials}}]
`

// wire records everything that goes over it except for bodies that are meant to
// contain values: those of Secrets Manager, and IAM's response to
// CreateAccessKey, from which it learns the keys.
type wire struct {
	next http.Handler

	mu   sync.Mutex
	seen bytes.Buffer
	keys []string
}

var secretKey = regexp.MustCompile(`<SecretAccessKey>([^<]+)</SecretAccessKey>`)

func (w *wire) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(rw, err.Error(), http.StatusBadRequest)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	answer := httptest.NewRecorder()
	w.next.ServeHTTP(answer, r)
	w.mu.Lock()
	fmt.Fprintf(&w.seen, "%s %s\n%v\n%v\n", r.Method, r.RequestURI, r.Header, answer.Header())
	if !strings.HasPrefix(r.Header.Get("X-Amz-Target"), "secretsmanager.") {
		w.seen.Write(body)
		keys := secretKey.FindAllSubmatch(answer.Body.Bytes(), -1)
		for _, key := range keys {
			w.keys = append(w.keys, string(key[1]))
		}
		if len(keys) == 0 {
			w.seen.Write(answer.Body.Bytes())
		}
	}
	w.mu.Unlock()
	for name, values := range answer.Header() {
		rw.Header()[name] = values
	}
	rw.WriteHeader(answer.Code)
	_, _ = rw.Write(answer.Body.Bytes())
}

// playAWS plays the lives of access keys.
func playAWS(t *testing.T, l *ledger) {
	cloud, err := awstest.New(awstest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cloud.Close)
	line := &wire{next: cloud}
	listener := httptest.NewServer(line)
	t.Cleanup(listener.Close)
	w := newWorld(t, l, "prod/cms", "shop", "stored", "given", "text", "torn")
	w.tapped = true
	known := func(what, value string) string {
		w.secret(what, value)
		return value
	}
	for _, user := range []string{"cms", "shop", "stored", "given", "text", "wrong", "refused", "torn"} {
		cloud.CreateUser(user)
		cloud.Allow(user, "sts:*")
	}
	cloud.CreateBucket("media", "cms")
	topic := cloud.CreateTopic("ops")
	id, secret := cloud.RootCredentials()
	w.file("in/root", known("AWS's administrator's key", secret)+"\n", 0o600)
	w.file("in/wrong", known("a wrong administrator's key", "wrong+canary/3Nf6Zt1Wq8Yp4Lx7Bv2Rk9Js5Dh0Gm"), 0o600)
	other := known("another field of the entry", "other+canary/2Xc7Vb4Nm")
	prose := known("an entry that is no JSON", "prose-canary-9Gh5Jk3Lz")
	torn := known("what a torn file holds", "torn-canary-6Wd1Fs8Aq")
	create := func(name, text string) {
		_, _, err := cloud.CreateSecret(name, text)
		w.must(err)
	}
	create("prod/cms", `{"other-password": "`+other+`", "n": 1}`)
	create("text", prose)
	key := func(user string) (string, string) {
		id, secret, err := cloud.CreateAccessKey(user)
		w.must(err)
		return id, known("the key of "+user+" to adopt", secret)
	}
	storedID, storedKey := key("stored")
	create("stored", `{"access_key_id": "`+storedID+`", "secret_access_key": "`+storedKey+`", "other": "`+other+`"}`)
	givenID, givenKey := key("given")
	w.file("targets/torn.ini", "[default\naws_secret_access_key = "+torn+"\n"+torn+"\n", 0o600)
	w.file("targets/credentials", "[other]\nregion = eu-central-1\n", 0o600)
	w.file("rota.yaml", fmt.Sprintf(awsConfig, listener.URL, id, w.dir, topic), 0o600)
	refuse := func(action, code string) {
		cloud.SetFaults(func(c awstest.Call) awstest.Fault {
			if c.Action == action {
				return awstest.Fault{FailBefore: code}
			}
			return awstest.Fault{}
		})
	}

	// Failures of each system, and then the same with the cause gone.
	w.step("1", "check")
	refuse("Publish", "AuthorizationError")
	w.fails("page", true)
	w.fails("cms", true)
	w.step("013", "rotate", "prod/cms") // notifiers and reloader fail
	w.keepOpen()
	w.step("013", "run")
	w.everyCommand()
	w.fails("cms", false)
	w.fails("page", false)
	cloud.SetFaults(nil)
	w.step("013", "rotate", "prod/cms")
	// After the last ones, a key's fate is uncertain, and Rota waits for IAM's list.
	for _, fault := range [][2]string{
		{"UpdateSecretVersionStage", "AccessDeniedException"}, {"GetCallerIdentity", "AccessDenied"}, {"HeadBucket", "AccessDenied"},
		{"ListAccessKeys", "AccessDenied"}, {"UpdateAccessKey", "AccessDenied"}, {"DeleteAccessKey", "AccessDenied"},
		{"GetSecretValue", "AccessDeniedException"}, {"PutSecretValue", "AccessDeniedException"},
	} {
		refuse(fault[0], fault[1])
		w.step("013", "run", "--all")
		w.step("013", "rotate", "prod/cms", "shop")
	}
	refuse("CreateAccessKey", "AccessDenied")
	w.step("013", "rotate", "refused")
	cloud.SetFaults(nil)
	w.step("013", "rotate", "prod/cms", "shop")
	w.step("013", "rollback", "prod/cms")
	w.step("013", "rollback", "shop")
	w.step("013", "deliver", "prod/cms")
	w.step("013", "rotate", "prod/cms", "shop")
	w.step("013", "deactivate", "shop")
	w.step("013", "delete", "shop")
	w.step("013", "run", "--all")

	// Adoptions, successful and not.
	w.step("01", "adopt", "stored")
	w.stepWith(`{"access_key_id": "`+givenID+`", "secret_access_key": "`+givenKey+`x"}`, "1", "adopt", "given", "--from", "-")
	w.stepWith(`{"access_key_id": "`+givenID+`", "secret_access_key": "`+givenKey+`"}`, "01", "adopt", "given", "--from", "-")
	w.step("013", "rotate", "stored", "given")

	// What can't work.
	for _, name := range []string{"text", "wrong", "torn"} {
		w.step("013", "rotate", name)
		w.step("013", "adopt", name)
		w.step("01", "check", name)
	}
	w.step("01", "alert")
	w.everyCommand()
	w.step("01", "backup", w.path("data/backup.db"))
	w.gather("")

	var messages bytes.Buffer
	for _, m := range cloud.Published(topic) {
		fmt.Fprintf(&messages, "%s\n%s\n%v\n", m.Subject, m.Body, m.Attributes)
	}
	calls := fmt.Sprintf("%+v", cloud.Calls())
	line.mu.Lock()
	defer line.mu.Unlock()
	for _, k := range line.keys {
		w.secret("a key that IAM issued", k)
	}
	w.wrote("the messages of SNS", messages.Bytes())
	w.wrote("AWS's calls", []byte(calls))
	w.wrote("the requests to AWS", line.seen.Bytes())
	for _, want := range []string{"Action=CreateAccessKey", "Action=Publish", "HEAD /media", "UpdateAccessKey"} {
		if !bytes.Contains(line.seen.Bytes(), []byte(want)) {
			t.Errorf("no request has %q", want)
		}
	}
	if len(line.keys) < 20 || messages.Len() == 0 {
		t.Errorf("%d keys were issued and %d bytes published: too little to look through", len(line.keys), messages.Len())
	}
}
