package github

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"golang.org/x/crypto/ssh"

	api "github.com/google/go-github/v93/github"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// The fields of a deploy key's credential.
const (
	FieldPrivateKey = "private_key" // in OpenSSH's format
	FieldPublicKey  = "public_key"  // as in authorized_keys
)

// DefaultTitle is that of Rota's deploy keys.
const DefaultTitle = "rota"

// DeployKeys issues deploy keys of a repository, in pairs that are made here. A
// rotation adds a second one, so the previous one stays valid meanwhile.
type DeployKeys struct {
	Connection *Connection
	// Owner and Repository are the repository's, without each other.
	Owner, Repository string
	// Title is that of the keys, by which they're told from others. Defaults to
	// [DefaultTitle].
	Title string
	// Writable keys may push.
	Writable bool
}

var (
	_ rota.Issuer      = (*DeployKeys)(nil)
	_ rota.Lister      = (*DeployKeys)(nil)
	_ rota.UseReporter = (*DeployKeys)(nil)
	_ rota.Teller      = (*DeployKeys)(nil)
	_ rota.Completer   = (*DeployKeys)(nil)
	_ rota.Preflighter = (*DeployKeys)(nil)
)

func deployKeyTraits() rota.Traits { return rota.Traits{Kind: "GitHub deploy key", TestSuccesses: 1} }

// Traits implements [rota.Issuer]. A repository can have any number of keys.
func (d *DeployKeys) Traits() rota.Traits { return deployKeyTraits() }

func (d *DeployKeys) access(level string) access {
	return access{owner: d.Owner, repository: d.Repository}.with(permission{"administration", level})
}

func (d *DeployKeys) title() string { return cmp.Or(d.Title, DefaultTitle) }

func (d *DeployKeys) what() string {
	return "deploy key " + d.title() + " of " + d.Owner + "/" + d.Repository
}

// publicOf is the public key of a credential, nil if there's none. If both halves
// are there, they fit.
func publicOf(c rota.Credential) ssh.PublicKey {
	text := c.Field(FieldPrivateKey)
	if text == "" {
		public, _, _, _, err := ssh.ParseAuthorizedKey([]byte(c.Field(FieldPublicKey)))
		if err != nil {
			return nil
		}
		return public
	}
	signer, err := ssh.ParsePrivateKey([]byte(text))
	if err != nil {
		return nil
	}
	return signer.PublicKey()
}

// line is a public key as GitHub shows it: without a comment.
func line(public ssh.PublicKey) string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public)))
}

// CredentialID implements [rota.Issuer]: the public key's fingerprint. It's that of
// the field with the public key, if there's one.
func (d *DeployKeys) CredentialID(c rota.Credential) string {
	public, _, _, _, err := ssh.ParseAuthorizedKey([]byte(c.Field(FieldPublicKey)))
	if err != nil {
		if public = publicOf(c); public == nil {
			return ""
		}
	}
	return ssh.FingerprintSHA256(public)
}

// Complete implements [rota.Completer]: the private key says the public one.
func (d *DeployKeys) Complete(c rota.Credential) rota.Credential {
	fields, public := c.Fields(), publicOf(c)
	if public == nil || fields[FieldPublicKey] != "" {
		return c
	}
	fields[FieldPublicKey] = line(public)
	return rota.NewCredential(fields)
}

// Create implements [rota.Issuer]: it makes a pair, and touches nothing.
func (d *DeployKeys) Create(ctx context.Context, _ rota.CreateRequest) (rota.Credential, error) {
	if err := ctx.Err(); err != nil {
		return rota.Credential{}, err
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return rota.Credential{}, d.Connection.refuse("make a "+d.what(), "look at this machine's source of randomness", errors.New("no randomness"))
	}
	block, err := ssh.MarshalPrivateKey(private, d.title())
	if err != nil {
		return rota.Credential{}, fmt.Errorf("make a %s: %w", d.what(), err)
	}
	shown, err := ssh.NewPublicKey(public)
	if err != nil {
		return rota.Credential{}, fmt.Errorf("make a %s: %w", d.what(), err)
	}
	return rota.NewCredential(map[string]string{FieldPrivateKey: string(pem.EncodeToMemory(block)), FieldPublicKey: line(shown)}), nil
}

// deployKey is one as GitHub shows it. LastUsed is nil if this GitHub doesn't record
// it, and null if it never was.
type deployKey struct {
	ID       int64           `json:"id"`
	Key      string          `json:"key"`
	Title    string          `json:"title"`
	ReadOnly bool            `json:"read_only"`
	Verified bool            `json:"verified"`
	Enabled  *bool           `json:"enabled"` // nil on an older Enterprise Server
	Created  api.Timestamp   `json:"created_at"`
	LastUsed json.RawMessage `json:"last_used"`
}

// id is the key's fingerprint, "" if it isn't one.
func (k deployKey) id() string {
	public, _, _, _, err := ssh.ParseAuthorizedKey([]byte(k.Key))
	if err != nil {
		return ""
	}
	return ssh.FingerprintSHA256(public)
}

// active reports whether git may log in with it.
func (k deployKey) active() bool { return k.Verified && (k.Enabled == nil || *k.Enabled) }

