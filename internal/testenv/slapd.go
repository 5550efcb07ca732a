//go:build unix

package testenv

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/go-ldap/ldap/v3"
)

// SlapdOptions configure a test's OpenLDAP. The zero value is ready to use.
type SlapdOptions struct {
	// CertFile and KeyFile, if set, make the server offer TLS: StartTLS on its port, and
	// from the start on another.
	CertFile, KeyFile string
	// Modules are loaded, such as ppolicy, and Lines added to the database's
	// configuration; Global lines are the server's.
	Modules       []string
	Global, Lines string
	// ReplicaOf is the server to replicate, which has the overlay syncprov. The replica
	// refers changes to it.
	ReplicaOf *Slapd
}

// Slapd is a private OpenLDAP on 127.0.0.1. Its directory is dc=example,dc=com, with
// ou=apps, and with what the page about the provider allows cn=rota to do.
type Slapd struct {
	URL  string // ldap://127.0.0.1:1234
	URLS string // ldaps://127.0.0.1:1235; "" without a certificate

	child
	dir string
}

// The superuser's DN and password.
const (
	SlapdRoot     = "cn=root,dc=example,dc=com"
	SlapdPassword = "the-root-of-this-test-alone"
)

// SlapdAccess is what cn=rota may do, and what anyone must be able to do to log in.
const SlapdAccess = `access to dn.subtree="ou=apps,dc=example,dc=com" attrs=userPassword
  by dn.exact="cn=rota,dc=example,dc=com" write
  by anonymous auth
access to attrs=userPassword
  by anonymous auth
access to dn.subtree="ou=apps,dc=example,dc=com"
  by dn.exact="cn=rota,dc=example,dc=com" read
`

// StartSlapd starts a private OpenLDAP and stops it when the test ends.
func StartSlapd(t testing.TB, o SlapdOptions) *Slapd {
	t.Helper()
	program, err := exec.LookPath("slapd")
	if err != nil {
		program, err = exec.LookPath("/usr/sbin/slapd")
	}
	if err != nil {
		Missing(t, "OpenLDAP", "apt-get install slapd")
	}
	s := &Slapd{}
	if s.dir, err = os.MkdirTemp("", "rota-slapd-"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(s.dir) })
	if err := os.Mkdir(filepath.Join(s.dir, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	s.URL = fmt.Sprintf("ldap://127.0.0.1:%d", FreePort(t))
	listeners, tls := s.URL, ""
	if o.CertFile != "" {
		s.URLS = fmt.Sprintf("ldaps://127.0.0.1:%d", FreePort(t))
		listeners += " " + s.URLS
		tls = fmt.Sprintf("TLSCertificateFile %s\nTLSCertificateKeyFile %s\n", o.CertFile, o.KeyFile)
	}
	if o.ReplicaOf != nil {
		o.Lines += fmt.Sprintf("syncrepl rid=1 provider=%[1]s type=refreshAndPersist retry=\"1 +\" searchbase=dc=example,dc=com bindmethod=simple binddn=%[2]s credentials=%[3]s\nupdateref %[1]s\n",
			o.ReplicaOf.URL, SlapdRoot, SlapdPassword)
	}
	modules := "moduleload back_mdb\n"
	for _, m := range o.Modules {
		modules += "moduleload " + m + "\n"
	}
	modules += o.Global
	config := fmt.Sprintf(`include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
modulepath /usr/lib/ldap
%s%sdatabase mdb
suffix dc=example,dc=com
rootdn %s
rootpw %s
directory %s
dbnosync
%s%s`, modules, tls, SlapdRoot, SlapdPassword, filepath.Join(s.dir, "data"), SlapdAccess, o.Lines)
	file := filepath.Join(s.dir, "slapd.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.start(launch{Name: "OpenLDAP", Program: program, Args: []string{"-f", file, "-h", listeners, "-d", "stats"}, Log: s.LogFile(), Stop: "KILL",
		Ready: func(context.Context) error { return s.try(func(*ldap.Conn) error { return nil }) }}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.end)
	if o.ReplicaOf == nil {
		s.Add(t, "dc=example,dc=com", map[string]string{"objectClass": "domain"})
		s.Add(t, "ou=apps,dc=example,dc=com", map[string]string{"objectClass": "organizationalUnit"})
	}
	return s
}

// LogFile returns the path of the log of all operations.
func (s *Slapd) LogFile() string { return filepath.Join(s.dir, "log") }

func (s *Slapd) try(do func(*ldap.Conn) error) error {
	conn, err := ldap.DialURL(s.URL)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.Bind(SlapdRoot, SlapdPassword); err != nil {
		return err
	}
	return do(conn)
}

// Do does something as the superuser.
func (s *Slapd) Do(t testing.TB, do func(*ldap.Conn) error) {
	t.Helper()
	if err := s.try(do); err != nil {
		t.Fatal(err)
	}
}

// Add adds an entry with one value for each attribute.
func (s *Slapd) Add(t testing.TB, dn string, attributes map[string]string) {
	t.Helper()
	r := ldap.NewAddRequest(dn, nil)
	for name, value := range attributes {
		r.Attribute(name, []string{value})
	}
	s.Do(t, func(conn *ldap.Conn) error { return conn.Add(r) })
}

// AddAccount adds an entry below a cn that can log in; "" for no password yet.
func (s *Slapd) AddAccount(t testing.TB, dn, password string) {
	t.Helper()
	s.Add(t, dn, map[string]string{"objectClass": "person", "sn": "application"})
	if password != "" {
		s.Set(t, dn, "userPassword", password)
	}
}

// Set replaces an attribute's values.
func (s *Slapd) Set(t testing.TB, dn, name string, values ...string) {
	t.Helper()
	r := ldap.NewModifyRequest(dn, nil)
	r.Replace(name, values)
	s.Do(t, func(conn *ldap.Conn) error { return conn.Modify(r) })
}

// Passwords are an entry's.
func (s *Slapd) Passwords(dn string) (values []string, err error) {
	err = s.try(func(conn *ldap.Conn) error {
		found, err := conn.Search(ldap.NewSearchRequest(dn, ldap.ScopeBaseObject, ldap.NeverDerefAliases, 1, 0, false, "(objectClass=*)", []string{"userPassword"}, nil))
		if err == nil && len(found.Entries) == 1 {
			values = found.Entries[0].GetAttributeValues("userPassword")
		}
		return err
	})
	return values, err
}
