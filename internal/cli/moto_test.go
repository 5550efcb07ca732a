package cli_test

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/rota-dev/rota/internal/testenv"
)

// TestScriptsOnMoto has two more commands, which call moto as it answers
// anybody:
//
//	iam ACTION NAME=VALUE...       sets KEY_ID and KEY_SECRET where it answers a key;
//	                               in the account MOTO_ACCOUNT, if that is set
//	secretsmanager ACTION FILE     with the JSON in the file, and prints the answer
func TestScriptsOnMoto(t *testing.T) {
	server := testenv.Moto(t)
	p := params("testdata/script/moto")
	p.Setup = func(e *testscript.Env) error {
		e.Setenv("AWS_ENDPOINT_URL", server.URL)
		e.Setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
		e.Setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
		return setUp(e)
	}
	p.Cmds["iam"] = func(ts *testscript.TestScript, _ bool, args []string) {
		form := url.Values{"Action": {args[0]}, "Version": {"2010-05-08"}}
		for _, pair := range args[1:] {
			name, value, _ := strings.Cut(pair, "=")
			form.Set(name, value)
		}
		header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
		if account := ts.Getenv("MOTO_ACCOUNT"); account != "" {
			header.Set("X-Moto-Account-Id", account)
		}
		answer := post(ts, server.URL, "iam", header, form.Encode())
		var key struct {
			ID     string `xml:"CreateAccessKeyResult>AccessKey>AccessKeyId"`
			Secret string `xml:"CreateAccessKeyResult>AccessKey>SecretAccessKey"`
		}
		ts.Check(xml.Unmarshal(answer, &key))
		ts.Setenv("KEY_ID", key.ID)
		ts.Setenv("KEY_SECRET", key.Secret)
	}
	p.Cmds["secretsmanager"] = func(ts *testscript.TestScript, _ bool, args []string) {
		answer := post(ts, server.URL, "secretsmanager", http.Header{
			"Content-Type": {"application/x-amz-json-1.1"}, "X-Amz-Target": {"secretsmanager." + args[0]},
		}, ts.ReadFile(args[1]))
		fmt.Fprintf(ts.Stdout(), "%s\n", answer)
	}
	testscript.Run(t, p)
}

// post calls one of moto's services without a valid signature: it looks at
// the service's name alone.
func post(ts *testscript.TestScript, endpoint, service string, header http.Header, body string) []byte {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, endpoint, strings.NewReader(body))
	ts.Check(err)
	req.Header = header
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=any/20260101/eu-central-1/"+service+"/aws4_request, SignedHeaders=host, Signature=any")
	resp, err := http.DefaultClient.Do(req)
	ts.Check(err)
	answer, err := io.ReadAll(resp.Body)
	ts.Check(err)
	ts.Check(resp.Body.Close())
	if resp.StatusCode != http.StatusOK {
		ts.Fatalf("moto: %s: %s", resp.Status, answer)
	}
	return answer
}
