package postgres

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"

	"github.com/xdg-go/scram"
	"github.com/xdg-go/stringprep"
)

// The costs of a SCRAM-SHA-256 verifier: RFC 7677's minimum, which is also
// PostgreSQL's default.
const (
	scramIterations = 4096
	scramSaltLength = 16
)

// verifier returns what PostgreSQL stores for a password, in the server's own
// format: SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>. Nothing in
// it needs quoting in a literal.
func verifier(password string) (string, error) {
	if password == "" {
		return "", errors.New("the password is empty")
	}
	salt := make([]byte, scramSaltLength)
	_, _ = rand.Read(salt) // never fails
	keys, err := scramKeys(password, salt, scramIterations)
	if err != nil {
		return "", err
	}
	b64 := base64.StdEncoding.EncodeToString
	return "SCRAM-SHA-256$" + strconv.Itoa(scramIterations) + ":" + b64(salt) + "$" + b64(keys.StoredKey) + ":" + b64(keys.ServerKey), nil
}

// scramKeys derives RFC 5802's StoredKey and ServerKey.
func scramKeys(password string, salt []byte, iterations int) (scram.StoredCredentials, error) {
	if password == "" {
		return scram.StoredCredentials{}, errors.New("the password is empty")
	}
	// A client for this one derivation: clients cache keys, and these are secret.
	client, err := scram.SHA256.NewClientUnprepped("", prepare(password), "")
	if err != nil {
		return scram.StoredCredentials{}, fmt.Errorf("derive the password's keys: %w", err)
	}
	keys, err := client.GetStoredCredentialsWithError(scram.KeyFactors{Salt: string(salt), Iters: iterations})
	if err != nil {
		return scram.StoredCredentials{}, fmt.Errorf("derive the password's keys: %w", err)
	}
	return keys, nil
}

// prepare returns what PostgreSQL and libpq hash for a password: its SASLprep
// form (RFC 4013), or the password unchanged if SASLprep rejects it. Printable
// ASCII, which is all a generated password contains, comes out unchanged.
func prepare(password string) string {
	prepared, err := stringprep.SASLprep.Prepare(password)
	if err != nil || prepared == "" {
		return password
	}
	return prepared
}
