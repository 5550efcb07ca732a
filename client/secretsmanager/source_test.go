package secretsmanager_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awssm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go"

	"github.com/rota-dev/rota/client"
	"github.com/rota-dev/rota/client/secretsmanager"
	"github.com/rota-dev/rota/internal/testenv/served"
)

const cookies = "prod/session-cookies"

const config = `
secrets:
  - name: prod/session-cookies
    issuer: {secret_key: {bytes: 32}}
    policy: {rotate_every: 30d, jitter: 0s}
`

func sdk(server *served.Server) *awssm.Client {
	id, secret := server.AccessKey()
	return awssm.New(awssm.Options{
		BaseEndpoint: aws.String(server.URL()), Region: "eu-central-1",
		Credentials: credentials.NewStaticCredentialsProvider(id, secret, ""),
	})
}

// counting counts calls, and can refuse DescribeSecret.
type counting struct {
	*awssm.Client
	gets, describes int
	noDescribe      bool
}

func (c *counting) GetSecretValue(ctx context.Context, in *awssm.GetSecretValueInput, o ...func(*awssm.Options)) (*awssm.GetSecretValueOutput, error) {
	c.gets++
	return c.Client.GetSecretValue(ctx, in, o...)
}

func (c *counting) DescribeSecret(ctx context.Context, in *awssm.DescribeSecretInput, o ...func(*awssm.Options)) (*awssm.DescribeSecretOutput, error) {
	c.describes++
	if c.noDescribe {
		return nil, &smithy.GenericAPIError{Code: "AccessDeniedException", Message: "not allowed to describe"}
	}
	return c.Client.DescribeSecret(ctx, in, o...)
}

func TestARotationArrivesAtTheInterval(t *testing.T) {
	server := served.Start(t, config)
	server.Rotate(cookies)
	c, err := client.Open(client.Options{Source: secretsmanager.New(sdk(server)), Every: 20 * time.Millisecond, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s := c.Secret(cookies)
	v, err := s.Get(t.Context())
	if err != nil || v.Field("key") == "" {
		t.Fatalf("%v, %v", v, err)
	}
	server.Rotate(cookies)
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		next, err := s.Get(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if next.Version() != v.Version() && next.Field("key") != v.Field("key") {
			break
		}
		select {
		case <-deadline.C:
			t.Fatalf("the new key never arrived: %+v", s.Status())
		case <-tick.C:
		}
	}
}

func TestAValueIsReadOnlyIfItsVersionIsNew(t *testing.T) {
	for _, noDescribe := range []bool{false, true} {
		server := served.Start(t, config)
		server.Rotate(cookies)
		api := &counting{Client: sdk(server), noDescribe: noDescribe}
		source := secretsmanager.New(api)
		first, err := source.Fetch(t.Context(), client.Request{Secret: cookies})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := source.Fetch(t.Context(), client.Request{Secret: cookies, Have: first.Version()}); !errors.Is(err, client.ErrUnchanged) {
			t.Errorf("%v", err)
		}
		want := 1
		if noDescribe {
			want = 2
		}
		if api.gets != want || api.describes != 1 {
			t.Errorf("%d reads and %d descriptions with DescribeSecret refused: %t", api.gets, api.describes, noDescribe)
		}
		server.Rotate(cookies)
		second, err := source.Fetch(t.Context(), client.Request{Secret: cookies, Have: first.Version()})
		if err != nil || second.Version() == first.Version() {
			t.Errorf("%v, %v", second, err)
		}
		before, err := source.Fetch(t.Context(), client.Request{Secret: cookies, Previous: true})
		if err != nil || before.Version() != first.Version() || before.Text() != first.Text() {
			t.Errorf("%v, %v", before, err)
		}
	}
}

func TestWhatIsRefused(t *testing.T) {
	server := served.Start(t, config)
	server.Rotate(cookies)
	if _, err := secretsmanager.New(sdk(server)).Fetch(t.Context(), client.Request{Secret: "prod/none"}); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("%v", err)
	}
	denied := refusing{&smithy.GenericAPIError{Code: "AccessDeniedException", Message: "not allowed"}}
	if _, err := secretsmanager.New(denied).Fetch(t.Context(), client.Request{Secret: cookies}); !errors.Is(err, client.ErrDenied) {
		t.Errorf("%v", err)
	}
	expired := refusing{&smithy.GenericAPIError{Code: "ExpiredTokenException", Message: "expired"}}
	if _, err := secretsmanager.New(expired).Fetch(t.Context(), client.Request{Secret: cookies}); err == nil || errors.Is(err, client.ErrDenied) || errors.Is(err, client.ErrNotFound) {
		t.Errorf("%v", err)
	}
}

// refusing refuses everything.
type refusing struct{ err error }

func (r refusing) GetSecretValue(context.Context, *awssm.GetSecretValueInput, ...func(*awssm.Options)) (*awssm.GetSecretValueOutput, error) {
	return nil, r.err
}

func (r refusing) DescribeSecret(context.Context, *awssm.DescribeSecretInput, ...func(*awssm.Options)) (*awssm.DescribeSecretOutput, error) {
	return nil, r.err
}
