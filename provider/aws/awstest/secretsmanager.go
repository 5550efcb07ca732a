package awstest

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/server/secretsmanager"
	"github.com/rota-dev/rota/internal/store/record"
)

// secrets is the account's Secrets Manager: Rota's own implementation, on
// in-memory records.
type secrets struct {
	records *record.Memory
	now     *secretsmanager.Server
	stale   *secretsmanager.Server // reads the state before each secret's last write
}

func newSecrets(s *Server) secrets {
	records := &record.Memory{Now: s.now}
	options := secretsmanager.Options{Account: s.account, Region: s.region, Now: s.now, Random: seeded{s}, Tokens: secretsmanager.ProcessTokens()}
	options.Records = record.Guard(records, s.now)
	fresh := secretsmanager.New(options)
	options.Records = record.Guard(records.Stale(), s.now)
	return secrets{records: records, now: fresh, stale: secretsmanager.New(options)}
}

// seeded reads from the server's random source. The caller holds the mutex.
type seeded struct{ s *Server }

func (r seeded) Read(b []byte) (int, error) {
	var word [8]byte
	for i := 0; i < len(b); i += len(word) {
		binary.LittleEndian.PutUint64(word[:], r.s.rand.Uint64())
		copy(b[i:], word[:])
	}
	return len(b), nil
}

// secretArgs are the parameters shown in a call's record.
type secretArgs struct {
	Name                string
	SecretID            string `json:"SecretId"`
	ClientRequestToken  string
	VersionID           string `json:"VersionId"`
	VersionStage        string
	VersionStages       []string
	MoveToVersionID     string `json:"MoveToVersionId"`
	RemoveFromVersionID string `json:"RemoveFromVersionId"`
	Tags                []struct{}
}

// about returns the version and labels for the call's record.
func (r secretArgs) about() (version, labels string) {
	labels = strings.Join(r.VersionStages, ",")
	if r.VersionStage != "" {
		labels = r.VersionStage
	}
	for _, id := range []string{r.ClientRequestToken, r.MoveToVersionID, r.VersionID, r.RemoveFromVersionID} {
		if id != "" {
			return id, labels
		}
	}
	return "", labels
}

// staleReads are the operations that can return an eventually consistent
// answer.
var staleReads = []string{"BatchGetSecretValue", "DescribeSecret", "GetResourcePolicy", "GetSecretValue", "ListSecretVersionIds", "ListSecrets"}

// secretsManager handles a call that has already been authorized.
func (s *Server) secretsManager(x *exchange) reply {
	server := s.secrets.now
	if x.stale && slices.Contains(staleReads, x.action) {
		server = s.secrets.stale
	}
	answer := server.Do(context.Background(), access.Local(x.caller.arn), x.action, x.body)
	return reply{status: answer.Status, header: jsonHeader(s.newUUID()), body: answer.Body, code: answer.Code}
}

// callSecrets makes a call on behalf of the server itself.
func (s *Server) callSecrets(operation string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	answer := s.secrets.now.Do(context.Background(), access.Local("awstest"), operation, body)
	if answer.Code != "" {
		return fmt.Errorf("%s: %s", operation, answer.Body)
	}
	return json.Unmarshal(answer.Body, out)
}
