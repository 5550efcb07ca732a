package provider

import (
	"context"

	"github.com/rota-dev/rota"
)

// What the issuers of databases and their kind check about the accounts they're for.
// noun is what the system calls one: "user", "role".

// Pair reports that two accounts under key, which should take turns, are one. like is
// what the second one must have in common with the first, such as "roles".
func (v *Validation) Pair(key, noun, like string, accounts [2]Text) {
	first, one := accounts[0].Literal()
	second, two := accounts[1].Literal()
	if one && two && first != "" && first == second {
		v.Problem(accounts[1].At, key, "a second "+noun+" with the same "+like, "both are the same %s", noun)
	}
}

// NotOwn reports an account that Rota itself logs in as: after a crash between the new
// password and the connection's, nobody could log in.
func (v *Validation) NotOwn(noun string, own Text, accounts ...Text) {
	ours, known := own.Literal()
	if !known {
		return
	}
	for _, account := range accounts {
		if name, plain := account.Literal(); plain && name != "" && name == ours {
			v.Problem(account.At, "", "an administering "+noun+" for the connection alone", "%q is the %s that Rota itself logs in as", name, noun)
		}
	}
}

// OwnLogin is the preflight of an account that changes its own password: one of the
// stored credentials must log in.
func OwnLogin(ctx context.Context, noun, name string, known func(context.Context) ([]rota.Credential, error), test func(context.Context, rota.TestRequest) error) []rota.Finding {
	f := rota.Finding{Check: "log in as " + noun + " " + name + " itself"}
	all, err := known(ctx)
	for _, c := range all {
		if err = test(ctx, rota.TestRequest{Credential: c}); err == nil {
			f.OK = true
			return []rota.Finding{f}
		}
	}
	f.Detail, f.Remedies = "none of the stored passwords logs in", rota.Outside("the right password in the secret, or a masterarn")
	if err != nil {
		f.Detail = rota.Sanitize(err, all...).Error()
	}
	return []rota.Finding{f}
}
