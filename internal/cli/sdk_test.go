package cli_test

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/rogpeppe/go-internal/testscript"
)

// rotaPathCommand puts the program's path into a variable: rotapath ROTA.
func rotaPathCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: rotapath NAME")
	}
	program, err := lookPath(ts.Getenv("PATH"), "rota")
	ts.Check(err)
	ts.Setenv(args[0], program)
}

// sdkCommand asks AWS's SDK for a profile's key: sdk awsconfig shop first.
func sdkCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: sdk FILE PROFILE KEY")
	}
	c, err := config.LoadDefaultConfig(context.Background(), config.WithSharedConfigFiles([]string{ts.MkAbs(args[0])}),
		config.WithSharedCredentialsFiles(nil), config.WithSharedConfigProfile(args[1]))
	ts.Check(err)
	got, err := c.Credentials.Retrieve(context.Background())
	ts.Check(err)
	if want := strings.TrimSpace(ts.ReadFile(args[2])); got.AccessKeyID != want || !got.CanExpire {
		ts.Fatalf("the SDK got the key %q, which expires: %v; want %q", got.AccessKeyID, got.CanExpire, want)
	}
}
