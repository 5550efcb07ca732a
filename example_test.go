package rota_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/rota-dev/rota"
)

// Wiki is the outside system: one password per user, and a page.
type Wiki struct {
	passwords map[string]string
	page      string
}

// WikiUser issues a user's password. Rota chooses it, and setting the new one
// invalidates the old one: there is no overlap.
type WikiUser struct {
	Wiki *Wiki
	User string
}

func (WikiUser) Traits() rota.Traits {
	return rota.Traits{Kind: "wiki password", Limit: 1, TestSuccesses: 1}
}

func (WikiUser) CredentialID(c rota.Credential) string { return c.Field(rota.FieldUsername) }

// Create chooses a value and touches nothing: Rota makes it durable before it
// is set.
func (u WikiUser) Create(context.Context, rota.CreateRequest) (rota.Credential, error) {
	password, err := rota.PasswordRules{Length: 40}.Generate(rand.Reader)
	if err != nil {
		return rota.Credential{}, err
	}
	return rota.NewCredential(map[string]string{rota.FieldUsername: u.User, rota.FieldPassword: password}), nil
}

func (u WikiUser) Set(_ context.Context, r rota.SetRequest) error {
	u.Wiki.passwords[u.User] = r.Credential.Field(rota.FieldPassword)
	return nil
}

func (u WikiUser) Test(_ context.Context, r rota.TestRequest) error {
	if u.Wiki.passwords[u.User] != r.Credential.Field(rota.FieldPassword) {
		return &rota.Error{System: "wiki", Op: "log in as " + u.User, Class: rota.ClassWait, Err: rota.ErrRefused}
	}
	return nil
}

// Delete refuses: the password is in use.
func (u WikiUser) Delete(context.Context, rota.RetireRequest) error {
	return &rota.Error{System: "wiki", Op: "delete the password of " + u.User, Class: rota.ClassStop, Err: rota.ErrConflict}
}

// WikiPage is a target: a page that shows the credential.
type WikiPage struct{ Wiki *Wiki }

func (WikiPage) Name() string { return "page" }

func (p WikiPage) Deliver(_ context.Context, r rota.DeliverRequest) error {
	p.Wiki.page = r.Credential.Field(rota.FieldUsername) + ":" + r.Credential.Field(rota.FieldPassword)
	return nil
}

// A provider is what implements the interfaces for one outside system.
func Example() {
	wiki := &Wiki{passwords: map[string]string{}}
	var issuer rota.Issuer = WikiUser{Wiki: wiki, User: "ci"}
	var target rota.Target = WikiPage{Wiki: wiki}
	ctx := context.Background()

	credential, err := issuer.Create(ctx, rota.CreateRequest{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("it never prints its values:", credential)
	err = issuer.Test(ctx, rota.TestRequest{Credential: credential})
	fmt.Println("before set:", err, errors.Is(err, rota.ErrRefused))
	if err := issuer.Set(ctx, rota.SetRequest{Credential: credential}); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("after set:", issuer.Test(ctx, rota.TestRequest{Credential: credential}))
	if err := target.Deliver(ctx, rota.DeliverRequest{Secret: "ci-wiki", Credential: credential}); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("delivered:", wiki.page == "ci:"+credential.Field(rota.FieldPassword))
	// Output:
	// it never prints its values: credential[password username] [redacted]
	// before set: wiki: log in as ci: credential refused true
	// after set: <nil>
	// delivered: true
}
