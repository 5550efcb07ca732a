package crash

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	driver "github.com/go-ldap/ldap/v3"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/ldap"
)

func TestLDAPEntriesThroughEveryFault(t *testing.T) {
	t.Parallel()
	d := &directory{server: testenv.StartSlapd(t, testenv.SlapdOptions{})}
	d.add(t, "cn=other,ou=apps,dc=example,dc=com")
	d.server.Set(t, "cn=other,ou=apps,dc=example,dc=com", "userPassword", "somebody-else's")
	var err error
	d.rota, err = ldap.New("directory", ldap.Config{URL: d.server.URL, BindDN: testenv.SlapdRoot, Password: testenv.SlapdPassword, Plain: true})
	if err != nil {
		t.Fatal(err)
	}
	matrix(t, "LDAP entries", 16,
		life{name: "an entry's password", build: inOwnStore(d.entry(ldap.EntryConfig{})), kinds: fewKinds, steps: lifeOfPassword},
		life{name: "an entry with two passwords", build: inOwnStore(d.entry(ldap.EntryConfig{Two: true})), kinds: fewKinds, steps: lifeOfToken},
	)
}

// directory is a server, and the connection that all cells share.
type directory struct {
	server *testenv.Slapd
	rota   *ldap.Connection
}

func (d *directory) add(t testing.TB, dn string) {
	t.Helper()
	d.server.Add(t, dn, map[string]string{"objectClass": "person", "sn": "application"})
}

// theirs is a password that a person gave to each entry with several.
const theirs = "{SSHA}aW4gdXNlIGJ5IHNvbWVib2R5IGVsc2UsIHdobyBrbm93cw=="

func (d *directory) entry(cfg ldap.EntryConfig) func(testing.TB, *scene) fixture {
	return func(t testing.TB, s *scene) fixture {
		cfg := cfg
		cfg.DN = "cn=app" + strconv.FormatInt(scenes.Add(1), 10) + ",ou=apps,dc=example,dc=com"
		d.add(t, cfg.DN)
		if cfg.Two {
			d.server.Set(t, cfg.DN, "userPassword", theirs)
		}
		i, err := d.rota.Entry(cfg)
		if err != nil {
			t.Fatal(err)
		}
		made := &calls{system: "ldap", inner: unused{i.(issuer)}, scene: s}
		if namer, ok := i.(rota.Namer); ok {
			made.inner = named{made.inner, namer}
		}
		return fixture{
			connect: made.connect, traits: i.Traits(), id: i.CredentialID, works: d.works,
			exists: func() (map[string]bool, error) {
				values, err := d.server.Passwords(cfg.DN)
				exist := map[string]bool{}
				for _, value := range values {
					if id := idOf(cfg, value); id != "" {
						exist[id] = true
					}
				}
				return exist, err
			},
			intact: func() error {
				other, err := d.server.Passwords("cn=other,ou=apps,dc=example,dc=com")
				if err != nil || !slices.Equal(other, []string{"somebody-else's"}) {
					return fmt.Errorf("a foreign entry was touched (%w)", err)
				}
				if own, err := d.server.Passwords(cfg.DN); cfg.Two && (err != nil || !slices.Contains(own, theirs)) {
					return fmt.Errorf("a foreign password was touched (%w)", err)
				}
				return nil
			},
			close: func() {},
		}
	}
}

// idOf is the id of a value: Rota's own have it in their salts, behind a mark.
func idOf(cfg ldap.EntryConfig, value string) string {
	if !cfg.Two {
		return cfg.DN
	}
	raw, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(value, "{SSHA}"))
	if len(raw) != 36 || string(raw[20:24]) != "rota" {
		return ""
	}
	return cfg.DN + ":" + hex.EncodeToString(raw[24:28])
}

func (d *directory) works(c rota.Credential) (bool, error) {
	conn, err := driver.DialURL(d.server.URL)
	if err != nil {
		return false, err
	}
	defer func() { _ = conn.Close() }()
	err = conn.Bind(c.Field(rota.FieldUsername), c.Field(rota.FieldPassword))
	if driver.IsErrorWithCode(err, driver.LDAPResultInvalidCredentials) {
		return false, nil
	}
	return err == nil, err
}

// unused is an issuer that has seen no login: the server records them by its own
// clock, which isn't the matrix's.
type unused struct{ issuer }

func (u unused) LastUsed(ctx context.Context, id string) (rota.Use, error) {
	_, err := u.issuer.LastUsed(ctx, id)
	if errors.Is(err, rota.ErrNotFound) || ctx.Err() != nil {
		return rota.Use{}, err
	}
	return rota.Use{Evidence: rota.EvidenceRecorded}, err
}

// named is an issuer whose credentials have fixed names.
type named struct {
	issuer
	rota.Namer
}
