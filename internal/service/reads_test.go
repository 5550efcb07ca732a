package service

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/rotation"
)

// Only one version of a password is valid, whatever the issuer says about the
// role.
func TestTheStatesOfVersionsOfOneRole(t *testing.T) {
	set := rotation.VersionProgress{SetAt: noon}
	restored := rotation.VersionProgress{SetAt: noon, RestoredAt: noon}
	for _, c := range []struct {
		name    string
		pending *rotation.VersionProgress // nil: there is none
		traits  rota.Traits
		want    map[string]string
	}{
		{"at rest", nil, rota.Traits{Limit: 1}, map[string]string{"current": "active", "previous": "replaced"}},
		{"before the new one is set", &rotation.VersionProgress{}, rota.Traits{Limit: 1}, map[string]string{"pending": "unset", "current": "active", "previous": "replaced"}},
		{"when the new one is set", &set, rota.Traits{Limit: 1}, map[string]string{"pending": "active", "current": "replaced", "previous": "replaced"}},
		{"when it was given up", &restored, rota.Traits{Limit: 1}, map[string]string{"pending": "replaced", "current": "active", "previous": "replaced"}},
		{"an access key that two versions hold", nil, rota.Traits{Limit: 2, IssuerChooses: true}, map[string]string{"current": "active", "previous": "active"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			state := rotation.State{Traits: c.traits, Listed: true, Issued: []rota.Issued{{ID: "app", Active: true}}}
			add := func(id string, l rota.Label) {
				state.Contents.Versions = append(state.Contents.Versions, rota.Version{ID: id, CredentialID: "app", Labels: []rota.Label{l}})
			}
			add("previous", rota.LabelPrevious)
			add("current", rota.LabelCurrent)
			if c.pending != nil {
				add("pending", rota.LabelPending)
				state.Progress.Versions = map[string]rotation.VersionProgress{"pending": *c.pending}
			}
			got := map[string]string{}
			for _, v := range describeVersions(state).Versions {
				got[v.Version] = v.State
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("states (-want +got):\n%s", diff)
			}
		})
	}
}

func TestBothAdoptedCredentialsAreShownAsAdopted(t *testing.T) {
	state := rotation.State{Contents: rota.Contents{Versions: []rota.Version{
		{ID: "current", CredentialID: "AKIA2", Labels: []rota.Label{rota.LabelCurrent, rota.LabelAdopted}},
		{ID: "previous", CredentialID: "AKIA1", Labels: []rota.Label{rota.LabelPrevious, rota.LabelAdoptedPrevious}},
		{ID: "rota-1", CredentialID: "AKIA3", Labels: []rota.Label{rota.LabelPending}},
	}}}
	for _, v := range describeVersions(state).Versions {
		if want := v.Version != "rota-1"; v.Adopted != want || !v.Ours {
			t.Errorf("%s: adopted %t, ours %t, want adopted %t and ours", v.Version, v.Adopted, v.Ours, want)
		}
	}
}

func TestCheckNamesNoSecretThatTheCallerMayNotSee(t *testing.T) {
	s := &rotation.Secret{Name: "t1/a", Rivals: func(context.Context) rotation.Rivals {
		return rotation.Rivals{Found: []rotation.Rival{{
			Secret: "t2/b", Reason: "another secret changes role app too",
			Finding: rota.Finding{Detail: "role app is that of secret t2/b too", Remedies: rota.Outside("remove t2/b")},
		}}}
	}}
	for pattern, want := range map[string]bool{"t1/*": false, "*": true} {
		l := &Local{Caller: access.Caller{Principal: "p", Rules: []access.Rule{{Action: access.List, Pattern: pattern}}}}
		r := l.forCaller(s).Rivals(t.Context()).Found[0]
		if text := r.Secret + r.Finding.Detail + rota.Hint(r.Finding.Remedies); strings.Contains(text, "t2/b") != want {
			t.Errorf("who may list %s reads %q", pattern, text)
		}
	}
}
