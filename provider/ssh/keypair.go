package ssh

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/rota-dev/rota"
)

// The algorithms of key pairs.
const (
	AlgorithmEd25519 = "ed25519"
	AlgorithmECDSA   = "ecdsa" // with the curve P-256
	AlgorithmRSA     = "rsa"   // with 3072 bits
)

// The fields of a key pair, in addition to [rota.FieldUsername].
const (
	FieldPrivateKey = "private_key" // in OpenSSH's format
	FieldPublicKey  = "public_key"  // as in authorized_keys, without options
	// fieldReplaces is the id of the key that was current when this one was made:
	// its line's options go to the new line.
	fieldReplaces = "replaces"
)

const rsaBits = 3072

// generate makes a private key.
func generate(algorithm string) (crypto.Signer, error) {
	switch algorithm {
	case AlgorithmEd25519:
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	case AlgorithmECDSA:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case AlgorithmRSA:
		return rsa.GenerateKey(rand.Reader, rsaBits)
	}
	return nil, fmt.Errorf("algorithm %q isn't one of ed25519, ecdsa, rsa", algorithm)
}

// newPair makes a pair, as a credential has it.
func newPair(algorithm, comment string) (private, public string, err error) {
	key, err := generate(algorithm)
	if err != nil {
		return "", "", err
	}
	block, err := ssh.MarshalPrivateKey(key, comment)
	if err != nil {
		return "", "", err
	}
	shown, err := ssh.NewPublicKey(key.Public())
	if err != nil {
		return "", "", err
	}
	return string(pem.EncodeToMemory(block)), publicText(shown, comment), nil
}

func publicText(key ssh.PublicKey, comment string) string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key))) + " " + comment
}

// publicOf is a credential's public key; nil if it has none that can be read.
func publicOf(c rota.Credential) ssh.PublicKey {
	if text := c.Field(FieldPublicKey); text != "" {
		key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(text))
		if err != nil {
			return nil
		}
		return key
	}
	signer, err := parseSigner(c.Field(FieldPrivateKey), "")
	if err != nil {
		return nil
	}
	return signer.PublicKey()
}

// signerOf is what a credential signs with, once its halves fit together.
func signerOf(c rota.Credential) (ssh.Signer, error) {
	signer, err := parseSigner(c.Field(FieldPrivateKey), "")
	if errors.Is(err, errPassphrase) {
		return nil, errors.New("the private key is encrypted")
	}
	if err != nil {
		return nil, errors.New("the private key can't be read")
	}
	if public := publicOf(c); public == nil || !bytes.Equal(public.Marshal(), signer.PublicKey().Marshal()) {
		return nil, errors.New("private and public key don't belong together")
	}
	return signer, nil
}
