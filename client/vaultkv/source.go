// Package vaultkv reads secrets from a KV engine of HashiCorp Vault or OpenBao, for
// package client.
//
//	vault, err := api.NewClient(nil) // github.com/openbao/openbao/api/v2
//	…
//	secrets, err := client.Open(client.Options{Source: vaultkv.New(vault, vaultkv.Options{Mount: "secret"})})
//	…
//	secrets.Secret("prod/orders-db") // the entry secret/prod/orders-db
//
// Logging in, and renewing the token, is the Vault client's part.
//
// Vault can't say when an entry changes, so package client asks at intervals. With
// version 2 of the engine, that's a question for the entry's metadata, and its content
// is read only if there's a new version. The policy needs read for both:
//
//	path "secret/data/prod/orders-db"     { capabilities = ["read"] }
//	path "secret/metadata/prod/orders-db" { capabilities = ["read"] }
//
// Where the metadata may not be read, and with version 1, the content is read each time.
package vaultkv

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/openbao/openbao/api/v2"

	"github.com/rota-dev/rota/client"
	"github.com/rota-dev/rota/client/internal/digest"
)

// Options say where the engine is.
type Options struct {
	// Mount is the engine's path. Defaults to "secret".
	Mount string
	// Version is the engine's version, 1 or 2. Defaults to 2.
	Version int
}

// New returns a source that reads entries of one engine. A secret's name is its path
// below the engine's mount. A namespace is the Vault client's.
func New(vault *api.Client, o Options) client.Source {
	o.Mount = strings.Trim(o.Mount, "/")
	if o.Mount == "" {
		o.Mount = "secret"
	}
	return &source{vault: vault, o: o, digest: digest.New()}
}

type source struct {
	vault  *api.Client
	o      Options
	digest *digest.Key // of the engine's version 1
}

// Fetch implements [client.Source].
func (s *source) Fetch(ctx context.Context, r client.Request) (client.Value, error) {
	if slices.ContainsFunc(strings.Split(r.Secret, "/"), func(part string) bool { return part == "" || part == "." || part == ".." }) {
		return client.Value{}, fmt.Errorf("%q isn't the path of an entry: %w", r.Secret, client.ErrNotFound)
	}
	switch s.o.Version {
	case 0, 2:
		return s.fetch2(ctx, r)
	case 1:
		return s.fetch1(ctx, r)
	}
	return client.Value{}, fmt.Errorf("vaultkv: there's no version %d of the KV engine: %w", s.o.Version, client.ErrNotFound)
}

// fetch1 reads an entry of an engine that keeps one version of it.
func (s *source) fetch1(ctx context.Context, r client.Request) (client.Value, error) {
	if r.Previous {
		return client.Value{}, fmt.Errorf("version 1 of the KV engine keeps no previous version: %w", client.ErrNotFound)
	}
	content, err := s.read(ctx, r.Secret, nil)
	if err != nil {
		return client.Value{}, err
	}
	if content == nil {
		return client.Value{}, s.missing(r.Secret)
	}
	text, err := encode(content)
	if err != nil {
		return client.Value{}, err
	}
	version := s.digest.Of(text)
	if version == r.Have {
		return client.Value{}, client.ErrUnchanged
	}
	return client.TextValue(version, text), nil
}

// fetch2 reads an entry's content only if its version isn't the one that the caller
// has.
func (s *source) fetch2(ctx context.Context, r client.Request) (client.Value, error) {
	if r.Have != "" && !r.Previous {
		same, err := s.isCurrent(ctx, r)
		if err != nil {
			return client.Value{}, err
		}
		if same {
			return client.Value{}, client.ErrUnchanged
		}
	}
	number, v, err := s.version(ctx, r.Secret, 0)
	if err != nil {
		return client.Value{}, err
	}
	if r.Previous {
		if number < 2 {
			return client.Value{}, fmt.Errorf("entry %q has no previous version: %w", r.Secret, client.ErrNotFound)
		}
		_, v, err = s.version(ctx, r.Secret, number-1)
		return v, err
	}
	if v.Version() == r.Have {
		return client.Value{}, client.ErrUnchanged
	}
	return v, nil
}

// version reads one version of an entry; 0 is the current one.
func (s *source) version(ctx context.Context, secret string, number int) (int, client.Value, error) {
	var which map[string][]string
	if number > 0 {
		which = map[string][]string{"version": {strconv.Itoa(number)}}
	}
	answer, err := s.read(ctx, "data/"+secret, which)
	if err != nil {
		return 0, client.Value{}, err
	}
	content, _ := answer["data"].(map[string]any)
	if content == nil { // also if that version was deleted
		return 0, client.Value{}, s.missing(secret)
	}
	metadata, _ := answer["metadata"].(map[string]any)
	n, err := strconv.Atoi(fmt.Sprint(metadata["version"]))
	if err != nil {
		return 0, client.Value{}, fmt.Errorf("the answer for entry %q isn't one of version 2 of the KV engine", secret)
	}
	text, err := encode(content)
	if err != nil {
		return 0, client.Value{}, err
	}
	return n, client.TextValue(versionID(n, metadata["created_time"]), text), nil
}

// isCurrent asks for an entry's metadata. If that isn't allowed, it can't tell.
func (s *source) isCurrent(ctx context.Context, r client.Request) (bool, error) {
	answer, err := s.read(ctx, "metadata/"+r.Secret, nil)
	if errors.Is(err, client.ErrDenied) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if answer == nil {
		return false, s.missing(r.Secret)
	}
	n, err := strconv.Atoi(fmt.Sprint(answer["current_version"]))
	if err != nil {
		return false, fmt.Errorf("the metadata of entry %q isn't that of version 2 of the KV engine", r.Secret)
	}
	versions, _ := answer["versions"].(map[string]any)
	current, _ := versions[strconv.Itoa(n)].(map[string]any)
	gone := current["destroyed"] == true || current["deletion_time"] != nil && current["deletion_time"] != ""
	return !gone && versionID(n, current["created_time"]) == r.Have, nil
}

// versionID has the date, too: an entry that's removed and written anew begins again
// with version 1.
func versionID(number int, created any) string {
	return fmt.Sprintf("%d@%v", number, created)
}

// read asks for a path below the mount. It returns nil if nothing's there.
func (s *source) read(ctx context.Context, path string, params map[string][]string) (map[string]any, error) {
	answer, err := s.vault.Logical().ReadWithDataWithContext(ctx, s.o.Mount+"/"+path, params)
	if err != nil {
		return nil, s.translate(ctx, err)
	}
	if answer == nil {
		return nil, nil
	}
	return answer.Data, nil
}

// translate says what a refusal means for package client. Vault refuses a token that
// has ended in the same words as a path that a token may not read. The Vault client
// may have another token soon, so only a token that's in force is denied something.
func (s *source) translate(ctx context.Context, err error) error {
	refusal, ok := errors.AsType[*api.ResponseError](err)
	if !ok || refusal.StatusCode != http.StatusForbidden {
		return err
	}
	if _, lookup := s.vault.Auth().Token().LookupSelfWithContext(ctx); lookup != nil {
		return err
	}
	return fmt.Errorf("%w: %w", client.ErrDenied, err)
}

func (s *source) missing(secret string) error {
	return fmt.Errorf("no entry %q in %s: %w", secret, s.o.Mount, client.ErrNotFound)
}

func encode(content map[string]any) (string, error) {
	text, err := json.Marshal(content)
	if err != nil {
		return "", errors.New("the entry can't be written as JSON")
	}
	return string(text), nil
}
