package ssh

import (
	"context"
	"errors"
	"io"

	"golang.org/x/crypto/ssh"
)

// accepts returns those of the keys that a host would let a user in with. It offers
// only the public ones, and gives up as soon as the host asks for a signature: nobody
// logs in. A host that takes no keys at all accepts none.
func (n *node) accepts(ctx context.Context, user string, keys ...ssh.PublicKey) ([]ssh.PublicKey, error) {
	var in []ssh.PublicKey
	signers := make([]ssh.Signer, len(keys))
	for i, key := range keys {
		signers[i] = &probe{key: key, asked: func() { in = append(in, key) }}
	}
	client, err := n.c.connect(ctx, n.addr, login{user: user, signers: signers})
	switch {
	case err == nil: // it lets in anybody
		_ = client.Close()
		return keys, nil
	case len(in) > 0, rejected(err):
		return in, nil
	}
	return nil, err
}

// probe is a key of which only the public half is known.
type probe struct {
	key   ssh.PublicKey
	asked func()
}

var errProbe = errors.New("the private key isn't known")

func (p *probe) PublicKey() ssh.PublicKey { return p.key }

// Sign implements [ssh.Signer]. It's called once the host has accepted the key.
func (p *probe) Sign(io.Reader, []byte) (*ssh.Signature, error) {
	p.asked()
	return nil, errProbe
}

// SignWithAlgorithm implements [ssh.AlgorithmSigner], so that RSA keys are offered
// with SHA-2.
func (p *probe) SignWithAlgorithm(rand io.Reader, data []byte, _ string) (*ssh.Signature, error) {
	return p.Sign(rand, data)
}
