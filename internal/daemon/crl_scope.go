package daemon

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"slices"
	"time"
)

var (
	oidDelta = asn1.ObjectIdentifier{2, 5, 29, 27}
	oidIDP   = asn1.ObjectIdentifier{2, 5, 29, 28}
)

// revocations is a revocation list, and for which certificates of its authority it is.
type revocations struct {
	*x509.RevocationList
	revoked map[string]time.Time // when, by serial number
	scope   string               // the extension that limits it; "" for all certificates
	limits  issuingDistributionPoint
	partial bool // it never shows that a certificate wasn't revoked
	foreign bool // it's about other authorities' certificates, or in terms unknown here
}

// issuingDistributionPoint limits a list to some certificates (RFC 5280, 5.2.5).
type issuingDistributionPoint struct {
	Point struct {
		Full []asn1.RawValue `asn1:"optional,tag:0"`
		Name asn1.RawValue   `asn1:"optional,tag:1"`
	} `asn1:"optional,tag:0"`
	OnlyUsers      bool           `asn1:"optional,tag:1"`
	OnlyCAs        bool           `asn1:"optional,tag:2"`
	OnlyReasons    asn1.BitString `asn1:"optional,tag:3"`
	Indirect       bool           `asn1:"optional,tag:4"`
	OnlyAttributes bool           `asn1:"optional,tag:5"`
}

func newRevocations(list *x509.RevocationList) *revocations {
	r := &revocations{RevocationList: list, revoked: make(map[string]time.Time, len(list.RevokedCertificateEntries))}
	for _, x := range list.Extensions {
		switch {
		case x.Id.Equal(oidDelta):
			r.scope, r.partial = r.scope+"delta", true
		case x.Id.Equal(oidIDP):
			rest, err := asn1.Unmarshal(x.Value, &r.limits)
			r.scope += string(x.Value)
			r.foreign = r.foreign || err != nil || len(rest) > 0 || r.limits.Indirect || r.limits.OnlyAttributes
			r.partial = r.partial || r.limits.OnlyReasons.BitLength > 0
		default:
			r.foreign = r.foreign || x.Critical
		}
	}
	for _, e := range list.RevokedCertificateEntries {
		r.foreign = r.foreign || slices.ContainsFunc(e.Extensions, func(x pkix.Extension) bool { return x.Critical })
		r.revoked[string(e.SerialNumber.Bytes())] = e.RevocationTime
	}
	// A list can have a million entries, and these take most of its memory.
	list.RevokedCertificateEntries, list.RevokedCertificates = nil, nil //nolint:staticcheck // it's filled all the same
	return r
}

// covers reports whether a certificate that isn't in the list wasn't revoked.
func (r *revocations) covers(cert *x509.Certificate) bool {
	l := r.limits
	if r.partial || l.OnlyUsers && cert.IsCA || l.OnlyCAs && !cert.IsCA {
		return false
	}
	names := l.Point.Full
	if len(names) == 0 && len(l.Point.Name.FullBytes) == 0 || len(cert.CRLDistributionPoints) == 0 {
		return true
	}
	return slices.ContainsFunc(names, func(name asn1.RawValue) bool {
		const uri = 6 // of GeneralName
		return name.Tag == uri && slices.Contains(cert.CRLDistributionPoints, string(name.Bytes))
	})
}

// newerThan decides between two lists for the same certificates. Two can be of the same
// second.
func (r *revocations) newerThan(other *revocations) bool {
	if c := r.ThisUpdate.Compare(other.ThisUpdate); c != 0 {
		return c > 0
	}
	return r.Number != nil && (other.Number == nil || r.Number.Cmp(other.Number) > 0)
}

// signedBy returns the newest list of each scope that an authority signed.
func signedBy(authority *x509.Certificate, lists []*revocations) []*revocations {
	newest := map[string]*revocations{}
	for _, l := range lists {
		before := newest[l.scope]
		if (before == nil || l.newerThan(before)) && !l.foreign &&
			bytes.Equal(l.RawIssuer, authority.RawSubject) && l.CheckSignatureFrom(authority) == nil {
			newest[l.scope] = l
		}
	}
	var signed []*revocations
	for _, l := range newest {
		signed = append(signed, l)
	}
	return signed
}
