package daemon

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// certified is a certificate with its key.
type certified struct {
	*x509.Certificate
	key crypto.Signer
}

// certify makes a certificate: an authority's, or a client's if points are where its
// authority publishes lists.
func certify(t *testing.T, name string, serial int64, by *certified, isCA bool, points ...string) *certified {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		BasicConstraintsValid: true, IsCA: isCA, CRLDistributionPoints: points,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if isCA {
		c.KeyUsage, c.ExtKeyUsage = x509.KeyUsageCertSign|x509.KeyUsageCRLSign, nil
	}
	made := &certified{c, key}
	if by == nil {
		by = made
	}
	der, err := x509.CreateCertificate(rand.Reader, c, by.Certificate, key.Public(), by.key)
	if err != nil {
		t.Fatal(err)
	}
	if made.Certificate, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return made
}

// listOf is a revocation list.
type listOf struct {
	by      *certified
	revoked []int64
	number  int64
	before  time.Duration // how old it is
	limits  []pkix.Extension
	entry   []pkix.Extension // of each certificate in it
}

func (l listOf) pem(t *testing.T, at time.Time) []byte {
	t.Helper()
	list := &x509.RevocationList{Number: big.NewInt(l.number), ThisUpdate: at.Add(-l.before), NextUpdate: at.Add(time.Hour), ExtraExtensions: l.limits}
	for _, serial := range l.revoked {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: big.NewInt(serial), RevocationTime: at, ExtraExtensions: l.entry})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, l.by.Certificate, l.by.key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})
}

func extension(t *testing.T, id asn1.ObjectIdentifier, value any) []pkix.Extension {
	t.Helper()
	der, err := asn1.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return []pkix.Extension{{Id: id, Critical: true, Value: der}}
}

// limitedTo is the extension that limits a list.
func limitedTo(t *testing.T, tag int, content []byte) []pkix.Extension {
	t.Helper()
	return extension(t, oidIDP, []asn1.RawValue{{Class: asn1.ClassContextSpecific, Tag: tag, IsCompound: tag == 0, Bytes: content}})
}

// publishedAt limits a list to the certificates whose authority publishes it there.
func publishedAt(t *testing.T, uri string) []pkix.Extension {
	t.Helper()
	name := append([]byte{0x86, byte(len(uri))}, uri...)
	return limitedTo(t, 0, append([]byte{0xa0, byte(len(name))}, name...))
}

