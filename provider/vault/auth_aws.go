package vault

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/rota-dev/rota"
)

// AWSLogin logs in with the AWS identity of whatever runs Rota. It signs a request
// that asks AWS who that is, and Vault sends it.
type AWSLogin struct {
	Mount string // of the auth method, such as "aws"
	Role  string // "" for the one with the name of the AWS role or user
	// Region is that of the STS endpoint that Vault asks. Defaults to the global one.
	Region string
	// ServerID is what Vault wants in the header X-Vault-AWS-IAM-Server-ID, if it does.
	ServerID string
	// Credentials are the identity's. Defaults to those that the AWS SDK finds.
	Credentials awssdk.CredentialsProvider
}

// String names the login for people.
func (l AWSLogin) String() string { return "the machine's AWS identity at auth/" + l.Mount }

// whoAmI is the request that Vault sends.
const whoAmI = "Action=GetCallerIdentity&Version=2011-06-15"

func (l AWSLogin) request(ctx context.Context) (string, map[string]any, error) {
	credentials := l.Credentials
	if credentials == nil {
		loaded, err := config.LoadDefaultConfig(ctx)
		if err != nil {
			return "", nil, fmt.Errorf("find the machine's AWS identity: %w", err)
		}
		credentials = loaded.Credentials
	}
	keys, err := credentials.Retrieve(ctx)
	if err != nil {
		return "", nil, rota.WithRemedies(fmt.Errorf("find the machine's AWS identity: %w", err), rota.Outside("give what runs Rota an AWS role, or use another login"))
	}
	endpoint, region := "https://sts.amazonaws.com/", "us-east-1"
	if l.Region != "" {
		region = l.Region
		endpoint = "https://sts." + region + ".amazonaws.com/"
		if strings.HasPrefix(region, "cn-") {
			endpoint = "https://sts." + region + ".amazonaws.com.cn/"
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(whoAmI))
	if err != nil {
		return "", nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	if l.ServerID != "" {
		req.Header.Set("X-Vault-AWS-IAM-Server-ID", l.ServerID)
	}
	sum := sha256.Sum256([]byte(whoAmI))
	if err := v4.NewSigner().SignHTTP(ctx, keys, req, hex.EncodeToString(sum[:]), "sts", region, time.Now()); err != nil {
		return "", nil, fmt.Errorf("sign the request to STS: %w", err)
	}
	headers, err := json.Marshal(req.Header)
	if err != nil {
		return "", nil, err
	}
	encode := base64.StdEncoding.EncodeToString
	body := map[string]any{
		"iam_http_request_method": http.MethodPost, "iam_request_url": encode([]byte(endpoint)),
		"iam_request_body": encode([]byte(whoAmI)), "iam_request_headers": encode(headers),
	}
	if l.Role != "" {
		body["role"] = l.Role
	}
	return "auth/" + l.Mount + "/login", body, nil
}
