package story

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	server "github.com/emersion/go-smtp"

	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/aws"
	"github.com/rota-dev/rota/provider/command"
	"github.com/rota-dev/rota/provider/smtp"
)

// mailbox is a mail server that wants a login.
type mailbox struct {
	mu    sync.Mutex
	mails []string
}

func (m *mailbox) NewSession(*server.Conn) (server.Session, error) { return &mailSession{m: m}, nil }

type mailSession struct {
	m      *mailbox
	logged bool
}

func (s *mailSession) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *mailSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if s.logged = user == "rota" && password == "mail-canary-1"; !s.logged {
			return errors.New("no")
		}
		return nil
	}), nil
}

func (s *mailSession) Mail(string, *server.MailOptions) error {
	if !s.logged {
		return server.ErrAuthRequired
	}
	return nil
}

func (s *mailSession) Rcpt(string, *server.RcptOptions) error { return nil }

func (s *mailSession) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	s.m.mails = append(s.m.mails, string(text))
	return err
}

func (s *mailSession) Reset()        {}
func (s *mailSession) Logout() error { return nil }

func TestTheExampleOfMail(t *testing.T) {
	box := &mailbox{}
	s := server.NewServer(box)
	certificate, key, err := testenv.Certificate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	s.Domain, s.TLSConfig = "localhost", &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.Serve(l) }() // ends with Close
	t.Cleanup(func() { _ = s.Close() })
	e := newExample(t, smtp.Provider(), map[string]string{"smtp": "mail-canary-1"},
		"host: mail.example.org,", fmt.Sprintf("host: 127.0.0.1, port: %d,", l.Addr().(*net.TCPAddr).Port), "[{connection: mail, digest: 24h}]", "[mail, {connection: mail, digest: 24h}]",
		"secrets: []", "secrets: [{name: licence, issuer: {secret_key: {bytes: 32}}}]")
	e.env = []string{"SSL_CERT_FILE=" + certificate}
	e.rota("check")
	e.rota("rotate", "licence", "--yes")
	arrived := func() bool {
		box.mu.Lock()
		defer box.mu.Unlock()
		return strings.Contains(strings.Join(box.mails, "\n"), "licence")
	}
	for deadline := time.Now().Add(30 * time.Second); !arrived(); e.rota("run") {
		if time.Now().After(deadline) {
			t.Fatalf("no mail arrived: %q", box.mails)
		}
	}
}

