package kms

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/aws/smithy-go"
	"gocloud.dev/gcerrors"
	"gocloud.dev/secrets"
	_ "gocloud.dev/secrets/awskms"        // awskms:
	_ "gocloud.dev/secrets/azurekeyvault" // azurekeyvault:
	_ "gocloud.dev/secrets/gcpkms"        // gcpkms:
	_ "gocloud.dev/secrets/hashivault"    // hashivault:

	"github.com/rota-dev/rota"
)

// services maps URL schemes to an example and to the permissions that the
// process needs.
var services = map[string]struct{ example, needs string }{
	"awskms":        {"awskms:///alias/rota?region=eu-central-1", "check that the key exists in that region, and that this identity has kms:Encrypt and kms:Decrypt on it"},
	"gcpkms":        {"gcpkms://projects/P/locations/L/keyRings/R/cryptoKeys/K", "check that the key exists, and grant this identity roles/cloudkms.cryptoKeyEncrypterDecrypter on it"},
	"azurekeyvault": {"azurekeyvault://NAME.vault.azure.net/keys/KEY", "check that the key exists, and grant this identity the role Key Vault Crypto User on it"},
	"hashivault":    {"hashivault://KEY?engine=transit", "check VAULT_ADDR, VAULT_TOKEN, and that the token's policy allows transit/encrypt and transit/decrypt with the key"},
}

// Key is a key that never leaves its service. It is safe for concurrent use.
type Key struct {
	keepers []keeper // the first encrypts; the others decrypt what they encrypted earlier
}

type keeper struct {
	*secrets.Keeper
	name, permissions string
}

// Open opens the key with this URL, one of
//
//	awskms:///alias/rota?region=eu-central-1
//	gcpkms://projects/P/locations/L/keyRings/R/cryptoKeys/K
//	azurekeyvault://NAME.vault.azure.net/keys/KEY
//	hashivault://KEY?engine=transit
//
// as described at https://gocloud.dev/howto/secrets/. Credentials are found the
// way the service's own tools find them. Older keys only decrypt: to move to
// another key, open it together with the previous one, rotate the master key,
// and leave out the previous one from then on. Open doesn't call any service.
func Open(ctx context.Context, address string, older ...string) (*Key, error) {
	k := &Key{}
	for _, a := range append([]string{address}, older...) {
		opened, err := openKeeper(ctx, a)
		if err != nil {
			return nil, errors.Join(err, k.Close())
		}
		k.keepers = append(k.keepers, opened)
	}
	return k, nil
}

func openKeeper(ctx context.Context, address string) (keeper, error) {
	u, err := url.Parse(address)
	if err != nil {
		return keeper{}, rota.WithRemedies(errors.New("the master key's URL can't be parsed"), rota.Outside(services["awskms"].example))
	}
	if !secrets.DefaultURLMux().ValidKeeperScheme(u.Scheme) {
		return keeper{}, rota.WithRemedies(fmt.Errorf("no key management service has the scheme %q", u.Scheme), rota.Outside(fmt.Sprintf("one of %s", strings.Join(schemes(), ", "))))
	}
	service := services[u.Scheme]
	name := u.Scheme
	if service.example != "" { // other schemes contain the key itself
		name += " " + strings.TrimPrefix(path.Join(u.Host, u.Path), "/")
		if path.Join(u.Host, u.Path) == "" {
			return keeper{}, rota.WithRemedies(fmt.Errorf("the URL %s: names no key", u.Scheme), rota.Outside(service.example))
		}
	}
	opened, err := secrets.OpenKeeper(ctx, address)
	if err != nil {
		if service.example == "" {
			err = errors.New("its URL can't be parsed")
		}
		return keeper{}, &rota.Error{System: name, Op: "open the key", Class: rota.ClassStop, Err: err, Remedies: rota.Outside(service.example)}
	}
	return keeper{opened, name, service.needs}, nil
}

func schemes() []string {
	var all []string
	for s := range services {
		all = append(all, s+":")
	}
	slices.Sort(all)
	return all
}

// Wrap encrypts with the first key.
func (k *Key) Wrap(ctx context.Context, plain []byte) ([]byte, error) {
	first := k.keepers[0]
	wrapped, err := withContext(ctx, func() ([]byte, error) { return first.Encrypt(ctx, plain) })
	return wrapped, first.explain("encrypt", err)
}

// Unwrap decrypts with whichever key encrypted it.
func (k *Key) Unwrap(ctx context.Context, wrapped []byte) ([]byte, error) {
	var first error
	for _, one := range k.keepers {
		plain, err := withContext(ctx, func() ([]byte, error) { return one.Decrypt(ctx, wrapped) })
		if err == nil {
			return plain, nil
		}
		if first == nil {
			first = one.explain("decrypt", err)
		}
	}
	return nil, first
}

// Close closes the connections. It doesn't wait long for a service that doesn't
// respond.
func (k *Key) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	var errs []error
	for _, one := range k.keepers {
		_, err := withContext(ctx, func() ([]byte, error) { return nil, one.Close() })
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

const closeTimeout = 2 * time.Second

// withContext gives up when the context ends, which Vault's client ignores, and
// turns that client's panics on unexpected responses into errors.
func withContext(ctx context.Context, call func() ([]byte, error)) ([]byte, error) {
	type answer struct {
		bytes []byte
		err   error
	}
	answered := make(chan answer, 1)
	go func() {
		var a answer
		defer func() {
			if recover() != nil {
				a = answer{err: errors.New("unexpected response")}
			}
			answered <- a
		}()
		a.bytes, a.err = call()
	}()
	select {
	case a := <-answered:
		return a.bytes, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// explain classifies a service's error and says what to check.
func (k keeper) explain(op string, err error) error {
	if err == nil {
		return nil
	}
	class := rota.ClassWait
	switch gcerrors.Code(err) {
	case gcerrors.NotFound, gcerrors.PermissionDenied, gcerrors.InvalidArgument, gcerrors.FailedPrecondition:
		class = rota.ClassStop
	}
	var aws smithy.APIError
	if k.ErrorAs(err, &aws) && strings.Contains(aws.ErrorCode(), "AccessDenied") {
		class = rota.ClassStop
	}
	return &rota.Error{System: k.name, Op: op, Class: class, Err: err, Remedies: rota.Outside(k.permissions)}
}
