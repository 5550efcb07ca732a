package function

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/randompassword"
	"github.com/rota-dev/rota/provider"
)

// DefaultTimeout is how long a step may take. Rota's own limit for a call is no longer.
const DefaultTimeout = 30 * time.Second

// Config is a rotation function, and what it's given for Secrets Manager.
type Config struct {
	// URL takes Lambda's Invoke call, such as
	// http://rotate-orders:8080/2015-03-31/functions/function/invocations. If ARN is
	// set, it defaults to that of Lambda in the ARN's region.
	URL string
	// ARN is a function in AWS. Calls are then signed.
	ARN string
	// Credentials sign them. Defaults to those that the AWS SDK finds.
	Credentials awssdk.CredentialsProvider
	// Certificates are those of calls to URL.
	Certificates provider.Certificates
	// Listen is the address at which the function finds Secrets Manager during a
	// step: a host and a port.
	Listen string
	// ListenCert and ListenKey are the files of its certificate. Without them it
	// speaks plain HTTP.
	ListenCert, ListenKey string
	// AllowPlaintext permits plain HTTP beyond this machine.
	AllowPlaintext bool
	// AccessKeyID and SecretAccessKey are what the function signs with.
	AccessKeyID, SecretAccessKey string
	// Timeout is that of a step. Defaults to DefaultTimeout.
	Timeout time.Duration
}

// Connection calls one rotation function.
type Connection struct {
	name    string
	cfg     Config
	url     string
	client  *http.Client
	signer  *v4.Signer
	manager *manager
	turn    chan struct{} // one call at a time; nil for AWS's Lambda, which takes any number

	partition, region, account string // of the function, and of the ARNs that it's shown
}

// exampleURL is one, for hints.
const exampleURL = "http://127.0.0.1:9000/2015-03-31/functions/function/invocations"

// New makes a connection, and doesn't touch the network.
func New(name string, cfg Config) (*Connection, error) {
	if cfg.Timeout == 0 {
		cfg.Timeout = DefaultTimeout
	}
	c := &Connection{name: name, cfg: cfg, url: cfg.URL, region: "us-east-1", partition: "aws", account: "000000000000", signer: v4.NewSigner()}
	if cfg.ARN == "" {
		c.turn = make(chan struct{}, 1) // two at once end Lambda's runtime emulator
	} else {
		a, err := functionARN(cfg.ARN)
		if err != nil {
			return nil, fmt.Errorf("connection %s: arn: %w", name, err)
		}
		c.region, c.partition, c.account = a.Region, a.Partition, a.AccountID
		if c.url == "" {
			c.url = "https://lambda." + a.Region + "." + dnsSuffix(a.Partition) + "/2015-03-31/functions/" + url.PathEscape(cfg.ARN) + "/invocations"
		}
	}
	if _, err := parseURL(c.url, cfg.AllowPlaintext); err != nil {
		return nil, fmt.Errorf("connection %s: url: %w", name, err)
	}
	if err := checkListen(cfg.Listen, cfg.ListenCert != "", cfg.AllowPlaintext); err != nil {
		return nil, fmt.Errorf("connection %s: listen: %w", name, err)
	}
	if cfg.AccessKeyID == "" || cfg.SecretAccessKey == "" {
		return nil, fmt.Errorf("connection %s: access_key_id and secret_access_key can't be empty", name)
	}
	var err error
	c.client, err = provider.NewHTTPClient(cfg.Certificates, nil, cfg.Timeout, func(*http.Request, []byte) rota.Credential { return rota.Credential{} })
	if err != nil {
		return nil, fmt.Errorf("connection %s: %w", name, err)
	}
	c.manager = newManager(name, cfg)
	return c, nil
}

// Close ends idle connections.
func (c *Connection) Close() { c.client.CloseIdleConnections() }

func (c *Connection) system() string { return "function " + c.name }

