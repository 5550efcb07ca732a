package rota_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
)

type bare struct {
	rota.Issuer
	traits rota.Traits
}

func (b bare) Traits() rota.Traits { return b.traits }

type listing struct{ bare }

func (listing) List(context.Context) ([]rota.Issued, error) { return nil, nil }

type telling struct{ bare }

func (telling) InForce(context.Context, rota.Credential) (inForce, known bool, err error) {
	return false, false, nil
}

func TestImpossibleTraitsAreRefused(t *testing.T) {
	replaces := rota.Traits{Kind: "token", IssuerChooses: true, Limit: 1, Replaces: true}
	readable := rota.Traits{Kind: "kept", IssuerChooses: true, Limit: 1, FromCurrent: true, Readable: true}
	with := func(t rota.Traits, f func(*rota.Traits)) rota.Traits {
		f(&t)
		return t
	}
	for name, c := range map[string]struct {
		issuer rota.Issuer
		want   string // "" for none
	}{
		"a key":                             {bare{traits: rota.Traits{Kind: "key", IssuerChooses: true, Limit: 2}}, ""},
		"one that's replaced":               {listing{bare{traits: replaces}}, ""},
		"one that's shown":                  {telling{bare{traits: readable}}, ""},
		"one that's revoked":                {bare{traits: rota.Traits{Kind: "lease", IssuerChooses: true, Lifetime: time.Hour, Revocable: true}}, ""},
		"one that's hashed":                 {listing{bare{traits: rota.Traits{Kind: "hash", Limit: 2, ListsByValue: true}}}, ""},
		"no kind":                           {bare{}, "Kind is empty"},
		"negative":                          {bare{traits: rota.Traits{Kind: "key", Limit: -1}}, "negative"},
		"replaced by a value of Rota's":     {listing{bare{traits: with(replaces, func(t *rota.Traits) { t.IssuerChooses = false })}}, "Replaces needs IssuerChooses"},
		"replaced beside another one":       {listing{bare{traits: with(replaces, func(t *rota.Traits) { t.Limit = 2 })}}, "Replaces needs a Limit of 1"},
		"replaced without a list":           {bare{traits: replaces}, "Replaces needs a Lister"},
		"replaced, and it expires":          {listing{bare{traits: with(replaces, func(t *rota.Traits) { t.Lifetime = time.Hour })}}, "neither replaced nor shown"},
		"shown, and chosen by Rota":         {telling{bare{traits: with(readable, func(t *rota.Traits) { t.IssuerChooses = false })}}, "Readable needs IssuerChooses"},
		"shown beside another one":          {telling{bare{traits: with(readable, func(t *rota.Traits) { t.Limit = 0 })}}, "Readable needs a Limit of 1"},
		"shown to who doesn't have the one": {telling{bare{traits: with(readable, func(t *rota.Traits) { t.FromCurrent = false })}}, "Readable needs FromCurrent"},
		"shown without an answer":           {bare{traits: readable}, "Readable needs a Teller"},
		"shown and replaced":                {telling{bare{traits: with(readable, func(t *rota.Traits) { t.Replaces = true })}}, "exclude each other"},
		"revoked, and it never expires":     {bare{traits: rota.Traits{Kind: "key", Revocable: true}}, "Revocable needs a Lifetime"},
		"renewed, and it never expires":     {renewing{bare{traits: rota.Traits{Kind: "key", Renewable: true}}}, "Renewable needs a Lifetime"},
		"renewed, and nobody does it":       {bare{traits: rota.Traits{Kind: "lease", Lifetime: time.Hour, Renewable: true}}, "Renewable needs a Renewer"},
		"one that's renewed":                {renewing{bare{traits: rota.Traits{Kind: "lease", Lifetime: time.Hour, Renewable: true}}}, ""},
		"hashed, and there's no list":       {bare{traits: rota.Traits{Kind: "hash", ListsByValue: true}}, "ListsByValue needs a Lister"},
		"by hand, from the one in use":      {bare{traits: rota.Traits{Kind: "letter", Manual: true, FromCurrent: true}}, "Manual"},
	} {
		t.Run(name, func(t *testing.T) {
			err := rota.ValidateIssuer(c.issuer)
			if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), `"`+c.issuer.Traits().Kind+`"`)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

type renewing struct{ bare }

func (renewing) Renew(context.Context, rota.RenewRequest) (time.Time, error) { return time.Time{}, nil }