func TestWhatRevocationListsSay(t *testing.T) {
	t.Parallel()
	const here, elsewhere = "http://crl.example.com/1.crl", "http://crl.example.com/2.crl"
	root := certify(t, "root", 1, nil, true)
	between := certify(t, "between", 2, root, true)
	direct := certify(t, "direct", 3, root, false)
	client := certify(t, "client", 4, between, false)
	pointed := certify(t, "pointed", 5, root, false, here)
	yes := []byte{0xff}
	for _, c := range []struct {
		name   string
		client *certified
		trusts []*certified
		lists  []listOf
		want   string // "" if the client gets in
	}{
		{"nothing revoked", direct, []*certified{root}, []listOf{{by: root}}, ""},
		{"revoked", direct, []*certified{root}, []listOf{{by: root, revoked: []int64{3}}}, "was revoked"},
		{"another revoked", direct, []*certified{root}, []listOf{{by: root, revoked: []int64{4}}}, ""},
		{"a newer list without it", direct, []*certified{root}, []listOf{{by: root, revoked: []int64{3}, before: time.Minute}, {by: root}}, ""},
		{"a list from a clock that's a little ahead", direct, []*certified{root}, []listOf{{by: root, before: -time.Minute}}, ""},
		{"a list from the future", direct, []*certified{root}, []listOf{{by: root, before: -10 * time.Minute}}, "isn't valid before"},
		{"revoked in the future", direct, []*certified{root}, []listOf{{by: root, revoked: []int64{3}, before: -10 * time.Minute}}, "was revoked"},
		{"two lists of one second", direct, []*certified{root}, []listOf{{by: root, number: 1}, {by: root, number: 2, revoked: []int64{3}}}, "was revoked"},
		{"two lists of one second, the newer one first", direct, []*certified{root}, []listOf{{by: root, number: 2, revoked: []int64{3}}, {by: root, number: 1}}, "was revoked"},

		{"a newer delta", direct, []*certified{root}, []listOf{{by: root, revoked: []int64{3}, before: time.Minute}, {by: root, limits: extension(t, oidDelta, 1)}}, "was revoked"},
		{"revoked in a delta", direct, []*certified{root}, []listOf{{by: root, before: time.Minute}, {by: root, revoked: []int64{3}, limits: extension(t, oidDelta, 1)}}, "was revoked"},
		{"only a delta", direct, []*certified{root}, []listOf{{by: root, limits: extension(t, oidDelta, 1)}}, "no revocation list"},
		{"only of authorities", direct, []*certified{root}, []listOf{{by: root, limits: limitedTo(t, 2, yes)}}, "no revocation list"},
		{"a newer one of authorities", direct, []*certified{root}, []listOf{{by: root, revoked: []int64{3}, before: time.Minute}, {by: root, limits: limitedTo(t, 2, yes)}}, "was revoked"},
		{"only of users", direct, []*certified{root}, []listOf{{by: root, limits: limitedTo(t, 1, yes)}}, ""},
		{"only of users, for an authority", client, []*certified{root}, []listOf{{by: root, limits: limitedTo(t, 1, yes)}, {by: between}}, "no revocation list of CN=root"},
		{"of users and of authorities", client, []*certified{root}, []listOf{{by: root, limits: limitedTo(t, 1, yes)}, {by: root, limits: limitedTo(t, 2, yes)}, {by: between}}, ""},
		{"only for some reasons", direct, []*certified{root}, []listOf{{by: root, limits: limitedTo(t, 3, []byte{1, 0x40})}}, "no revocation list"},
		{"of others' certificates", direct, []*certified{root}, []listOf{{by: root, limits: limitedTo(t, 4, yes)}}, "no revocation list"},
		{"of attribute certificates", direct, []*certified{root}, []listOf{{by: root, limits: limitedTo(t, 5, yes)}}, "no revocation list"},
		{"in terms unknown here", direct, []*certified{root}, []listOf{{by: root, limits: extension(t, asn1.ObjectIdentifier{1, 2, 3}, 1)}}, "no revocation list"},
		{"with entries in terms unknown here", direct, []*certified{root}, []listOf{{by: root, revoked: []int64{9}, entry: extension(t, asn1.ObjectIdentifier{1, 2, 3}, 1)}}, "no revocation list"},
		{"its part", pointed, []*certified{root}, []listOf{{by: root, limits: publishedAt(t, here)}}, ""},
		{"another part", pointed, []*certified{root}, []listOf{{by: root, limits: publishedAt(t, elsewhere)}}, "no revocation list"},
		{"its part and a newer one", pointed, []*certified{root}, []listOf{{by: root, revoked: []int64{5}, before: time.Minute, limits: publishedAt(t, here)}, {by: root, limits: publishedAt(t, elsewhere)}}, "was revoked"},
		{"a part of lists that the certificate doesn't name", direct, []*certified{root}, []listOf{{by: root, limits: publishedAt(t, here)}}, ""},

		{"an authority between", client, []*certified{root}, []listOf{{by: root}, {by: between}}, ""},
		{"without the list of the one between", client, []*certified{root}, []listOf{{by: root}}, "no revocation list of CN=between"},
		{"an authority revoked", client, []*certified{root}, []listOf{{by: root, revoked: []int64{2}}, {by: between}}, "CN=between was revoked"},
		{"an authority revoked that's trusted itself", client, []*certified{root, between}, []listOf{{by: root, revoked: []int64{2}}, {by: between}}, "CN=between was revoked"},
		{"an authority that's trusted itself", client, []*certified{between}, []listOf{{by: between}}, ""},
		{"the list of another authority", client, []*certified{root}, []listOf{{by: root}, {by: certify(t, "between", 2, root, true)}}, "no revocation list of CN=between"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir, now := t.TempDir(), time.Now()
			var authorities, lists []byte
			for _, a := range c.trusts {
				authorities = append(authorities, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Raw})...)
			}
			for _, l := range c.lists {
				lists = append(lists, l.pem(t, now)...)
			}
			write := func(name string, text []byte) string {
				path := filepath.Join(dir, name)
				if err := os.WriteFile(path, text, 0o600); err != nil {
					t.Fatal(err)
				}
				return path
			}
			log := slog.New(slog.DiscardHandler)
			cas, err := newClientCAs(write("ca", authorities), log, time.Now)
			if err != nil {
				t.Fatal(err)
			}
			if cas.crls, err = newClientCRLs(write("crl", lists), log, time.Now); err != nil {
				t.Fatal(err)
			}
			// Whether the client sends the authority between or not.
			presented := [][]*x509.Certificate{{c.client.Certificate, between.Certificate}}
			if len(c.trusts) > 1 {
				presented = append(presented, presented[0][:1])
			}
			for _, certs := range presented {
				err = cas.trust(&tls.ConnectionState{PeerCertificates: certs})
				if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
					t.Errorf("%v, want %q", err, c.want)
				}
			}
		})
	}
}