// functionARN reads the ARN of a Lambda function, with or without a version.
func functionARN(text string) (arn.ARN, error) {
	a, err := arn.Parse(text)
	if err != nil || a.Service != "lambda" || !strings.HasPrefix(a.Resource, "function:") || a.Region == "" || a.AccountID == "" {
		return arn.ARN{}, rota.WithRemedies(errors.New("not the ARN of a Lambda function"), rota.Configure("", "arn:aws:lambda:eu-central-1:111122223333:function:rotate-orders"))
	}
	return a, nil
}

// newARN is an ARN for a secret with a name during one step. It's another one for each,
// so that a function that goes on after its step finds nothing of the next one.
func (c *Connection) newARN(name string) string {
	return "arn:" + c.partition + ":secretsmanager:" + c.region + ":" + c.account + ":secret:" + name + "-" + randompassword.String(rand.Reader, randompassword.Alphanumeric, 6)
}

// secretARN reads the whole ARN of a secret, which ends in six characters of AWS's.
func secretARN(text string) (arn.ARN, error) {
	a, err := arn.Parse(text)
	if name := nameOf(a); err != nil || a.Service != "secretsmanager" || a.Region == "" || a.AccountID == "" || !goodName(name) || a.Resource[len(a.Resource)-7] != '-' {
		return arn.ARN{}, errors.New("not the ARN of a secret")
	}
	return a, nil
}

// nameOf is the name in a secret's ARN, "" if there's none.
func nameOf(a arn.ARN) string {
	name, found := strings.CutPrefix(a.Resource, "secret:")
	if !found || len(name) < 8 {
		return ""
	}
	return name[:len(name)-7]
}

// dnsSuffix is where a partition's services are.
func dnsSuffix(partition string) string {
	if partition == "aws-cn" {
		return "amazonaws.com.cn"
	}
	return "amazonaws.com"
}

// parseURL reads the address of the Invoke call.
func parseURL(text string, plaintext bool) (*url.URL, error) {
	u, err := provider.ParseAddress(text, exampleURL)
	if err != nil && plaintext && strings.HasPrefix(text, "http://") {
		secure := "https://" + strings.TrimPrefix(text, "http://")
		if u, err = provider.ParseAddress(secure, exampleURL); err == nil {
			u.Scheme = "http"
		}
	}
	return u, err
}

// checkListen checks the address that Secrets Manager is stood in for at.
func checkListen(text string, secure, plaintext bool) error {
	host, port, err := net.SplitHostPort(text)
	if number, wrong := strconv.ParseUint(port, 10, 16); err != nil || wrong != nil || number == 0 {
		return rota.WithRemedies(errors.New("not a host and a port"), rota.Configure("", "127.0.0.1:9001"))
	}
	if !secure && provider.Loopback(host) && net.ParseIP(host) == nil {
		return rota.WithRemedies(errors.New("a name of this machine has two addresses, and another program may listen at the other one"), rota.Configure("", net.JoinHostPort("127.0.0.1", port)))
	}
	if !secure && !plaintext && !provider.Loopback(host) {
		return rota.WithRemedies(errors.New("without TLS anyone on the network path can read the credentials"),
			rota.Configure("", "listen_cert and listen_key, or allow_plaintext: true on a network of the two alone"))
	}
	return nil
}

// credentials are those that sign calls to Lambda.
func (c *Connection) credentials(ctx context.Context) (awssdk.Credentials, error) {
	from := c.cfg.Credentials
	if from == nil {
		loaded, err := config.LoadDefaultConfig(ctx)
		if err != nil {
			return awssdk.Credentials{}, err
		}
		from = loaded.Credentials
	}
	return from.Retrieve(ctx)
}

// certificate is that of the listener, nil for none. It's read for each step, so that
// a renewed one is used.
func (c Config) certificate() (*tls.Config, error) {
	if c.ListenCert == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(c.ListenCert, c.ListenKey)
	if err != nil {
		return nil, rota.WithRemedies(fmt.Errorf("listen_cert: %w", err), rota.Outside("see that listen_cert and listen_key are a certificate and its key, in PEM"))
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}, nil
}