// The account's own side is moto, a third-party imitation of AWS.
func TestTheExampleOfAWS(t *testing.T) {
	moto := testenv.Moto(t)
	for name, value := range map[string]string{"AWS_ENDPOINT_URL": moto.URL, "AWS_ACCESS_KEY_ID": "AKIAANYBODY000000000", "AWS_SECRET_ACCESS_KEY": "anything",
		"AWS_REGION": "eu-central-1", "AWS_DEFAULT_REGION": "eu-central-1", "AWS_EC2_METADATA_DISABLED": "true", "AWS_PAGER": "", "AWS_CONFIG_FILE": "/none", "AWS_SHARED_CREDENTIALS_FILE": "/none"} {
		t.Setenv(name, value)
	}
	anybody := `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]}`
	for _, args := range [][]string{
		{"iam", "create-user", "--user-name", "files"}, {"iam", "create-role", "--role-name", "deploy", "--assume-role-policy-document", anybody},
		{"sns", "create-topic", "--name", "rotations"}, {"s3", "mb", "s3://example-files"},
		{"s3api", "create-bucket", "--bucket", "example-audit", "--object-lock-enabled-for-bucket", "--create-bucket-configuration", "LocationConstraint=eu-central-1"},
	} {
		if out, err := exec.Command(testenv.VenvProgram(t, "aws"), args...).CombinedOutput(); err != nil {
			t.Fatalf("aws %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	e := newExample(t, aws.Provider(), nil, "111122223333", "123456789012", "/etc/deploy", "DEPLOY")
	if err := os.Mkdir(filepath.Join(e.dir, "deploy"), 0o700); err != nil {
		t.Fatal(err)
	}
	e.write("rota.yaml", strings.ReplaceAll(e.read("rota.yaml"), "DEPLOY", filepath.Join(e.dir, "deploy")))
	e.rota("rotate", "prod/files", "prod/deploy", "--yes")
	e.rota("rotate", "prod/files", "--yes")
	e.holds("deploy/aws", "aws_access_key_id", "aws_session_token")
	out, err := exec.Command(testenv.VenvProgram(t, "aws"), "secretsmanager", "get-secret-value", "--secret-id", "prod/files", "--version-stage", "AWSCURRENT", "--query", "SecretString", "--output", "text").Output()
	var value map[string]string
	if err != nil || json.Unmarshal(out, &value) != nil || value["id"] == "" || value["key"] == "" {
		t.Errorf("the entry: %v, %d fields in %d bytes", err, len(value), len(out))
	}
}

// parcel is a program like the one of the example: its tokens are in a file.
const parcel = `#!/usr/bin/env python3
import json, os, secrets, sys
q = json.load(sys.stdin)
file = os.path.join(os.path.dirname(__file__), "tokens.json")
tokens = json.load(open(file)) if os.path.exists(file) else {}
a = {"protocol": 1, "verb": q["verb"]}
v = q["verb"]
if v == "describe":
    a["description"] = {"kind": "Parcel token", "fields": ["id", "token"], "id": "id", "issuer_chooses": True, "limit": 2, "verbs": ["list", "last_used"]}
elif v == "create":
    c = {"id": secrets.token_hex(4), "token": secrets.token_hex(16)}
    tokens[c["id"]] = c["token"]
    a["credential"] = c
elif v == "test":
    if tokens.get(q["credential"]["id"]) != q["credential"]["token"]:
        a["error"] = {"class": "refused", "message": "no such token"}
elif v == "delete":
    tokens.pop(q["credential_id"], None)
elif v == "list":
    a["credentials"] = [{"id": i} for i in tokens]
elif v == "last_used":
    a["use"] = {"evidence": "recorded"}
json.dump(tokens, open(file, "w"))
json.dump(a, sys.stdout)
`

func TestTheExampleOfPrograms(t *testing.T) {
	db := testenv.Postgres(t, testenv.PostgresOptions{})
	db.Exec(t, "CREATE ROLE rota_admin LOGIN CREATEROLE PASSWORD 'admin-canary-1'", "CREATE ROLE orders LOGIN", "GRANT orders TO rota_admin WITH ADMIN OPTION")
	programs := t.TempDir()
	for name, text := range map[string]string{
		"parcel": parcel, "page-on-call": "#!/bin/sh\ncat >>" + programs + "/pages\n", "systemctl": "#!/bin/sh\necho \"$@\" >>" + programs + "/restarts\n",
		"kiosks": "#!/bin/sh\ncat >" + programs + "/kiosks.json\necho '{\"protocol\": 1, \"verb\": \"deliver\"}'\n",
	} {
		if err := os.WriteFile(filepath.Join(programs, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	e := newExample(t, command.Provider(), map[string]string{"db": "admin-canary-1", "parcel": "parcel-canary-1"},
		"host: db.internal,", fmt.Sprintf("host: %s, port: %d, database: postgres,", db.Host, db.Port),
		"/usr/local/bin", programs, "/usr/local/lib/rota", programs, "[systemctl,", "["+programs+"/systemctl,")
	e.rota("check")
	e.rota("rotate", "prod/parcel-token", "prod/orders-db", "--yes")
	e.rota("rotate", "prod/parcel-token", "--yes")
	e.holds("db.env", "password", "orders")
	for name, want := range map[string]string{"kiosks.json": "PARCEL_TOKEN", "restarts": "restart orders"} {
		if text, err := os.ReadFile(filepath.Join(programs, name)); err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s: %v\n%s", name, err, text)
		}
	}
}