func (d *DeployKeys) path() string { return "repos/" + d.Owner + "/" + d.Repository + "/keys" }

// list are all keys of the repository.
func (d *DeployKeys) list(ctx context.Context, level string) ([]deployKey, error) {
	op := "list the deploy keys of " + d.Owner + "/" + d.Repository
	list, err := pages(func(o api.ListOptions) ([]deployKey, *api.Response, error) {
		var part []deployKey
		resp, err := d.Connection.call(ctx, d.access(level), op, http.MethodGet, fmt.Sprintf("%s?per_page=%d&page=%d", d.path(), o.PerPage, o.Page), nil, &part)
		return part, resp, err
	})
	return list, d.Connection.fail(op, d.access(level), nil, err)
}

// find is the key with a fingerprint; ok is false if there's none.
func (d *DeployKeys) find(ctx context.Context, id string) (k deployKey, ok bool, err error) {
	list, err := d.list(ctx, write)
	for _, k := range list {
		if id != "" && k.id() == id {
			return k, true, nil
		}
	}
	return deployKey{}, false, err
}

// Set implements [rota.Issuer]: it adds the public key, unless it's there. What became
// of a request without an answer shows in the list.
func (d *DeployKeys) Set(ctx context.Context, r rota.SetRequest) error {
	return rota.Sanitize(d.set(ctx, r.Credential), r.Credential)
}

func (d *DeployKeys) set(ctx context.Context, c rota.Credential) error {
	op := "add " + d.what()
	public := publicOf(c)
	if public == nil {
		return d.Connection.refuse(op, "give the private key in OpenSSH's format", errors.New("the credential isn't an SSH key"))
	}
	id := ssh.FingerprintSHA256(public)
	has, ok, err := d.find(ctx, id)
	if err != nil {
		return err
	}
	if !ok {
		body := map[string]any{"title": d.title(), "key": line(public), "read_only": !d.Writable}
		_, err := d.Connection.call(ctx, d.access(write), op, http.MethodPost, d.path(), body, nil)
		if provider.StatusOf(err) != http.StatusUnprocessableEntity {
			return err
		}
		// "key is already in use": the same request sent twice, or in another repository.
		if has, ok, _ = d.find(ctx, id); !ok {
			return rota.WithRemedies(err, rota.Outside("let the repository's and the organization's settings permit deploy keys; a key can be in one repository only"))
		}
	}
	if has.ReadOnly == d.Writable {
		return d.Connection.refuse(op, "delete the key at GitHub, or set writable as it is there", errors.New("it's there with other rights"))
	}
	return nil
}

// Test implements [rota.Issuer]. It logs in nowhere: it proves that the private key
// belongs to a public key that GitHub has, has verified and lets in.
func (d *DeployKeys) Test(ctx context.Context, r rota.TestRequest) error {
	return rota.Sanitize(d.test(ctx, r.Credential), r.Credential)
}

func (d *DeployKeys) test(ctx context.Context, c rota.Credential) error {
	op := "look for " + d.what()
	refused := func(why string) error {
		return &rota.Error{System: d.Connection.system(), Connection: d.Connection.name, Op: op, Class: rota.ClassWait, Err: fmt.Errorf("%s: %w", why, rota.ErrRefused)}
	}
	if err := ctx.Err(); err != nil {
		return d.Connection.fail(op, d.access(write), nil, err)
	}
	public := publicOf(c)
	if public == nil || c.Field(FieldPrivateKey) == "" {
		return refused("the private key can't be read")
	}
	if d.CredentialID(c) != ssh.FingerprintSHA256(public) {
		return refused("the public key isn't the private key's")
	}
	k, ok, err := d.find(ctx, ssh.FingerprintSHA256(public))
	switch {
	case err != nil:
		return err
	case !ok:
		return refused("the repository has no such key")
	case !k.active():
		return refused("GitHub has turned the key off, or hasn't verified it")
	}
	return nil
}

// InForce implements [rota.Teller].
func (d *DeployKeys) InForce(ctx context.Context, c rota.Credential) (inForce, known bool, err error) {
	public := publicOf(c)
	if public == nil {
		return false, true, nil
	}
	k, ok, err := d.find(ctx, ssh.FingerprintSHA256(public))
	return ok && k.active(), err == nil, err
}

// Delete implements [rota.Issuer].
func (d *DeployKeys) Delete(ctx context.Context, r rota.RetireRequest) error {
	k, ok, err := d.find(ctx, r.CredentialID)
	if err != nil || !ok {
		return err
	}
	if k.Title != d.title() { // the list doesn't show it, so it would be taken for gone
		return d.Connection.refuse("delete "+d.what(), "set title back to "+k.Title+", or delete the key at GitHub once nobody uses it", errors.New("the key has another title"))
	}
	_, err = d.Connection.call(ctx, d.access(write), "delete "+d.what(), http.MethodDelete, fmt.Sprintf("%s/%d", d.path(), k.ID), nil, nil)
	if provider.StatusOf(err) == http.StatusNotFound {
		return nil // gone already, as it should be
	}
	return err
}
