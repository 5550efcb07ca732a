package postgres

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
)

// The costs of a SCRAM-SHA-256 verifier: RFC 7677's minimum, which is also
// PostgreSQL's default.
const (
	scramIterations = 4096
	scramSaltLength = 16
)

// verifier gives what PostgreSQL keeps of a password, made as the server
// makes it: SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>. It has
// no character that needs quoting in a literal.
func verifier(password string) (string, error) {
	salt := make([]byte, scramSaltLength)
	_, _ = rand.Read(salt) // it never fails
	stored, server, err := scramKeys(password, salt, scramIterations)
	if err != nil {
		return "", err
	}
	b64 := base64.StdEncoding.EncodeToString
	return "SCRAM-SHA-256$" + strconv.Itoa(scramIterations) + ":" + b64(salt) + "$" + b64(stored) + ":" + b64(server), nil
}

// scramKeys derives RFC 5802's StoredKey and ServerKey.
func scramKeys(password string, salt []byte, iterations int) (stored, server []byte, err error) {
	if password == "" {
		return nil, nil, fmt.Errorf("the password is empty")
	}
	salted, err := pbkdf2.Key(sha256.New, prepare(password), salt, iterations, sha256.Size)
	if err != nil {
		return nil, nil, fmt.Errorf("derive the password's key: %w", err)
	}
	clientKey := sha256.Sum256(hmacSHA256(salted, "Client Key"))
	return clientKey[:], hmacSHA256(salted, "Server Key"), nil
}

func hmacSHA256(key []byte, message string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(message))
	return mac.Sum(nil)
}
