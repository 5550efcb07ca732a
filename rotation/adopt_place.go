package rotation

import (
	"context"
	"regexp"

	"github.com/rota-dev/rota"
)

// Whoever may write to the store chooses what it holds, but not where consumers
// log in: a test only shows that the credential works where Rota itself logs in.

// checkPlace refuses to adopt a credential that would send its consumers
// somewhere else.
func (a *adoption) checkPlace(context.Context) error {
	if a.Credential.IsZero() {
		if err := checkVersionName(a.version); err != nil {
			return err
		}
	}
	return a.s.checkPlace(a.credential)
}

// checkStored does the same for a version of the store.
func (t *turn) checkStored(ctx context.Context, version string) error {
	if err := checkVersionName(version); err != nil {
		return err
	}
	c, err := t.outside.get(ctx, version)
	if err != nil {
		return err
	}
	return t.s.checkPlace(c)
}

// checkPlace compares the fields that the issuer fills in by itself.
func (s *Secret) checkPlace(c rota.Credential) error {
	completer, ok := s.Issuer.(rota.Completer)
	if !ok {
		return nil
	}
	known := s.issued(completer.Complete(rota.Credential{}))
	for _, name := range known.Names() {
		if has, want := c.Field(name), known.Field(name); has != "" && has != want {
			remedies := []rota.Remedy{
				{Action: rota.RemedyAdoptGiven, Secret: s.Name, Text: "with the one in use, without that field"},
				{Action: rota.RemedyConfigure, Text: "a connection with the " + name + " that consumers use"},
			}
			return refuseAdoption(remedies, "its %s isn't %s, which is what the connection says and what the next credential gets", name, want)
		}
	}
	return nil
}

// versionName is what reloaders' programs and logs can be expected to deal with.
var versionName = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

func checkVersionName(version string) error {
	if versionName.MatchString(version) {
		return nil
	}
	return refuseAdoption(rota.Outside("put the same value again, with a UUID as its version's id"),
		"the version's id has characters other than letters, digits, '.', '_' and '-': reload commands would get it")
}
