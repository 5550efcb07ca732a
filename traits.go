package rota

import (
	"errors"
	"fmt"
)

// ValidateIssuer returns an error if an issuer's traits contradict one another, or ask
// for an interface that it lacks. The planner relies on none of these being the case.
func ValidateIssuer(i Issuer) error {
	t := i.Traits()
	_, lists := i.(Lister)
	_, tells := i.(Teller)
	_, renews := i.(Renewer)
	var errs []error
	refuse := func(wrong bool, why string) {
		if wrong {
			errs = append(errs, errors.New(why))
		}
	}
	refuse(t.Kind == "", "Kind is empty")
	refuse(t.Limit < 0 || t.TestSuccesses < 0 || t.ConsistencyDelay < 0 || t.Lifetime < 0, "a number or a duration is negative")
	refuse(t.Replaces && !t.IssuerChooses, "Replaces needs IssuerChooses: creating the credential is what ends the one in use")
	refuse(t.Replaces && t.Limit != 1, "Replaces needs a Limit of 1: there's no second credential beside the one in use")
	refuse(t.Replaces && !lists, "Replaces needs a Lister: only the list shows what a lost answer has made")
	refuse(t.Readable && !t.IssuerChooses, "Readable needs IssuerChooses: otherwise Rota has the value already")
	refuse(t.Readable && t.Limit != 1, "Readable needs a Limit of 1: the issuer shows the one credential in force")
	refuse(t.Readable && !t.FromCurrent, "Readable needs FromCurrent: Create compares with the current credential")
	refuse(t.Readable && !tells, "Readable needs a Teller: the issuer is asked whether the current credential is in force")
	refuse(t.Replaces && t.Readable, "Replaces and Readable exclude each other: a value that's shown needn't be replaced to be known")
	refuse((t.Replaces || t.Readable) && t.Lifetime > 0, "a credential with a Lifetime is neither replaced nor shown")
	refuse(t.Revocable && t.Lifetime == 0, "Revocable needs a Lifetime: any other credential can be deleted anyway")
	refuse(t.Renewable && t.Lifetime == 0, "Renewable needs a Lifetime: that's how long the credential is kept alive")
	refuse(t.Renewable && !renews, "Renewable needs a Renewer")
	refuse(t.ListsByValue && !lists, "ListsByValue needs a Lister")
	refuse(t.Manual && (t.Replaces || t.Readable || t.Revocable || t.Renewable || t.ListsByValue || t.FromCurrent), "a Manual credential is never created or retired, so no other trait applies")
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("the issuer of kind %q has impossible traits: %w", t.Kind, err)
	}
	return nil
}
